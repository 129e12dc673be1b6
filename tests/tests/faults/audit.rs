//! The reckoning: the simulator's account, what Kafka holds, the dead letters, and every row of InfluxDB.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use efd::influxdb::InfluxDbConfig;
use efd_ingest::simulator::Report;
use efd_kafka::dead_letter_header;
use efd_tests::oracle::{Expected, Oracle, Row};
use efd_tests::{Generation, Stack, stored};
use rdkafka::Message as _;
use rdkafka::message::{BorrowedMessage, Headers as _};

use crate::load;
use crate::run::Run;

/// Lost points that are named.
const NAMED: usize = 3;

/// One line of the table.
#[derive(Debug)]
pub struct Outcome {
    /// Name of the fault.
    pub fault: String,
    /// Which InfluxDB.
    pub generation: Generation,
    /// Values that the simulator sent in a second.
    pub values_per_second: f64,
    /// Records: of the simulator, and tombstones.
    pub sent: u64,
    /// Points in InfluxDB that are exactly as they must be.
    pub stored: u64,
    /// Records in dead-letter topics, each counted once.
    pub dead: u64,
    /// Tombstones.
    pub skipped: u64,
    /// Records that are neither stored as they must be, nor dead letters.
    pub lost: u64,
    /// Longest time between two acknowledged writes.
    pub stall: Duration,
    /// What is not as it must be.
    pub problems: Vec<String>,
}

/// Where points were to go, and as whom the sink reads them.
pub struct Destination {
    /// What its line in the table is called.
    pub fault: String,
    /// Which InfluxDB.
    pub generation: Generation,
    /// Its name in the sink's settings.
    pub name: &'static str,
    /// Its consumer group.
    pub group: String,
    /// How to read what is stored.
    pub config: InfluxDbConfig,
    /// Longest time between two acknowledged writes.
    pub stall: Duration,
}

/// What Kafka holds, and what must become of it.
#[derive(Default)]
pub struct Sent {
    points: HashMap<Arc<str>, HashMap<i64, Row>>,
    records: HashMap<Place, Fate>,
    topics: HashMap<String, Arc<str>>,
    undecodable: u64,
    tombstones: u64,
    /// Values of all points.
    values: u64,
    /// Different points of one measurement at the same time, of which InfluxDB keeps a mixture.
    merged: u64,
}

/// Where a record is in Kafka.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Place {
    topic: Arc<str>,
    partition: i32,
    offset: i64,
}

/// What must become of a record.
#[derive(Debug)]
struct Fate {
    payload: u64,
    /// None for what must be a dead letter.
    point: Option<(Arc<str>, i64)>,
}

/// The dead letters of one destination.
#[derive(Default)]
struct Letters {
    found: HashMap<Place, u64>,
    destination: &'static str,
}

impl Sent {
    /// Reads everything, dead letters aside.
    pub async fn read(stack: &Stack) -> anyhow::Result<Self> {
        let topics = stack.topics(|name| !name.ends_with(".dlq")).await?;
        let start = (Self::default(), Oracle::new(stack.registry_url())?);
        let take = |(sent, oracle): &mut (Self, Oracle), record: &BorrowedMessage<'_>| {
            let expected = oracle.expects(record.payload())?;
            sent.add(record, expected);
            Ok(())
        };
        Ok(stack.read_all(topics, start, take).await?.0)
    }

    fn add(&mut self, record: &BorrowedMessage<'_>, expected: Expected) {
        let topic = match self.topics.get(record.topic()) {
            Some(topic) => topic.clone(),
            None => self.topics.entry(record.topic().to_owned()).or_insert(record.topic().into()).clone(),
        };
        let place = Place { topic, partition: record.partition(), offset: record.offset() };
        let point = match expected {
            Expected::Tombstone => {
                self.tombstones += 1;
                return;
            }
            Expected::Undecodable => {
                self.undecodable += 1;
                None
            }
            Expected::Point { measurement, nanos, row } => {
                let before = self.points.entry(measurement.clone()).or_default().insert(nanos, row);
                match before {
                    None => self.values += u64::from(row.fields),
                    // Ingest wrote the same record again.
                    Some(before) if before == row => {}
                    Some(_) => self.merged += 1,
                }
                Some((measurement, nanos))
            }
        };
        self.records.insert(place, Fate { payload: fingerprint(record.payload()), point });
    }

    /// What differs from the simulator's account.
    fn against(&self, report: &Report, tombstones: u64) -> Vec<String> {
        let mut sent: HashMap<&str, u64> = HashMap::new();
        for topic in &report.topics {
            *sent.entry(&topic.measurement).or_default() += topic.samples;
        }
        let mut problems: Vec<String> = sent
            .iter()
            .map(|(measurement, samples)| {
                (measurement, *samples, self.points.get(*measurement).map_or(0, HashMap::len) as u64)
            })
            .filter(|(_, samples, found)| samples != found)
            .map(|(measurement, samples, found)| {
                format!("Kafka has {found} of {samples} samples of {measurement}")
            })
            .collect();
        let totals = &report.totals;
        let counts = [
            ("undecodable records", self.undecodable, totals.undecodable),
            ("tombstones", self.tombstones, tombstones),
            ("values", self.values, totals.values),
            ("measurements", self.points.len() as u64, sent.len() as u64),
            ("records that ingest gave up", totals.rejected + totals.undelivered, 0),
            ("points that would be merged", self.merged, 0),
        ];
        let differing = counts.iter().filter(|(_, found, expected)| found != expected);
        problems.extend(differing.map(|(what, found, expected)| format!("{found} {what}, not {expected}")));
        problems
    }
}

impl Letters {
    async fn read(stack: &Stack, destination: &'static str) -> anyhow::Result<Self> {
        let topics = stack.topics(|name| name.ends_with(".dlq")).await?;
        let start = Self { destination, ..Self::default() };
        stack.read_all(topics, start, |letters, record| letters.add(record)).await
    }

    fn add(&mut self, letter: &BorrowedMessage<'_>) -> anyhow::Result<()> {
        let header = |name: &str| {
            let header = letter.headers()?.iter().find(|header| header.key == name)?;
            std::str::from_utf8(header.value?).ok()
        };
        if header("efd.destination") != Some(self.destination) {
            return Ok(());
        }
        let topic = header(dead_letter_header::SOURCE_TOPIC).context("a dead letter says its topic")?;
        let partition = header(dead_letter_header::SOURCE_PARTITION).context("and its partition")?;
        let offset = header(dead_letter_header::SOURCE_OFFSET).context("and its offset")?;
        let place = Place { topic: topic.into(), partition: partition.parse()?, offset: offset.parse()? };
        self.found.insert(place, fingerprint(letter.payload()));
        Ok(())
    }
}

/// Compares everything.
pub async fn audit(
    run: &Run,
    destination: &Destination,
    sent: &Sent,
    report: &Report,
) -> anyhow::Result<Outcome> {
    let mut outcome = Outcome {
        fault: destination.fault.clone(),
        generation: destination.generation,
        values_per_second: report.totals.values as f64 / report.seconds,
        sent: report.totals.sent + run.tombstones,
        stored: 0,
        dead: 0,
        skipped: sent.tombstones,
        lost: 0,
        stall: destination.stall,
        problems: sent.against(report, run.tombstones),
    };
    let letters = Letters::read(&run.stack, destination.name).await?;
    outcome.dead = letters.found.len() as u64;
    let given_up = given_up(run, sent, &letters, &mut outcome);
    let rest = compare(destination, sent, &run.foreign, &mut outcome).await?;
    let lost = rest.iter().filter(|(point, _)| !given_up.contains(point));
    for (place, ((measurement, nanos), why)) in lost.enumerate() {
        outcome.lost += 1;
        if place < NAMED {
            outcome.problems.push(format!("{measurement} at {nanos} {why}"));
        }
    }
    if outcome.values_per_second < load::VALUES_PER_SECOND {
        outcome.problems.push("the load was too small".to_owned());
    }
    Ok(outcome)
}

/// The points of dead letters; says which records are dead letters though they need not be, and which are none though they
/// must be.
fn given_up(run: &Run, sent: &Sent, letters: &Letters, outcome: &mut Outcome) -> HashSet<(Arc<str>, i64)> {
    let mut given_up = HashSet::new();
    let (mut wrong, mut altered, mut missing) = (0_u64, 0_u64, 0_u64);
    for (place, payload) in &letters.found {
        let Some(fate) = sent.records.get(place) else {
            wrong += 1;
            continue;
        };
        altered += u64::from(fate.payload != *payload);
        if let Some((measurement, nanos)) = &fate.point {
            wrong += u64::from(!run.fault.act.refuses(measurement, *nanos));
            given_up.insert((measurement.clone(), *nanos));
        }
    }
    for (place, fate) in &sent.records {
        let must = fate.point.as_ref().is_none_or(|(name, nanos)| run.fault.act.refuses(name, *nanos));
        if must && !letters.found.contains_key(place) {
            missing += 1;
            // A point that is missing as well is counted with those.
            outcome.lost += u64::from(fate.point.is_none());
        }
    }
    let counts = [
        (wrong, "records are dead letters without need"),
        (altered, "dead letters are not as the record was"),
        (missing, "records should be dead letters and are none"),
    ];
    let found = counts.iter().filter(|(count, _)| *count > 0);
    outcome.problems.extend(found.map(|(count, what)| format!("{count} {what}")));
    given_up
}

/// Counts what is stored as it must be; gives what is not, and why.
async fn compare(
    destination: &Destination,
    sent: &Sent,
    foreign: &[i64],
    outcome: &mut Outcome,
) -> anyhow::Result<Vec<((Arc<str>, i64), &'static str)>> {
    let mut open = sent.points.clone();
    let mut differing = Vec::new();
    let mut unknown = 0_u64;
    stored::for_each_row(&destination.config, |measurement, nanos, row| {
        let found = open.get_key_value(measurement).map(|(name, _)| name.clone());
        let expected = open.get_mut(measurement).and_then(|rows| rows.remove(&nanos));
        match (found, expected) {
            (_, Some(expected)) if expected == row => outcome.stored += 1,
            (Some(name), Some(_)) => differing.push(((name, nanos), "is stored with other fields or values")),
            _ if foreign.contains(&nanos) => {}
            _ => unknown += 1,
        }
    })
    .await?;
    if unknown > 0 {
        outcome.problems.push(format!("{unknown} points are stored that nobody sent"));
    }
    let missing = open
        .into_iter()
        .flat_map(|(name, rows)| rows.into_keys().map(move |nanos| ((name.clone(), nanos), "is not stored")));
    differing.extend(missing);
    Ok(differing)
}

/// A number for bytes, or for none.
fn fingerprint(bytes: Option<&[u8]>) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.unwrap_or_default().hash(&mut hasher);
    hasher.finish()
}

impl Outcome {
    /// A fault that could not be run to its end.
    pub fn failed(fault: &str, generation: Generation, problem: String) -> Self {
        Self {
            fault: fault.to_owned(),
            generation,
            values_per_second: 0.0,
            sent: 0,
            stored: 0,
            dead: 0,
            skipped: 0,
            lost: 0,
            stall: Duration::ZERO,
            problems: vec![problem],
        }
    }

    /// Whether everything is as it must be.
    pub fn is_good(&self) -> bool {
        self.lost == 0 && self.problems.is_empty()
    }

    /// The last column.
    pub fn result(&self) -> String {
        if self.is_good() { "good".to_owned() } else { self.problems.join("; ") }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} sent, {} stored, {} dead-lettered, {} lost, {:.0} values/s, worst stall {:.1} s: {}",
            self.fault,
            self.sent,
            self.stored,
            self.dead,
            self.lost,
            self.values_per_second,
            self.stall.as_secs_f64(),
            self.result()
        )
    }
}
