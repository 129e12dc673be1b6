//! The `main` of every service.

use std::ffi::OsString;
use std::future::Future;
use std::io::Write;
use std::panic::{self, AssertUnwindSafe};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::{Arg, ArgAction, Command, error::ErrorKind, value_parser};
use humantime_serde::re::humantime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::{ConfigError, Context, Env, Instance, Settings, Stop, init_telemetry, load};

/// Failed while it ran.
const EXIT_FAILURE: u8 = 1;
/// Bad command line, as `EX_USAGE` of sysexits.h.
const EXIT_USAGE: u8 = 64;
/// Bad settings, as `EX_CONFIG` of sysexits.h.
const EXIT_CONFIG: u8 = 78;

/// Runs a service from its command line to its exit code; `name` is that of the binary, such as `efd-sink`.
///
/// `run` gets the settings and the [`Context`], and returns when a stop is requested and its work is
/// finished, or with the error that ends it.
pub fn main<C: Settings, F, Fut>(name: &'static str, about: &'static str, run: F) -> ExitCode
where
    F: FnOnce(C, Context) -> Fut,
    Fut: Future<Output = anyhow::Result<()>>,
{
    ExitCode::from(exit_code(Program { name, about }, std::env::args_os(), run))
}

/// What a service is called and what it does, in one sentence.
#[derive(Clone, Copy)]
struct Program {
    name: &'static str,
    about: &'static str,
}

fn exit_code<C: Settings, F, Fut>(
    program: Program,
    arguments: impl IntoIterator<Item = OsString>,
    run: F,
) -> u8
where
    F: FnOnce(C, Context) -> Fut,
    Fut: Future<Output = anyhow::Result<()>>,
{
    let name = program.name;
    let line = match CommandLine::parse(program, arguments) {
        Ok(line) => line,
        Err(answer) => return answer.print(name),
    };
    let config = match load::<C>(line.config.as_deref(), &Env::process()) {
        Ok(config) => config,
        Err(error) => return fail(name, &error.into()),
    };
    if line.print_config {
        return print_config(name, &config);
    }
    print_panics_in_one_line(name);
    match panic::catch_unwind(AssertUnwindSafe(|| start(name, config, run))) {
        Ok(Ok(())) => 0,
        Ok(Err(error)) => fail(name, &error),
        Err(_) => EXIT_FAILURE, // the panic hook has said why
    }
}

struct CommandLine {
    config: Option<PathBuf>,
    print_config: bool,
}

/// What the command line gets instead of a running service.
#[derive(Debug)]
enum Answer {
    Text(String),
    Usage(String),
}

impl CommandLine {
    fn parse(program: Program, arguments: impl IntoIterator<Item = OsString>) -> Result<Self, Answer> {
        let mut matches = command(program).try_get_matches_from(arguments).map_err(|error| {
            let text = error.to_string();
            match error.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Answer::Text(text),
                _ => Answer::Usage(text),
            }
        })?;
        Ok(Self { config: matches.remove_one("config"), print_config: matches.get_flag("print-config") })
    }
}

impl Answer {
    fn print(self, name: &str) -> u8 {
        match self {
            Self::Text(text) => print(name, &text),
            Self::Usage(text) => {
                let first = text.lines().next().unwrap_or_default();
                let problem = first.strip_prefix("error: ").unwrap_or(first);
                print_error(name, &format!("{problem}, see {name} --help"));
                EXIT_USAGE
            }
        }
    }
}

fn command(program: Program) -> Command {
    Command::new(program.name)
        .version(env!("CARGO_PKG_VERSION"))
        .about(program.about)
        .arg(
            Arg::new("config")
                .long("config")
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .help("YAML file with settings; without it every setting has its default"),
        )
        .arg(
            Arg::new("print-config")
                .long("print-config")
                .action(ArgAction::SetTrue)
                .help("Print the settings that file and environment give, secrets redacted, and exit"),
        )
        .after_help("Environment variables EFD_<SETTING> override the file; secrets come only from there.")
}

fn print_config<C: Settings>(name: &str, config: &C) -> u8 {
    match serde_saphyr::to_string(config) {
        Ok(yaml) => print(name, &yaml),
        Err(error) => fail(name, &anyhow::Error::new(error).context("cannot print the settings")),
    }
}

fn print(name: &str, text: &str) -> u8 {
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => 0,
        Err(error) => fail(name, &anyhow::Error::new(error).context("cannot write to standard output")),
    }
}

fn fail(name: &str, error: &anyhow::Error) -> u8 {
    print_error(name, &format!("{error:#}"));
    if error.chain().any(|cause| cause.is::<ConfigError>()) { EXIT_CONFIG } else { EXIT_FAILURE }
}

/// The one line; nothing is left to do when standard error is closed.
fn print_error(name: &str, message: &str) {
    let message = message.lines().map(str::trim).collect::<Vec<_>>().join(" ");
    let _ = writeln!(std::io::stderr(), "{name}: {message}");
}

fn print_panics_in_one_line(name: &'static str) {
    panic::set_hook(Box::new(move |panic| {
        let place = panic.location().map(|location| format!(" at {location}")).unwrap_or_default();
        let reason = panic.payload_as_str().unwrap_or("no message");
        print_error(name, &format!("panicked{place}: {reason}"));
    }));
}

fn start<C: Settings, F, Fut>(name: &'static str, config: C, run: F) -> anyhow::Result<()>
where
    F: FnOnce(C, Context) -> Fut,
    Fut: Future<Output = anyhow::Result<()>>,
{
    // An error means that a provider is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start threads")?;
    let entered = runtime.enter();
    let telemetry = init_telemetry(name, config.service())?;
    drop(entered);
    let outcome = panic::catch_unwind(AssertUnwindSafe(|| runtime.block_on(serve(name, config, run))));
    drop(telemetry);
    // What `run` left behind, such as a blocked thread, must not hold the process, not even after a panic.
    runtime.shutdown_background();
    outcome.unwrap_or_else(|payload| panic::resume_unwind(payload))
}

async fn serve<C: Settings, F, Fut>(name: &'static str, config: C, run: F) -> anyhow::Result<()>
where
    F: FnOnce(C, Context) -> Fut,
    Fut: Future<Output = anyhow::Result<()>>,
{
    let mut signals = listen_for_signals().context("cannot listen for signals")?;
    let service = config.service();
    let grace = service.grace_period;
    let admin = service.admin.context("service.admin is set by load")?;
    let instance = Instance::start(name, admin)?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), admin = %instance.admin_addr(), "started");
    let context = instance.context();
    let stop = context.stop.clone();
    let outcome = supervise(run(config, context), &stop, &mut signals, grace).await;
    instance.shutdown().await;
    if outcome.is_ok() {
        tracing::info!("stopped");
    }
    outcome
}

/// Waits for `run`; from the request to stop on, no longer than the grace period, and not beyond a second
/// signal.
async fn supervise(
    run: impl Future<Output = anyhow::Result<()>>,
    stop: &Stop,
    signals: &mut mpsc::Receiver<&'static str>,
    grace: Duration,
) -> anyhow::Result<()> {
    let mut run = std::pin::pin!(run);
    tokio::select! {
        outcome = &mut run => return outcome,
        () = stop.requested() => {}
        Some(signal) = signals.recv() => {
            tracing::info!(signal, "stopping");
            stop.request();
        }
    }
    tokio::select! {
        outcome = &mut run => outcome,
        Some(signal) = signals.recv() => bail!("cut off by a second signal, {signal}"),
        () = tokio::time::sleep(grace) => bail!(
            "cut off, not finished {} after the request to stop (setting service.grace_period)",
            humantime::format_duration(grace)
        ),
    }
}

/// SIGTERM and SIGINT by name, as they arrive.
fn listen_for_signals() -> std::io::Result<mpsc::Receiver<&'static str>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    // Two matter: the one that asks to stop and the one that cuts off.
    let (sender, receiver) = mpsc::channel(2);
    tokio::spawn(async move {
        loop {
            let name = tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
            };
            if sender.send(name).await.is_err() {
                return;
            }
        }
    });
    Ok(receiver)
}

#[cfg(test)]
#[path = "start_tests.rs"]
mod tests;
