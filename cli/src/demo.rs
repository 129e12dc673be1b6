//! `efd demo`: a whole EFD on this machine, with simulated SAL traffic, and an account of every record at its end.
//!
//! The servers are real processes and the services run in this process, each from a settings file of its own that stays
//! readable in the demo's folder. The account comes from outside: the services' metrics, and InfluxDB itself.

mod account;
mod files;
mod services;
mod text;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use clap::Args;
use efd_ingest::interfaces;
use efd_kafka::{Admin, KafkaConfig};
use efd_service::{Env, Stop};
use indicatif::ProgressBar;
use tokio::signal::unix::{SignalKind, signal};

use crate::config::Config;
use crate::influxdb::{InfluxDbClient, InfluxDbConfig};
use crate::output;
use crate::servers::{Generation, InfluxDb, Kafka, Programs};
use crate::time;
use account::Account;
use files::Files;
use services::Services;

/// Pause between two looks at the counters.
const LOOK: Duration = Duration::from_millis(500);

/// Arguments of `efd demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Stop after this time, for example 60s; without it the demo goes on until Ctrl-C.
    #[arg(long, value_parser = time::parse_span)]
    duration: Option<Duration>,
    /// Components to simulate.
    #[arg(long, value_delimiter = ',', default_value = "ATCamera,MTM1M3,Test")]
    components: Vec<String>,
    /// Which InfluxDB to start, 1.x or 2.x.
    #[arg(long, value_enum, default_value = "1")]
    influxdb: Generation,
    /// Factor on the nominal rates of the simulated traffic.
    #[arg(long, default_value_t = 1.0)]
    rate: f64,
    /// Folder for servers' data, settings and logs; kept. Without it a temporary one is used and removed.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Folder with SAL interface files; overrides the configuration.
    #[arg(long, value_name = "DIR")]
    interfaces: Option<PathBuf>,
    /// Use this Kafka, host:port, instead of starting one.
    #[arg(long, value_name = "ADDRESS")]
    kafka: Option<String>,
    /// Use the InfluxDB at this address instead of starting one; credentials by EFD_INFLUXDB_USERNAME, _PASSWORD or _TOKEN.
    #[arg(long, value_name = "URL")]
    influxdb_url: Option<String>,
    /// At the end, how long to wait for records that InfluxDB has not accepted yet.
    #[arg(long, value_parser = time::parse_span, default_value = "2m")]
    drain: Duration,
}

/// The servers that this demo started; those of other people are not in here.
#[derive(Debug, Default)]
struct Servers {
    kafka: Option<Kafka>,
    influxdb: Option<InfluxDb>,
}

/// Runs the demo; exit code 1 when a record was lost.
pub async fn run(config: &Config, args: &DemoArgs) -> anyhow::Result<ExitCode> {
    if args.duration.is_some_and(|duration| duration.is_zero()) {
        bail!("--duration must be longer than nothing, for example 60s");
    }
    let temporary = match &args.dir {
        Some(_) => None,
        None => {
            Some(tempfile::Builder::new().prefix("efd-demo-").tempdir().context("no folder for the demo")?)
        }
    };
    let folder: &Path = match (&args.dir, &temporary) {
        (Some(dir), _) => dir,
        (None, Some(temporary)) => temporary.path(),
        (None, None) => bail!("no folder for the demo"),
    };
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let mut config = config.clone();
    config.interfaces = std::path::absolute(args.interfaces.as_ref().unwrap_or(&config.interfaces))?;
    // What is wrong with them is told before anything is started.
    interfaces::load(&config.interfaces, &args.components)?;
    let spinner = output::spinner();
    spinner.enable_steady_tick(LOOK);
    let stop = Stop::new();
    // Each way out drops the servers, which stops them.
    let outcome = tokio::select! {
        outcome = play(&config, args, folder, &spinner, &stop) => outcome,
        error = interrupts(&stop) => Err(error),
    };
    spinner.finish_and_clear();
    outcome
}

async fn play(
    config: &Config,
    args: &DemoArgs,
    folder: &Path,
    spinner: &ProgressBar,
    stop: &Stop,
) -> anyhow::Result<ExitCode> {
    let started = time::now();
    let mut servers = Servers::default();
    let start = async {
        let (kafka, influxdb) = start_servers(args, folder, &mut servers, spinner).await?;
        let files = Files::write(folder, config, args, &kafka, &influxdb)?;
        spinner.set_message("starting registry, sink, gateway and ingest");
        let services =
            Services::start(&files, &services::environment(args, &influxdb, &Env::process())).await?;
        anyhow::Ok((influxdb, files, services))
    };
    let (influxdb, files, mut services) = tokio::select! {
        up = start => up?,
        () = stop.requested() => bail!("interrupted while starting"),
    };
    spinner.suspend(|| output::tell(&text::greeting(&files, &servers)));
    watch(args, &files, &mut services, spinner, stop).await?;
    spinner.set_message("stopping ingest, waiting until it delivered everything");
    services.stop_ingest().await?;
    let account = settle(args, &files, &influxdb, started, spinner).await?;
    services.stop().await?;
    drop(servers);
    spinner.finish_and_clear();
    output::tell(&account.to_string());
    Ok(if account.lost() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn start_servers(
    args: &DemoArgs,
    folder: &Path,
    servers: &mut Servers,
    spinner: &ProgressBar,
) -> anyhow::Result<(String, InfluxDbConfig)> {
    let programs = Programs::locate(&Env::process());
    let kafka = match &args.kafka {
        Some(address) => {
            let mut config =
                KafkaConfig { bootstrap_servers: Some(address.clone()), ..KafkaConfig::default() };
            config.overlay(&services::kafka_credentials(&Env::process()))?;
            let answer = Admin::new(&config, "efd-demo")?.brokers().await;
            answer.with_context(|| format!("Kafka at {address} (--kafka) does not answer"))?;
            address.clone()
        }
        None => {
            spinner.set_message("starting Kafka");
            servers.kafka.insert(Kafka::start(&programs, folder).await?).bootstrap_servers()
        }
    };
    let influxdb = match &args.influxdb_url {
        Some(url) => {
            let version = if args.influxdb == Generation::V2 { 2 } else { 1 };
            let mut config = InfluxDbConfig { url: Some(url.clone()), version, ..InfluxDbConfig::default() };
            config.overlay(&Env::process())?;
            // The command line has been more explicit than the environment.
            config.url = Some(url.clone());
            let answer = InfluxDbClient::new(&config)?.version().await;
            answer.with_context(|| format!("InfluxDB at {url} (--influxdb-url) does not answer"))?;
            config
        }
        None => {
            spinner.set_message("starting InfluxDB");
            servers.influxdb.insert(InfluxDb::start(&programs, args.influxdb, folder).await?).config()
        }
    };
    Ok((kafka, influxdb))
}

/// Shows the counters until the time is over, a stop is requested, or a service ends by itself.
async fn watch(
    args: &DemoArgs,
    files: &Files,
    services: &mut Services,
    spinner: &ProgressBar,
    stop: &Stop,
) -> anyhow::Result<()> {
    let start = Instant::now();
    loop {
        let rest = args.duration.map(|duration| duration.saturating_sub(start.elapsed()));
        if rest.is_some_and(|rest| rest.is_zero()) {
            return Ok(());
        }
        tokio::select! {
            () = stop.requested() => return Ok(()),
            ended = services.ended() => return ended,
            () = tokio::time::sleep(LOOK.min(rest.unwrap_or(LOOK))) => {}
        }
        if let Ok(counters) = account::Counters::read(files).await {
            let left = rest.map_or_else(String::new, |rest| format!(", {} s left", rest.as_secs()));
            spinner.set_message(format!("{counters}{left}"));
        }
    }
}

/// Waits until what Kafka has is in InfluxDB, then counts.
async fn settle(
    args: &DemoArgs,
    files: &Files,
    influxdb: &InfluxDbConfig,
    started: time::UnixNanos,
    spinner: &ProgressBar,
) -> anyhow::Result<Account> {
    let deadline = Instant::now() + args.drain;
    loop {
        let counters = account::Counters::read(files).await?;
        spinner.set_message(format!("waiting until everything is written: {counters}"));
        let is_late = Instant::now() > deadline;
        if counters.is_settled() || is_late {
            let account = Account::take(files, &args.components, influxdb, started).await?;
            // A record that was written twice counts twice in the sink, so that others may still be on their way.
            if account.lost() == 0 || is_late {
                return Ok(account);
            }
        }
        tokio::time::sleep(LOOK.min(Duration::from_millis(100))).await;
    }
}

/// Requests the stop at Ctrl-C, SIGTERM or the end of the terminal; gives an error at the second one.
async fn interrupts(stop: &Stop) -> anyhow::Error {
    let listen = || -> std::io::Result<_> {
        Ok((
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
            signal(SignalKind::hangup())?,
        ))
    };
    let (mut interrupt, mut terminate, mut hangup) = match listen() {
        Ok(signals) => signals,
        Err(error) => return anyhow::Error::new(error).context("cannot listen for signals"),
    };
    loop {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
        if stop.is_requested() {
            return anyhow::anyhow!("interrupted twice: stopped without an account");
        }
        stop.request();
    }
}
