//! `efd registry`: what a schema registry has, what a new version changes, and carrying schemas from one registry to another. Speaks
//! Confluent's REST interface only, so the registry may be anybody's.

mod compat;
mod delete;
mod difference;
mod export;
mod import;
mod list;
mod version;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use efd_schema::{RegistryClient, RegistryConfig};

use crate::config::Config;

/// Requests under way at once.
const CONCURRENCY: usize = 16;

/// Arguments of `efd registry`.
#[derive(Debug, Args)]
pub struct RegistryArgs {
    #[command(subcommand)]
    command: RegistryCommand,
    /// Address of the registry; overrides the configuration.
    #[arg(long, value_name = "URL", global = true)]
    url: Option<String>,
}

#[derive(Debug, Subcommand)]
enum RegistryCommand {
    /// List the subjects with their versions.
    Subjects(SubjectsArgs),
    /// Show a version of a subject: its fields, or its schema.
    Show(ShowArgs),
    /// Say which fields differ between two versions of a subject.
    Diff(DiffArgs),
    /// Ask whether a schema could be registered; exit code 1 if not.
    Compat(CompatArgs),
    /// Delete subjects, or one version: softly, or for good.
    Delete(DeleteArgs),
    /// Write all versions of all subjects to a file, one JSON object a line.
    Export(ExportArgs),
    /// Register the versions of such a file, with the ids that they have there.
    Import(ImportArgs),
}

/// How something is printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    #[default]
    Table,
    /// For programs.
    Json,
}

#[derive(Debug, Args)]
struct SubjectsArgs {
    /// Beginning of the names.
    prefix: Option<String>,
    /// Also what is deleted softly.
    #[arg(long)]
    deleted: bool,
    /// Table or JSON.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Debug, Args)]
struct ShowArgs {
    /// Subject, for example lsst.sal.ATCamera.vacuum-value.
    subject: String,
    /// Number of the version, or `latest`.
    #[arg(default_value = "latest")]
    version: String,
    /// Print the schema and nothing else.
    #[arg(long)]
    schema: bool,
    /// Table or JSON.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Debug, Args)]
struct DiffArgs {
    /// Subject.
    subject: String,
    /// Number of the earlier version; without it the one before the later.
    old: Option<u32>,
    /// Number of the later version; without it the latest.
    new: Option<u32>,
    /// Table or JSON.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Debug, Args)]
struct CompatArgs {
    /// Subject.
    subject: String,
    /// File with the schema.
    #[arg(value_name = "FILE")]
    schema: PathBuf,
    /// Compare with this version; without it with those that the subject's level asks for.
    #[arg(long)]
    version: Option<String>,
}

#[derive(Debug, Args)]
struct DeleteArgs {
    /// Subjects.
    #[arg(required = true, value_name = "SUBJECT")]
    subjects: Vec<String>,
    /// Only this version.
    #[arg(long, value_name = "N")]
    version: Option<u32>,
    /// For good: who has data of these schemas can never read it again. Needs --yes.
    #[arg(long)]
    permanent: bool,
    /// Yes, delete for good.
    #[arg(long, requires = "permanent")]
    yes: bool,
    /// Say what would be deleted, and delete nothing.
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, Args)]
struct ExportArgs {
    /// File to write; without it standard output.
    file: Option<PathBuf>,
    /// Only subjects whose names begin so.
    #[arg(long, default_value = "")]
    prefix: String,
}

#[derive(Debug, Args)]
struct ImportArgs {
    /// File that `efd registry export` wrote.
    file: PathBuf,
    /// Say what would be registered and what is in the way, and change nothing.
    #[arg(long)]
    dry_run: bool,
}

/// Does what the command line says.
pub async fn run(config: &Config, args: &RegistryArgs) -> anyhow::Result<ExitCode> {
    let url = args.url.clone().or_else(|| config.registry.url.clone());
    let client = RegistryClient::new(&RegistryConfig { url, ..config.registry.clone() })?;
    match &args.command {
        RegistryCommand::Subjects(args) => list::subjects(&client, args).await,
        RegistryCommand::Show(args) => list::show(&client, args).await,
        RegistryCommand::Diff(args) => list::diff(&client, args).await,
        RegistryCommand::Compat(args) => compat::run(&client, args).await,
        RegistryCommand::Delete(args) => delete::run(&client, args).await,
        RegistryCommand::Export(args) => export::run(&client, args).await,
        RegistryCommand::Import(args) => import::run(&client, args).await,
    }
}
