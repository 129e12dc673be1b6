//! `efd interfaces check`: is a release right, and can InfluxDB hold what it defines?

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use efd_sal::{Clash, ClashKind, Topic, clashes};

use super::golden::{self, Comparison};
use super::library::{Library, Sizes, own_fields};
use crate::output;

/// SAL's rule: names have fewer characters than this.
const NAME_LIMIT: usize = 64;
/// Names in InfluxDB that stand in one message; longer lists are cut.
const NAMES_SHOWN: usize = 3;

/// Something that a person should know of a topic.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    kind: FindingKind,
    text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FindingKind {
    /// Something is wrong: the exit code is 1.
    Error,
    /// Two fields claim the same name in InfluxDB.
    Collision,
    /// An array cannot be put together again from names alone.
    Ambiguity,
    /// A name that SAL does not allow.
    Name,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            FindingKind::Error => "error",
            FindingKind::Collision => "collision",
            FindingKind::Ambiguity => "ambiguity",
            FindingKind::Name => "name",
        };
        write!(f, "{kind:<10} {}", self.text)
    }
}

/// Loads everything and says what is wrong.
pub fn run(folder: &Path, golden: &[PathBuf]) -> anyhow::Result<ExitCode> {
    let library = Library::load(folder)?;
    let start = Instant::now();
    let bytes: usize = library.topics().map(|topic| topic.avro_schema().len() + topic.rev_code().len()).sum();
    let schemas = Schemas { bytes, took: start.elapsed() };
    let start = Instant::now();
    let mut findings: Vec<Finding> = library.topics().flat_map(findings).collect();
    let looked = start.elapsed();
    let wrong =
        library.errors.iter().map(|error| Finding { kind: FindingKind::Error, text: error.to_string() });
    findings.splice(0..0, wrong);
    let comparison = golden::compare(&library.components, golden)?;
    let differences = comparison.differences.iter().cloned();
    findings.extend(differences.map(|text| Finding { kind: FindingKind::Error, text }));

    for finding in &findings {
        output::print(&format!("{finding}\n"));
    }
    output::print(&summary(folder, &library, &schemas, looked));
    output::print(&counts(&findings));
    if comparison.total > 0 {
        let Comparison { total, equal, .. } = comparison;
        output::print(&format!(
            "golden      {equal} of {total} equal to the byte, revCodes and subjects too\n"
        ));
    }
    let errors = findings.iter().filter(|finding| finding.kind == FindingKind::Error).count();
    if errors > 0 {
        output::complain(&format!("efd interfaces check: {errors} errors"));
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

struct Schemas {
    bytes: usize,
    took: Duration,
}

fn summary(folder: &Path, library: &Library, schemas: &Schemas, looked: Duration) -> String {
    let sizes = Sizes::of(library.topics());
    let indexed = library.components.iter().filter(|component| component.indexed).count();
    let absent = match library.absent.len() {
        0 => String::new(),
        absent => format!("; {absent} more are listed without interface files here"),
    };
    let private: usize = library.topics().map(|topic| topic.fields.len() - own_fields(topic).count()).sum();
    format!(
        "interfaces  {}\n\
         loaded      in {:.3} s; {:.1} MB of schemas and revCodes in {:.3} s, names compared in {:.3} s\n\
         components  {}, {indexed} of them indexed{absent}\n\
         topics      {}: {} commands, {} events, {} telemetry, {} ackcmd\n\
         fields      {}, and {private} private ones; {} values once arrays are taken apart\n",
        folder.display(),
        library.took.as_secs_f64(),
        schemas.bytes as f64 / 1e6,
        schemas.took.as_secs_f64(),
        looked.as_secs_f64(),
        library.components.len(),
        sizes.topics,
        sizes.commands,
        sizes.events,
        sizes.telemetry,
        library.components.len(),
        sizes.fields,
        sizes.values,
    )
}

fn counts(findings: &[Finding]) -> String {
    let count = |kind| findings.iter().filter(|finding| finding.kind == kind).count();
    format!(
        "found       {} errors, {} collisions, {} ambiguities, {} names that SAL does not allow\n",
        count(FindingKind::Error),
        count(FindingKind::Collision),
        count(FindingKind::Ambiguity),
        count(FindingKind::Name)
    )
}

/// What is to be said of one topic.
fn findings(topic: &Topic) -> Vec<Finding> {
    let mut findings = Vec::new();
    let measurement = topic.measurement();
    for name in std::iter::once(&topic.sal_name).chain(topic.fields.iter().map(|field| &field.name)) {
        if name.len() >= NAME_LIMIT {
            let text = format!(
                "{measurement}: {name} has {} characters, SAL allows fewer than {NAME_LIMIT}",
                name.len()
            );
            findings.push(Finding { kind: FindingKind::Name, text });
        }
    }
    if topic.fields.iter().any(|field| field.name == "time" && !field.is_array()) {
        let text = format!("{measurement}: a field named time is dropped by InfluxDB; rename it");
        findings.push(Finding { kind: FindingKind::Error, text });
    }
    for clash in clashes(&topic.fields) {
        let kind = match clash.kind {
            ClashKind::Collision { .. } => FindingKind::Collision,
            ClashKind::Ambiguity => FindingKind::Ambiguity,
        };
        findings.push(Finding { kind, text: format!("{measurement}: {}", explain(&clash)) });
    }
    findings
}

/// A clash as a sentence.
pub fn explain(clash: &Clash) -> String {
    let Clash { array, other, names, kind } = clash;
    let shown = shorten(names);
    match kind {
        ClashKind::Collision { array_is_kept } => {
            let kept = if *array_is_kept { array } else { other };
            format!(
                "array {array} and {other} both claim {shown}; the value of {kept}, declared first, is stored"
            )
        }
        ClashKind::Ambiguity if names.len() == 1 => format!("{shown} looks like an element of array {array}"),
        ClashKind::Ambiguity => format!("{shown} of {other} look like elements of array {array}"),
    }
}

/// `a, b, c and 7 more`
pub fn shorten(names: &[String]) -> String {
    let shown = names.iter().take(NAMES_SHOWN).cloned().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(NAMES_SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use efd_sal::{Field, FieldType, TopicKind};

    use super::*;

    fn topic(fields: &[(&str, usize)]) -> Topic {
        Topic {
            component: "Dome".into(),
            sal_name: "doors".into(),
            kind: TopicKind::Telemetry,
            indexed: false,
            description: String::new(),
            fields: fields.iter().map(|(name, count)| Field::new(name, FieldType::Int, *count)).collect(),
            file_schema: None,
        }
    }

    fn lines(fields: &[(&str, usize)]) -> Vec<String> {
        findings(&topic(fields)).iter().map(Finding::to_string).collect()
    }

    #[test]
    fn a_clash_says_which_value_is_stored() {
        assert_eq!(
            lines(&[("open", 4), ("open1", 1), ("open7", 1)]),
            [
                "collision  lsst.sal.Dome.doors: array open and open1 both claim open1; the value of open, declared first, \
                 is stored",
                "ambiguity  lsst.sal.Dome.doors: open7 looks like an element of array open",
            ]
        );
    }

    #[test]
    fn names_that_influxdb_or_sal_refuse_are_found() {
        let long = "n".repeat(64);
        let found = lines(&[("time", 1), (&long, 1), ("timestamp", 1), (&long[1..], 1)]);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(
            found[0].starts_with("name       lsst.sal.Dome.doors: nnn")
                && found[0].contains("has 64 characters")
        );
        assert!(found[1].starts_with("error      lsst.sal.Dome.doors: a field named time is dropped"));
        assert!(lines(&[("time", 3)]).is_empty(), "time0 is a name like others");
    }

    #[test]
    fn long_lists_are_cut() {
        let names: Vec<String> = (0..10).map(|index| format!("a{index}")).collect();
        assert_eq!(shorten(&names), "a0, a1, a2 and 7 more");
        assert_eq!(shorten(&names[..3]), "a0, a1, a2");
    }
}
