//! `efd init`: creates the Kafka topics of SAL components and registers their schemas.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use efd_ingest::initialise::{InitialiseOptions, Progress, TopicReport, initialise};
use efd_ingest::interfaces;
use efd_kafka::Admin;
use efd_schema::RegistryClient;
use indicatif::ProgressBar;

use crate::command::InitArgs;
use crate::config::Config;
use crate::output;

/// Schemas registered at the same time.
const CONCURRENT_REGISTRATIONS: usize = 16;

/// Initialises the components; what exists already stays as it is, so that it can be run again.
pub async fn run(config: &Config, args: &InitArgs) -> anyhow::Result<ExitCode> {
    let folder = args.interfaces.as_deref().unwrap_or(&config.interfaces);
    if args.list {
        return list(folder);
    }
    let bar = output::progress(0, "topics");
    let reports = create(config, folder, &args.components, &bar).await;
    bar.finish_and_clear();
    let reports = reports?;
    show(&reports);
    Ok(ExitCode::SUCCESS)
}

/// Creates what is missing of the topics and schemas of the named components.
pub async fn create(
    config: &Config,
    folder: &Path,
    names: &[String],
    bar: &ProgressBar,
) -> anyhow::Result<Vec<TopicReport>> {
    let components = interfaces::load(folder, names)?;
    let options = InitialiseOptions {
        topic_subname: config.topic_subname().to_owned(),
        replication_factor: config.replication_factor(),
        partitions: config.partitions,
        concurrent_registrations: CONCURRENT_REGISTRATIONS,
    };
    let admin = Admin::new(&config.kafka, "efd-init")?;
    let registry = RegistryClient::new(&config.registry)?;
    bar.set_length(components.iter().map(|component| component.topics.len() as u64).sum());
    let progress = |progress| match progress {
        Progress::TopicsCreated { created, total } => {
            bar.set_message(format!("{created} of {total} topics are new, schemas"));
        }
        Progress::SchemaRegistered { done, .. } => bar.set_position(done as u64),
    };
    initialise(&components, &options, &admin, &registry, progress).await.with_context(|| {
        format!("Kafka is {}, registry {}", config.kafka.bootstrap_servers(), registry.url())
    })
}

fn list(folder: &Path) -> anyhow::Result<ExitCode> {
    let release = interfaces::open(folder)?;
    output::print(&release.names().map(|name| format!("{name}\n")).collect::<String>());
    Ok(ExitCode::SUCCESS)
}

fn show(reports: &[TopicReport]) {
    let mut by_component: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for report in reports {
        let (topics, created) = by_component.entry(&report.component).or_default();
        *topics += 1;
        *created += usize::from(report.created);
    }
    let mut table = output::table(&["component", "topics", "created", "existed", "schemas registered"]);
    for (component, (topics, created)) in by_component {
        let cells = [topics, created, topics - created, topics].map(|count| count.to_string());
        table.add_row(std::iter::once(component.to_owned()).chain(cells));
    }
    output::print(&format!("{table}\n"));
}
