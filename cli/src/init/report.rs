//! What `efd init` tells at the end.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;

use efd_ingest::initialise::TopicReport;
use efd_schema::Compatibility;

use super::survey::{Difference, SchemaState, TopicState};
use crate::config::Config;
use crate::output;
use crate::sinks::Owners;

/// Refused schemas that are told with the reason.
const MAX_REFUSALS: usize = 20;

/// What was there, what was made, and who reads it.
#[derive(Debug)]
pub struct Report {
    rows: Vec<Row>,
    is_dry: bool,
    /// A worker says what it owns, so that a topic without an owner is a finding.
    owners_are_known: bool,
}

#[derive(Debug)]
struct Row {
    state: TopicState,
    /// Made by this run, or would be made.
    is_new: bool,
    /// Why the registry did not take its schema.
    refused: Option<String>,
    owners: Vec<String>,
}

#[derive(Debug, Default)]
struct Count {
    topics: usize,
    new: usize,
    differ: usize,
    new_schemas: usize,
    known_schemas: usize,
    owners: Vec<String>,
}

impl Report {
    /// Begins with what was found; without more, what is missing would be made.
    pub fn new(config: &Config, states: Vec<TopicState>, is_dry: bool) -> Self {
        let workers = Owners::new(&config.sinks, &config.topic_subname);
        let row = |state: TopicState| Row {
            is_new: !state.exists,
            refused: None,
            owners: workers.of(&state.kafka_name),
            state,
        };
        let owners_are_known = config.sinks.values().all(|sink| sink.is_known()) && !config.sinks.is_empty();
        Self { rows: states.into_iter().map(row).collect(), is_dry, owners_are_known }
    }

    /// Adds what was made: another run may have been faster with some topics.
    pub fn add(&mut self, made: &[TopicReport]) {
        let made: HashMap<&str, &TopicReport> =
            made.iter().map(|report| (report.kafka_name.as_str(), report)).collect();
        for row in &mut self.rows {
            if let Some(report) = made.get(row.state.kafka_name.as_str()) {
                row.is_new = report.created;
                row.refused = report.schema.as_ref().err().cloned();
            }
        }
    }

    /// The report: a table by component or by topic, then what needs a person.
    pub fn text(&self, by_topic: bool) -> String {
        let mut text = if by_topic { self.topics() } else { self.components() };
        let lines = self.differences().into_iter().chain(self.refusals()).chain(self.without_owner());
        for line in lines {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{line}");
        }
        if self.is_dry {
            text.push_str("nothing was made: --dry-run\n");
        }
        text
    }

    fn components(&self) -> String {
        let mut by_component: BTreeMap<&str, Count> = BTreeMap::new();
        let mut total = Count::default();
        for row in &self.rows {
            total.add(row);
            by_component.entry(&row.state.component).or_default().add(row);
        }
        let made = if self.is_dry { "to create" } else { "created" };
        let schemas = if self.is_dry { "schemas to register" } else { "schemas registered" };
        let mut table = output::table(&[
            "component",
            "topics",
            made,
            "existed",
            "differ",
            schemas,
            "known",
            "sink worker",
        ]);
        let is_several = by_component.len() > 1;
        for (component, count) in by_component {
            table.add_row(count.cells(component, self.owner_text(&count.owners)));
        }
        if is_several {
            table.add_row(total.cells("all", String::new()));
        }
        format!("{table}\n")
    }

    fn topics(&self) -> String {
        let mut table = output::table(&["topic", "state", "schema", "sink worker"]);
        for row in &self.rows {
            let state = match (row.is_new, self.is_dry, row.state.differences.is_empty()) {
                (true, true, _) => "to create",
                (true, false, _) => "created",
                (false, _, true) => "existed",
                (false, _, false) => "differs",
            };
            let schema = match (row.state.schema, self.is_dry) {
                (SchemaState::Known(id), _) => format!("id {id}"),
                (_, true) if row.refusal().is_some() => "would be refused".to_owned(),
                (_, false) if row.refusal().is_some() => "refused".to_owned(),
                (SchemaState::NextVersion, true) => "to register, next version".to_owned(),
                (SchemaState::NextVersion, false) => "registered, next version".to_owned(),
                (SchemaState::Unknown, true) => "to register".to_owned(),
                (SchemaState::Unknown, false) => "registered".to_owned(),
            };
            let owners = self.owner_text(&row.owners);
            table.add_row([row.state.kafka_name.clone(), state.to_owned(), schema, owners]);
        }
        format!("{table}\n")
    }

    fn owner_text(&self, owners: &[String]) -> String {
        match owners {
            [] if self.owners_are_known => "none".to_owned(),
            [] => "unknown".to_owned(),
            owners => owners.join(", "),
        }
    }

    /// One line for topics of a component that differ in the same way.
    fn differences(&self) -> Vec<String> {
        let mut alike: BTreeMap<(&str, &Difference), Vec<&str>> = BTreeMap::new();
        for row in &self.rows {
            for difference in &row.state.differences {
                let topics = alike.entry((&row.state.component, difference)).or_default();
                topics.push(&row.state.kafka_name);
            }
        }
        let line = |((_, difference), topics): ((&str, &Difference), Vec<&str>)| {
            format!("differs: {}: {difference}", some(&topics))
        };
        alike.into_iter().map(line).collect()
    }

    /// Whether the registry refused a schema, or would.
    pub fn has_refusals(&self) -> bool {
        self.rows.iter().any(|row| row.refusal().is_some())
    }

    /// A line for each schema that the registry refused or would refuse, or one when it does not say.
    fn refusals(&self) -> Vec<String> {
        let refused = self.rows.iter().filter_map(|row| Some((row, row.refusal()?)));
        let mut lines: Vec<String> = refused
            .clone()
            .take(MAX_REFUSALS)
            .map(|(row, reason)| {
                let topic = &row.state.kafka_name;
                let does_not = if self.is_dry { "would not take" } else { "does not take" };
                format!("refused: {topic}: the registry {does_not} its schema: {reason}")
            })
            .collect();
        let more = refused.count().saturating_sub(MAX_REFUSALS);
        if more > 0 {
            lines.push(format!("refused: {more} more schemas, see them with --topics"));
        }
        if self.rows.iter().any(|row| row.state.compatibility == Some(Compatibility::Unknown)) {
            lines.push("not checked: the registry does not say whether it would take the schemas".to_owned());
        }
        lines
    }

    fn without_owner(&self) -> Option<String> {
        let orphans: Vec<&str> = self
            .rows
            .iter()
            .filter(|row| row.owners.is_empty())
            .map(|row| row.state.kafka_name.as_str())
            .collect();
        if orphans.is_empty() {
            return None;
        }
        Some(if self.owners_are_known {
            format!(
                "no owner: {}: Kafka keeps their records and no sink worker writes them; add the component to a worker's \
                 components, here and in the worker's settings",
                some(&orphans)
            )
        } else {
            "sink workers: list components and topics of each under sinks.<worker> in this command's settings, then this \
             report names the owner of each topic"
                .to_owned()
        })
    }
}

impl Row {
    /// Why the registry did not take the schema, or would not.
    fn refusal(&self) -> Option<&str> {
        match &self.state.compatibility {
            Some(Compatibility::Incompatible(reason)) => Some(reason),
            _ => self.refused.as_deref(),
        }
    }
}

impl Count {
    fn add(&mut self, row: &Row) {
        self.topics += 1;
        self.new += usize::from(row.is_new);
        self.differ += usize::from(!row.state.differences.is_empty());
        let is_known = matches!(row.state.schema, SchemaState::Known(_));
        self.known_schemas += usize::from(is_known);
        self.new_schemas += usize::from(!is_known && row.refusal().is_none());
        for owner in &row.owners {
            if !self.owners.contains(owner) {
                self.owners.push(owner.clone());
            }
        }
    }

    fn cells(&self, name: &str, owners: String) -> Vec<String> {
        let Count { topics, new, differ, new_schemas, known_schemas, .. } = self;
        let counts = [*topics, *new, topics - new, *differ, *new_schemas, *known_schemas];
        let counts = counts.iter().map(usize::to_string);
        std::iter::once(name.to_owned()).chain(counts).chain([owners]).collect()
    }
}

/// The first topic, and how many more.
fn some(topics: &[&str]) -> String {
    match topics {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [first, more @ ..] => format!("{first} and {} more topics", more.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sinks::SinkConfig;

    fn state(component: &str, name: &str, exists: bool, schema: SchemaState) -> TopicState {
        let kafka_name = format!("lsst.sal.{component}.{name}");
        TopicState {
            component: component.into(),
            kafka_name,
            exists,
            differences: Vec::new(),
            schema,
            compatibility: None,
        }
    }

    fn states() -> Vec<TopicState> {
        let few = Difference::FewerPartitions { found: 1, wanted: 4 };
        let mut states = vec![
            state("Test", "a", true, SchemaState::Known(7)),
            state("Test", "b", true, SchemaState::NextVersion),
            state("Test", "c", false, SchemaState::Unknown),
            state("Dome", "a", false, SchemaState::Unknown),
        ];
        for state in states.iter_mut().take(2) {
            state.differences.push(few.clone());
        }
        states
    }

    fn config(components: &[&str]) -> Config {
        let components = components.iter().map(|component| (*component).to_owned()).collect();
        let sink = SinkConfig { components, ..SinkConfig::default() };
        Config { sinks: [("main".to_owned(), sink)].into(), ..Config::default() }
    }

    fn row<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
        let line = text.lines().find(|line| line.trim_start().starts_with(name)).unwrap_or_default();
        line.split_whitespace().collect()
    }

    #[test]
    fn topics_are_counted_by_component() {
        let text = Report::new(&config(&["Test", "Dome"]), states(), true).text(false);
        assert_eq!(row(&text, "Test"), ["Test", "3", "1", "2", "2", "2", "1", "main"]);
        assert_eq!(row(&text, "Dome"), ["Dome", "1", "1", "0", "0", "1", "0", "main"]);
        assert_eq!(row(&text, "all"), ["all", "4", "2", "2", "2", "3", "1"]);
        assert!(text.contains("to create") && text.ends_with("nothing was made: --dry-run\n"));
    }

    #[test]
    fn equal_differences_of_a_component_are_one_line() {
        let text = Report::new(&config(&["Test", "Dome"]), states(), false).text(false);
        let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("differs")).collect();
        let start = "differs: lsst.sal.Test.a and 1 more topics: partitions 1, wanted 4: ";
        assert!(lines.len() == 1 && lines[0].starts_with(start), "{lines:?}");
        assert!(!text.contains("dry-run"));
    }

    #[test]
    fn a_topic_without_an_owner_is_told_when_the_owners_are_known() {
        let text = Report::new(&config(&["Test"]), states(), false).text(true);
        assert!(text.contains("\nno owner: lsst.sal.Dome.a: "), "{text}");
        assert_eq!(row(&text, "lsst.sal.Dome.a"), ["lsst.sal.Dome.a", "created", "registered", "none"]);
        let text = Report::new(&config(&[]), states(), false).text(true);
        assert_eq!(row(&text, "lsst.sal.Test.a"), ["lsst.sal.Test.a", "differs", "id", "7", "unknown"]);
        assert!(text.contains("\nsink workers: list components"), "{text}");
    }

    #[test]
    fn schemas_that_the_registry_would_refuse_are_told_with_the_reason() {
        let mut states = states();
        states[1].compatibility = Some(Compatibility::Incompatible("field x was removed".into()));
        states[2].compatibility = Some(Compatibility::Compatible);
        let report = Report::new(&config(&["Test", "Dome"]), states.clone(), true);
        let text = report.text(true);
        let line =
            "\nrefused: lsst.sal.Test.b: the registry would not take its schema: field x was removed\n";
        assert!(report.has_refusals() && text.contains(line), "{text}");
        assert!(row(&text, "lsst.sal.Test.b").contains(&"refused"), "{text}");
        states[1].compatibility = Some(Compatibility::Unknown);
        let report = Report::new(&config(&["Test", "Dome"]), states, true);
        assert!(!report.has_refusals() && report.text(false).contains("\nnot checked: "));
    }

    #[test]
    fn a_schema_that_was_refused_is_told_with_all_that_was_made() {
        let mut report = Report::new(&config(&["Test", "Dome"]), states(), false);
        let made = |name: &str, schema| TopicReport {
            component: "Test".into(),
            kafka_name: format!("lsst.sal.Test.{name}"),
            subject: String::new(),
            created: true,
            schema,
        };
        report.add(&[made("b", Err("field x was removed".into())), made("c", Ok(9))]);
        let text = report.text(true);
        let line = "\nrefused: lsst.sal.Test.b: the registry does not take its schema: field x was removed\n";
        assert!(report.has_refusals() && text.contains(line), "{text}");
        assert_eq!(row(&text, "lsst.sal.Test.b")[1..3], ["created", "refused"]);
        assert_eq!(row(&text, "lsst.sal.Test.c")[1..3], ["created", "registered"]);
        // Topics, created, existed, differ, registered, known.
        assert_eq!(row(&report.text(false), "Test")[1..7], ["3", "2", "1", "2", "1", "1"]);
    }

    #[test]
    fn what_another_run_made_meanwhile_counts_as_existing() {
        let mut report = Report::new(&config(&["Test", "Dome"]), states(), false);
        report.add(&[TopicReport {
            component: "Dome".into(),
            kafka_name: "lsst.sal.Dome.a".into(),
            subject: String::new(),
            created: false,
            schema: Ok(1),
        }]);
        assert_eq!(row(&report.text(false), "Dome"), ["Dome", "1", "0", "1", "0", "1", "0", "main"]);
    }
}
