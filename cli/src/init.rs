//! `efd init`: creates the Kafka topics of SAL components and registers their schemas.
//!
//! First it looks at what is there, then it makes what is missing, then it says what it made, what differs from what
//! it would make, and which sink worker owns what. It changes nothing that exists, so it can be run again at any time. A dry run asks the
//! registry whether it would take the schemas. A schema that it refuses, or would, is told with all others; then the exit code is 1.

mod report;
mod survey;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, anyhow};
use efd_ingest::initialise::{InitialiseOptions, Progress, TopicReport, initialise};
use efd_ingest::interfaces;
use efd_kafka::Admin;
use efd_sal::{Component, InterfaceError};
use efd_schema::RegistryClient;
use indicatif::ProgressBar;

use self::report::Report;
use self::survey::survey;
use crate::command::InitArgs;
use crate::config::Config;
use crate::output;

/// Requests to the registry at the same time.
const CONCURRENT_REQUESTS: usize = 16;

/// Initialises the components, or says what that would do.
pub async fn run(config: &Config, args: &InitArgs) -> anyhow::Result<ExitCode> {
    let folder = args.interfaces.as_deref().unwrap_or(&config.interfaces);
    if args.list {
        return list(folder);
    }
    let components = if args.all { all(folder)? } else { interfaces::load(folder, &args.components)? };
    let options = options(config);
    let bar = bar(&components, if args.dry_run { 1 } else { 3 });
    let states = survey(config, &components, (&options, args.dry_run), &bar).await;
    let mut report = Report::new(config, states.with_context(|| addresses(config))?, args.dry_run);
    if !args.dry_run {
        report.add(&make(config, &components, &options, &bar).await?);
    }
    bar.finish_and_clear();
    output::print(&report.text(args.topics));
    Ok(if report.has_refusals() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Creates what is missing of the topics and schemas of the named components.
///
/// # Errors
/// When Kafka or the registry does not answer, or refuses one of them.
pub async fn create(config: &Config, folder: &Path, names: &[String]) -> anyhow::Result<()> {
    let components = interfaces::load(folder, names)?;
    for made in make(config, &components, &options(config), &ProgressBar::hidden()).await? {
        made.schema.map_err(|reason| anyhow!("schema of {} is refused: {reason}", made.subject))?;
    }
    Ok(())
}

async fn make(
    config: &Config,
    components: &[Component],
    options: &InitialiseOptions,
    bar: &ProgressBar,
) -> anyhow::Result<Vec<TopicReport>> {
    let admin = Admin::new(&config.kafka, "efd-init")?;
    let registry = RegistryClient::new(&config.registry)?;
    let before = bar.position();
    let progress = |progress| match progress {
        Progress::TopicsCreated { done, created, .. } => {
            bar.set_message(format!("creating topics, {created} are new"));
            bar.set_position(before + done as u64);
        }
        Progress::SchemaRegistered { done, total } => {
            bar.set_message("registering schemas");
            bar.set_position(before + (total + done) as u64);
        }
    };
    initialise(components, options, &admin, &registry, progress).await.with_context(|| addresses(config))
}

fn options(config: &Config) -> InitialiseOptions {
    InitialiseOptions {
        topic_subname: config.topic_subname.get().to_owned(),
        replication_factor: config.replication_factor.get(),
        partitions: config.partitions,
        concurrent_registrations: CONCURRENT_REQUESTS,
    }
}

fn addresses(config: &Config) -> String {
    format!("Kafka is {}, registry {}", config.kafka.bootstrap_servers(), config.registry.url())
}

/// A bar of `steps` for each topic.
fn bar(components: &[Component], steps: u64) -> ProgressBar {
    let topics: usize = components.iter().map(|component| component.topics.len()).sum();
    output::progress(steps * topics as u64, "looking at what is there")
}

/// Every component that has interface files here.
fn all(folder: &Path) -> anyhow::Result<Vec<Component>> {
    let release = interfaces::open(folder)?;
    let (mut components, mut absent) = (Vec::new(), Vec::new());
    for name in release.names() {
        match release.component(name) {
            Ok(component) => components.push(component),
            Err(InterfaceError::NoTopicFiles { component, .. }) => absent.push(component),
            Err(error) => return Err(error.into()),
        }
    }
    if !absent.is_empty() {
        let absent = absent.join(", ");
        output::complain(&format!("efd init: left out, since they have no interface files here: {absent}"));
    }
    Ok(components)
}

fn list(folder: &Path) -> anyhow::Result<ExitCode> {
    let release = interfaces::open(folder)?;
    output::print(&release.names().map(|name| format!("{name}\n")).collect::<String>());
    Ok(ExitCode::SUCCESS)
}
