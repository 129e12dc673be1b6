//! `efd check`: looks at each part and says what was found, and what to do about trouble.

mod kafka;
mod parts;

use std::process::ExitCode;

use clap::ValueEnum;
use comfy_table::{Attribute, Cell, Color};

use crate::config::Config;
use crate::output;

/// A part that can be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// The brokers and the topics of SAL components.
    Kafka,
    /// The schema registry.
    Registry,
    /// The sink workers and how far they are behind.
    Sink,
    /// InfluxDB and its database.
    Influxdb,
    /// The query gateway.
    Gateway,
}

/// What one look at one thing found.
#[derive(Debug)]
pub struct Finding {
    part: &'static str,
    what: String,
    found: String,
    /// What to do; none means that all is well.
    remedy: Option<String>,
}

impl Finding {
    fn good(part: &'static str, what: impl Into<String>, found: impl Into<String>) -> Self {
        Self { part, what: what.into(), found: found.into(), remedy: None }
    }

    fn bad(
        part: &'static str,
        what: impl Into<String>,
        found: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { part, what: what.into(), found: found.into(), remedy: Some(remedy.into()) }
    }
}

/// Looks at the named parts, at all when none is named; exit code 1 when anything is wrong.
pub async fn run(config: &Config, parts: &[Part]) -> anyhow::Result<ExitCode> {
    let parts = if parts.is_empty() { Part::value_variants() } else { parts };
    let bar = output::progress(parts.len() as u64, "looking");
    let mut findings = Vec::new();
    for part in parts {
        findings.extend(look(config, *part).await?);
        bar.inc(1);
    }
    bar.finish_and_clear();
    show(&findings);
    let troubles: Vec<&Finding> = findings.iter().filter(|finding| finding.remedy.is_some()).collect();
    if let Some(first) = troubles.first() {
        output::complain(&format!(
            "efd check: {} of {} looks found trouble, first {} {}: {}",
            troubles.len(),
            findings.len(),
            first.part,
            first.what,
            first.found
        ));
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

async fn look(config: &Config, part: Part) -> anyhow::Result<Vec<Finding>> {
    match part {
        Part::Kafka => kafka::brokers_and_topics(config).await,
        Part::Registry => parts::registry(config).await,
        Part::Sink => kafka::sinks(config).await,
        Part::Influxdb => parts::influxdb(config).await,
        Part::Gateway => Ok(parts::gateway(config).await),
    }
}

fn show(findings: &[Finding]) {
    let mut table = output::table(&["part", "what", "state", "found", "what to do"]);
    for finding in findings {
        let (state, color) =
            if finding.remedy.is_some() { ("trouble", Color::Red) } else { ("ok", Color::Green) };
        table.add_row(vec![
            Cell::new(finding.part),
            Cell::new(&finding.what),
            Cell::new(state).fg(color).add_attribute(Attribute::Bold),
            Cell::new(&finding.found),
            Cell::new(finding.remedy.as_deref().unwrap_or_default()),
        ]);
    }
    output::print(&format!("{table}\n"));
}
