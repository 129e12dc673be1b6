//! The account against what is in the bytes: records are encoded, read by another library, and counted.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use apache_avro::types::Value as AvroValue;

use super::*;
use crate::account::Account;
use crate::clock::Moment;
use crate::simulator::report::{Report, TopicReport};
use crate::simulator::scene::Scene;
use crate::simulator::settings::{Amount, InjectConfig, SimulatorConfig};
use crate::testing::{arrays, heartbeat, sample_topics, scalars};

/// What the bytes of one topic say.
#[derive(Debug, Default)]
struct Seen {
    records: u64,
    undecodable: u64,
    seq_nums: Vec<i32>,
    nan: Vec<i32>,
    infinity: Vec<i32>,
}

impl Seen {
    fn read(&mut self, made: &Made) {
        let mut bytes = Vec::new();
        let sample = &made.sample;
        sample.topic.plan.encode(&sample.private_fields(), &sample.values, &mut bytes).unwrap();
        self.records += 1;
        let Some(fields) = decode(&sample.topic.topic, &bytes) else {
            self.undecodable += 1;
            return;
        };
        let seq_num = fields.iter().find(|(name, _)| name == "private_seqNum");
        let Some((_, AvroValue::Int(seq_num))) = seq_num else { panic!("{fields:?}") };
        if !self.seq_nums.contains(seq_num) {
            let floats: Vec<f64> = fields.iter().flat_map(|(_, value)| floats(value)).collect();
            self.nan.extend(floats.iter().any(|float| float.is_nan()).then_some(*seq_num));
            self.infinity.extend(floats.iter().any(|float| float.is_infinite()).then_some(*seq_num));
        }
        self.seq_nums.push(*seq_num);
    }

    fn assert_is(&self, report: &TopicReport) {
        assert!(report.lists_complete);
        assert_eq!((self.records, self.undecodable), (report.sent, report.undecodable.all()));
        assert_eq!(self.nan, report.nan.seq_nums);
        assert_eq!(self.infinity, report.infinity.seq_nums);
        let distinct: BTreeSet<i32> = self.seq_nums.iter().copied().collect();
        assert_eq!(distinct.len() as u64, report.samples);
        assert_eq!((self.seq_nums.len() - distinct.len()) as u64, report.duplicates.count);
        let again = |number: &&i32| self.seq_nums.iter().filter(|other| other == number).count() == 2;
        let twice: BTreeSet<i32> = distinct.iter().filter(again).copied().collect();
        assert_eq!(twice, report.duplicates.seq_nums.iter().copied().collect());
        let seq_nums = report.seq_nums.as_ref().unwrap();
        assert_eq!((distinct.first(), distinct.last()), (Some(&seq_nums.first), Some(&seq_nums.last)));
        let missing: Vec<i32> = (seq_nums.first..=seq_nums.last).filter(|n| !distinct.contains(n)).collect();
        let gaps: Vec<i32> = seq_nums.gaps.iter().flat_map(|[first, last]| *first..=*last).collect();
        assert_eq!((missing.len() as u64, missing), (seq_nums.missing, gaps));
        let mut newest = 0;
        let mut late = BTreeSet::new();
        for number in &self.seq_nums {
            if *number < newest {
                late.insert(*number);
            }
            newest = newest.max(*number);
        }
        assert_eq!(late, report.late.seq_nums.iter().copied().collect());
    }
}

fn decode(topic: &Topic, bytes: &[u8]) -> Option<Vec<(String, AvroValue)>> {
    let (id, mut body) = efd_schema::wire::split(bytes).ok()?;
    assert_eq!(id, 7);
    let schema = apache_avro::Schema::parse_str(&topic.avro_schema()).unwrap();
    let reader = apache_avro::reader::datum::GenericDatumReader::builder(&schema).build().unwrap();
    match reader.read_value(&mut body).ok()? {
        AvroValue::Record(fields) => Some(fields),
        other => panic!("{other:?}"),
    }
}

fn floats(value: &AvroValue) -> Vec<f64> {
    match value {
        AvroValue::Double(value) => vec![*value],
        AvroValue::Float(value) => vec![f64::from(*value)],
        AvroValue::Array(items) => items.iter().flat_map(floats).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn the_account_says_exactly_what_the_bytes_say() {
    let topics = sample_topics([heartbeat(), arrays(), scalars()]);
    let inject = InjectConfig {
        nan: Amount::Fraction(0.05),
        infinity: Amount::Fraction(0.05),
        gaps: Amount::Fraction(0.03),
        duplicates: Amount::Fraction(0.05),
        late: Amount::Fraction(0.05),
        undecodable: Amount::Fraction(0.05),
        ..InjectConfig::default()
    };
    let settings = SimulatorConfig { inject, ..SimulatorConfig::default() };
    let mut scene = Scene::new(&settings, &topics, &[1.0, 5.0, 10.0], None);
    let mut made = Vec::new();
    let now = Moment { utc_micros: 1_700_000_000_000_000, tai_minus_utc: 37 };
    while scene.next_due().is_some_and(|due| due < Duration::from_secs(100)) {
        scene.make_next(now, &mut made);
    }
    scene.finish(now, &mut made);
    let mut sent = SentAccount::new(&topics, 1000);
    let mut seen: BTreeMap<String, Seen> = BTreeMap::new();
    for made in &made {
        sent.sent(made);
        seen.entry(made.sample.topic.kafka_name.clone()).or_default().read(made);
    }
    let report = Report::new(1, true, Duration::from_secs(1), &sent, &Account::new(&topics));
    assert_eq!(report.topics.len(), 3);
    for topic in &report.topics {
        seen[&topic.topic].assert_is(topic);
    }
    let totals = report.totals;
    assert_eq!((totals.sent, totals.undelivered), (made.len() as u64, made.len() as u64));
    for count in
        [totals.nan, totals.infinity, totals.duplicates, totals.late, totals.undecodable, totals.missing]
    {
        assert!(count > 20, "{totals:?}");
    }
    assert_eq!(totals.values, report.topics.iter().map(|topic| topic.values).sum::<u64>());
    assert_eq!(report.topics[0].values, report.topics[0].samples * 9);
}

#[test]
fn the_file_holds_what_the_report_says() {
    let topics = sample_topics([heartbeat()]);
    let mut sent = SentAccount::new(&topics, 1);
    let mut publisher = crate::publisher::Publisher::new(&topics[0], 1, None);
    let now = Moment { utc_micros: 1_700_000_000_000_000, tai_minus_utc: 37 };
    for _ in 0..3 {
        publisher.skip();
        let made = Made::from(publisher.sample(now, vec![efd_sal::Value::Boolean(false)]));
        sent.sent(&made);
        sent.sent(&Made {
            mark: crate::simulator::made::Mark { kind: Kind::Duplicate, ..made.mark },
            ..made
        });
    }
    let mut delivered = Account::new(&topics);
    delivered.topics[0].delivered = 6;
    let report = Report::new(9, false, Duration::from_millis(1500), &sent, &delivered);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("account.json");
    report.write(&path).unwrap();
    let read = Report::read(&path).unwrap();
    assert_eq!(read, report);
    let topic = &read.topics[0];
    assert_eq!((topic.sent, topic.delivered, topic.samples, topic.duplicates.count), (6, 6, 3, 3));
    assert_eq!(
        topic.seq_nums.as_ref().map(|seq_nums| (seq_nums.first, seq_nums.last, seq_nums.missing)),
        Some((2, 6, 2))
    );
    assert!(!topic.lists_complete, "two gaps, and three duplicates, do not fit into one entry");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing partial is left");
    let error = report.write(&folder.path().join("none/account.json")).unwrap_err().to_string();
    assert!(error.contains("simulator.account"), "{error}");
}
