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
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::{ConfigError, Context, Env, Instance, Settings, Stop, init_telemetry, load};

/// Bad command line, as `EX_USAGE` of sysexits.h.
const EXIT_USAGE: u8 = 64;
/// Bad settings, as `EX_CONFIG` of sysexits.h.
const EXIT_CONFIG: u8 = 78;

/// Runs a service from its command line to its exit code; `name` is that of the binary, such as `efd-sink`.
///
/// `run` gets the settings and the [`Context`], and returns when a stop is requested and its work is finished, or with the error that ends it.
pub fn main<C: Settings, F, Fut>(name: &'static str, about: &'static str, run: F) -> ExitCode
where
    F: FnOnce(C, Context) -> Fut,
    Fut: Future<Output = anyhow::Result<()>>,
{
    let line = match CommandLine::parse(name, about, std::env::args_os()) {
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
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => fail(name, &error),
        Err(_) => ExitCode::FAILURE, // the panic hook has said why
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
    fn parse(
        name: &'static str,
        about: &'static str,
        arguments: impl IntoIterator<Item = OsString>,
    ) -> Result<Self, Answer> {
        let mut matches = command(name, about).try_get_matches_from(arguments).map_err(|error| {
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
    fn print(self, name: &str) -> ExitCode {
        match self {
            Self::Text(text) => print(name, &text),
            Self::Usage(text) => {
                let first = text.lines().next().unwrap_or_default();
                let problem = first.strip_prefix("error: ").unwrap_or(first);
                print_error(name, &format!("{problem}, see {name} --help"));
                ExitCode::from(EXIT_USAGE)
            }
        }
    }
}

fn command(name: &'static str, about: &'static str) -> Command {
    Command::new(name)
        .version(env!("CARGO_PKG_VERSION"))
        .about(about)
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

fn print_config<C: Settings>(name: &str, config: &C) -> ExitCode {
    match serde_saphyr::to_string(config) {
        Ok(yaml) => print(name, &yaml),
        Err(error) => fail(name, &anyhow::Error::new(error).context("cannot print the settings")),
    }
}

fn print(name: &str, text: &str) -> ExitCode {
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(name, &anyhow::Error::new(error).context("cannot write to standard output")),
    }
}

fn fail(name: &str, error: &anyhow::Error) -> ExitCode {
    print_error(name, &format!("{error:#}"));
    if error.is::<ConfigError>() { ExitCode::from(EXIT_CONFIG) } else { ExitCode::FAILURE }
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
    let outcome = runtime.block_on(serve(name, config, run));
    drop(telemetry);
    // What `run` left behind, such as a blocked thread, must not hold the process.
    runtime.shutdown_background();
    outcome
}

async fn serve<C: Settings, F, Fut>(name: &'static str, config: C, run: F) -> anyhow::Result<()>
where
    F: FnOnce(C, Context) -> Fut,
    Fut: Future<Output = anyhow::Result<()>>,
{
    let mut signals = Signals::listen().context("cannot listen for signals")?;
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

/// Waits for `run`; from the request to stop on, no longer than the grace period, and not beyond a second signal.
async fn supervise(
    run: impl Future<Output = anyhow::Result<()>>,
    stop: &Stop,
    signals: &mut Signals,
    grace: Duration,
) -> anyhow::Result<()> {
    let mut run = std::pin::pin!(run);
    tokio::select! {
        outcome = &mut run => return outcome,
        () = stop.requested() => {}
        signal = signals.next() => {
            tracing::info!(signal, "stopping");
            stop.request();
        }
    }
    tokio::select! {
        outcome = &mut run => outcome,
        signal = signals.next() => bail!("cut off by a second signal, {signal}"),
        () = tokio::time::sleep(grace) => bail!(
            "cut off, not finished {} after the request to stop (setting service.grace_period)",
            humantime::format_duration(grace)
        ),
    }
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

#[cfg(test)]
#[path = "start_tests.rs"]
mod tests;
