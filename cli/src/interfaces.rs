//! `efd interfaces`: what the interface files of a release define, whether they are right, and what another release
//! changes. Reads files only: neither Kafka nor any service is needed.

mod check;
mod diff;
mod difference;
mod golden;
mod library;
mod show;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::config::Config;

/// Arguments of `efd interfaces`.
#[derive(Debug, Args)]
pub struct InterfacesArgs {
    #[command(subcommand)]
    command: InterfacesCommand,
    /// Folder with SAL interface files (ours or a checkout of ts_xml); overrides the configuration.
    #[arg(long, value_name = "DIR", global = true)]
    interfaces: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum InterfacesCommand {
    /// List the components: indexed or not, topics of each kind, fields, and values once arrays are taken apart.
    List,
    /// Show a component and its topics, or one topic with its fields, names and revCode.
    Show(ShowArgs),
    /// Load everything and report sizes, times, wrong files, names that InfluxDB or SAL do not take, and fields that
    /// cannot be told apart once arrays are taken apart; exit code 1 if anything is wrong.
    Check(CheckArgs),
    /// Say what another release adds, removes and changes, and which changes InfluxDB cannot take; exit code 1 if
    /// there are such.
    Diff(DiffArgs),
}

#[derive(Debug, Args)]
struct ShowArgs {
    /// Component, for example ATCamera.
    component: String,
    /// Topic without the component, for example logevent_heartbeat.
    topic: Option<String>,
    /// Print the topic's Avro schema as it is registered, and nothing else.
    #[arg(long, requires = "topic")]
    schema: bool,
}

#[derive(Debug, Args)]
struct CheckArgs {
    /// Files with one JSON object a line (`kafka_name`, `subject`, `rev_code`, `schema`) that the topics must equal to
    /// the byte.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    golden: Vec<PathBuf>,
}

#[derive(Debug, Args)]
struct DiffArgs {
    /// Folder with the release in use.
    old: PathBuf,
    /// Folder with the other release.
    new: PathBuf,
}

/// Does what the command line says.
pub fn run(config: &Config, args: &InterfacesArgs) -> anyhow::Result<ExitCode> {
    let folder: &Path = args.interfaces.as_deref().unwrap_or(&config.interfaces);
    match &args.command {
        InterfacesCommand::List => show::list(folder),
        InterfacesCommand::Show(ShowArgs { component, topic: None, .. }) => {
            show::component(folder, component)
        }
        InterfacesCommand::Show(ShowArgs { component, topic: Some(topic), schema }) => {
            show::topic(folder, component, topic, *schema)
        }
        InterfacesCommand::Check(CheckArgs { golden }) => check::run(folder, golden),
        InterfacesCommand::Diff(DiffArgs { old, new }) => diff::run(old, new),
    }
}
