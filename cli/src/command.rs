//! The command line: what can be said, and which function does it.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use efd_service::Env;

use crate::completeness::CompletenessArgs;
use crate::config::Config;
use crate::dead_letters::DeadLettersArgs;
use crate::demo::DemoArgs;
use crate::get::GetArgs;
use crate::interfaces::InterfacesArgs;
use crate::latest::LatestArgs;
use crate::packed::PackedArgs;
use crate::registry::RegistryArgs;
use crate::repair::RepairArgs;
use crate::schema::SchemaArgs;
use crate::sink::SinkArgs;
use crate::tail::TailArgs;
use crate::window::WindowArgs;
use crate::{
    check, completeness, dead_letters, demo, get, init, interfaces, latest, packed, registry, repair, schema,
    sink, tail, topics, window,
};

/// Exit code for a wrong command line, as clap has it.
const EXIT_USAGE: u8 = 2;
/// Exit code for wrong settings, as the services have it (sysexits.h EX_CONFIG).
const EXIT_CONFIG: u8 = 78;

/// Engineering and Facilities Database: set it up, look at it, get data out of it.
#[derive(Debug, Parser)]
#[command(name = "efd", version, max_term_width = 100)]
struct CommandLine {
    /// File with the addresses of Kafka, registry, InfluxDB, gateway and sinks.
    #[arg(long, short, env = "EFD_CONFIG", global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print the settings in force as YAML, without secrets, and end.
    #[arg(long)]
    print_config: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Look at SAL interface files: list, show, check them, compare two releases.
    Interfaces(InterfacesArgs),
    /// Initialise SAL components: create their Kafka topics and register their schemas.
    Init(InitArgs),
    /// Look at each part and say what is wrong and what to do; exit code 1 if anything is.
    Check(CheckArgs),
    /// List recorded topics, or show the fields of one.
    Topics(TopicsArgs),
    /// Show what a topic is made of: fields, units, names in InfluxDB, the Avro schema.
    Schema(SchemaArgs),
    /// Get records of a topic as a table, CSV, JSON lines, an Arrow or Parquet file, or a chart.
    Get(GetArgs),
    /// Get the newest records of a topic.
    Latest(LatestArgs),
    /// Get statistics of a topic's fields for each interval of a range of time.
    Window(WindowArgs),
    /// Get samples that are packed in arrays, one row for each.
    Packed(PackedArgs),
    /// Follow what is being recorded of a topic.
    Tail(TailArgs),
    /// Look into the schema registry, compare versions, delete them, carry them to another registry.
    Registry(RegistryArgs),
    /// Look at the sink workers: which topics they own, how they fare.
    Sink(SinkArgs),
    /// Say what is missing in InfluxDB, duplicated, late or merged, and why; exit code 1 if anything is missing.
    Completeness(CompletenessArgs),
    /// Read records again from Kafka, and write those that InfluxDB does not have.
    Repair(RepairArgs),
    /// Look at records that could not be stored, and produce them again.
    DeadLetters(DeadLettersArgs),
    /// Run a whole EFD on this machine: real Kafka and InfluxDB, all services, simulated SAL traffic.
    Demo(DemoArgs),
}

/// Arguments of `efd init`.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// Components, for example ATCamera MTM1M3.
    #[arg(required_unless_present_any = ["list", "all"], value_name = "COMPONENT")]
    pub components: Vec<String>,
    /// All components that the interface files define.
    #[arg(long, conflicts_with = "components")]
    pub all: bool,
    /// Say what would be made and what differs, and make nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Report on each topic instead of each component.
    #[arg(long)]
    pub topics: bool,
    /// Folder with SAL interface files (ours or a checkout of ts_xml); overrides the configuration.
    #[arg(long, value_name = "DIR")]
    pub interfaces: Option<PathBuf>,
    /// List the components that the interface files define, and end.
    #[arg(long)]
    pub list: bool,
}

/// Arguments of `efd check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Parts to look at; all when none is named.
    #[arg(value_enum, value_name = "PART")]
    pub parts: Vec<check::Part>,
}

/// Arguments of `efd topics`.
#[derive(Debug, Args)]
pub struct TopicsArgs {
    /// A topic, whose fields are shown; or the beginning of names, for example lsst.sal.ATCamera
    #[arg(value_name = "TOPIC|PREFIX")]
    pub topic: Option<String>,
    /// Also show when each topic was last recorded, and how often it is now.
    #[arg(long, short)]
    pub activity: bool,
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let line = CommandLine::parse();
    let config: Config = match efd_service::load(line.config.as_deref(), &Env::process()) {
        Ok(config) => config,
        Err(error) => return failure(&error.into(), EXIT_CONFIG),
    };
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return failure(&error.into(), 1),
    };
    let outcome = runtime.block_on(run(line, config));
    // After an interrupted demo its services may still run; they end with the process.
    runtime.shutdown_background();
    outcome.unwrap_or_else(|error| failure(&error, 1))
}

async fn run(line: CommandLine, config: Config) -> anyhow::Result<ExitCode> {
    if line.print_config {
        crate::output::print(&serde_saphyr::to_string(&config)?);
        return Ok(ExitCode::SUCCESS);
    }
    let Some(command) = line.command else {
        crate::output::complain("efd: no command given: try `efd --help`");
        return Ok(ExitCode::from(EXIT_USAGE));
    };
    let _telemetry = efd_service::init_telemetry("efd", &config.service)?;
    match command {
        Command::Interfaces(args) => interfaces::run(&config, &args),
        Command::Init(args) => init::run(&config, &args).await,
        Command::Check(args) => check::run(&config, &args.parts).await,
        Command::Topics(args) => topics::run(&config, &args).await,
        Command::Schema(args) => schema::run(&config, &args).await,
        Command::Get(args) => get::run(&config, &args).await,
        Command::Latest(args) => latest::run(&config, &args).await,
        Command::Window(args) => window::run(&config, &args).await,
        Command::Packed(args) => packed::run(&config, &args).await,
        Command::Tail(args) => tail::run(&config, &args).await,
        Command::Registry(args) => registry::run(&config, &args).await,
        Command::Sink(args) => sink::run(&config, &args).await,
        Command::Completeness(args) => completeness::run(&config, &args).await,
        Command::Repair(args) => repair::run(&config, &args).await,
        Command::DeadLetters(args) => dead_letters::run(&config, &args).await,
        Command::Demo(args) => demo::run(&config, &args).await,
    }
}

/// One line on standard error: the error and its causes.
fn failure(error: &anyhow::Error, code: u8) -> ExitCode {
    let message = format!("{error:#}").lines().map(str::trim).collect::<Vec<_>>().join(" ");
    crate::output::complain(&format!("efd: {message}"));
    ExitCode::from(code)
}
