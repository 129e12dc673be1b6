//! The mix of the Summit: 3,000 records and 250,000 values a second, 84 % of the bytes from MTM1M3. Pure.
//!
//! The proportions come from what each topic had in Kafka (`summit.csv`), MTM1M3's telemetry from its 50 Hz. They give the
//! sums when all components are simulated; with fewer, the topics that are there take over for the others. So three
//! factors are fitted: one for MTM1M3, one for the narrow topics and one for the wide topics of all others. Heartbeats,
//! other events and commands keep their nominal rates, as long as the mix does not name them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use efd_sal::{Topic, TopicKind};

use crate::clock::Moment;
use crate::publisher::Publisher;
use crate::sample::SampleTopic;
use crate::simulator::rates::nominal;
use crate::simulator::signals::{Signals, Tick};

/// Records a second; acknowledgements, about one a second, come on top.
pub const RECORDS: f64 = 3_000.0;
/// Values a second, as InfluxDB counts them: every element of an array, and the private fields.
pub const VALUES: f64 = 250_000.0;
/// Part of the payloads' bytes that is MTM1M3's.
pub const MTM1M3_SHARE: f64 = 0.84;

const MIX: &str = include_str!("summit.csv");
const MTM1M3: &str = "MTM1M3";
/// Rate of MTM1M3's control loop.
const MTM1M3_HERTZ: f64 = 50.0;
/// Of telemetry that the mix does not name.
const RARE_HERTZ: f64 = 0.1;
/// What Kafka needs around a payload that is sent alone; the mix was measured with it.
const KAFKA_OVERHEAD: f64 = 70.0;
/// A topic with more bytes is wide; it parts one or two measured values from more.
const NARROW_BYTES: f64 = 90.0;
/// Unit of the third equation, so that all three weigh alike.
const BYTES: f64 = 1e6;
/// Far more than the fit needs, and done in a millisecond.
const SWEEPS: usize = 20_000;

/// What a topic, or a group of topics, has per second.
#[derive(Debug, Clone, Copy, Default)]
pub struct Load {
    /// Records.
    pub records: f64,
    /// Values, private fields included.
    pub values: f64,
    /// Bytes of the payloads.
    pub bytes: f64,
    /// Those of MTM1M3.
    pub mtm1m3_bytes: f64,
}

/// Which factor a topic's rate gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Group {
    Mtm1m3 = 0,
    Narrow = 1,
    Wide = 2,
    Fixed = 3,
}

/// Samples per second for each of the topics.
pub fn rates(topics: &[Arc<SampleTopic>]) -> Vec<f64> {
    let mix = mix();
    let mut groups = [Load::default(); 4];
    let mut bases = Vec::with_capacity(topics.len());
    for topic in topics {
        let one = Load::of_one(topic);
        let (group, hertz) = base(&topic.topic, &one, &mix);
        bases.push((group, hertz));
        if let Some(sum) = groups.get_mut(group as usize) {
            sum.add(&one, hertz);
        }
    }
    let factors = fit(&groups);
    let rate = |(group, hertz): (Group, f64)| hertz * factors.get(group as usize).copied().unwrap_or(1.0);
    bases.into_iter().map(rate).collect()
}

/// What `topics` at `rates` (samples per second) come to.
pub fn load(topics: &[Arc<SampleTopic>], rates: &[f64]) -> Load {
    let mut sum = Load::default();
    for (topic, hertz) in topics.iter().zip(rates) {
        sum.add(&Load::of_one(topic), *hertz);
    }
    sum
}

impl Load {
    /// One record of a topic; its size is that of a sample, encoded.
    fn of_one(topic: &Arc<SampleTopic>) -> Self {
        let now = Moment { utc_micros: 1_700_000_000_000_000, tai_minus_utc: 37 };
        let tick = Tick { number: 0, since_start: Duration::ZERO, tai: now.tai() };
        let values = Signals::new(0, &topic.topic).values(tick);
        let sample = Publisher::new(topic, 1, None).sample(now, values);
        let mut payload = Vec::new();
        // A topic that cannot be encoded sends nothing.
        let _ = topic.plan.encode(&sample.private_fields(), &sample.values, &mut payload);
        let bytes = payload.len() as f64;
        let is_mtm1m3 = &*topic.topic.component == MTM1M3;
        Self {
            records: 1.0,
            values: value_count(&topic.topic) as f64,
            bytes,
            mtm1m3_bytes: if is_mtm1m3 { bytes } else { 0.0 },
        }
    }

    fn add(&mut self, one: &Self, times: f64) {
        self.records += one.records * times;
        self.values += one.values * times;
        self.bytes += one.bytes * times;
        self.mtm1m3_bytes += one.mtm1m3_bytes * times;
    }

    /// How far the share of MTM1M3 is above what it should be, as bytes.
    fn surplus(&self) -> f64 {
        self.mtm1m3_bytes - MTM1M3_SHARE * self.bytes
    }
}

/// Values of one record, as InfluxDB counts them.
pub fn value_count(topic: &Topic) -> usize {
    topic.fields.iter().map(|field| field.count).sum()
}

fn mix() -> HashMap<(&'static str, &'static str), f64> {
    let row = |line: &'static str| {
        let (component, rest) = line.split_once(',')?;
        let (sal_name, bytes) = rest.split_once(',')?;
        Some(((component, sal_name), bytes.parse().ok()?))
    };
    MIX.lines().filter_map(row).collect()
}

/// Group of a topic, and its rate before the fit.
fn base(topic: &Topic, one: &Load, mix: &HashMap<(&str, &str), f64>) -> (Group, f64) {
    let is_mtm1m3 = &*topic.component == MTM1M3;
    let group = match one.bytes {
        _ if is_mtm1m3 => Group::Mtm1m3,
        bytes if bytes <= NARROW_BYTES => Group::Narrow,
        _ => Group::Wide,
    };
    let is_telemetry = topic.kind == TopicKind::Telemetry;
    if is_mtm1m3 && is_telemetry {
        return (group, MTM1M3_HERTZ);
    }
    match mix.get(&(&*topic.component, topic.sal_name.as_str())) {
        Some(bytes) => (group, bytes / (one.bytes + KAFKA_OVERHEAD)),
        None if is_telemetry => (group, RARE_HERTZ),
        None => (Group::Fixed, nominal(topic)),
    }
}

/// The factors of the three groups with which the sums come out as nearly as possible; none is negative. Without
/// MTM1M3 only the number of records can be right.
fn fit(groups: &[Load; 4]) -> [f64; 3] {
    let [mtm1m3, narrow, wide, fixed] = groups;
    if mtm1m3.records == 0.0 {
        let factor =
            (RECORDS - fixed.records).max(0.0) / (narrow.records + wide.records).max(f64::MIN_POSITIVE);
        return [1.0, factor, factor];
    }
    let column = |load: &Load| [load.records / RECORDS, load.values / VALUES, load.surplus() / BYTES];
    let columns = [column(mtm1m3), column(narrow), column(wide)];
    let [records, values, surplus] = column(fixed);
    let mut rest = [1.0 - records, 1.0 - values, -surplus];
    let mut factors = [0.0; 3];
    // Least squares, one factor at a time.
    for _ in 0..SWEEPS {
        for (factor, column) in factors.iter_mut().zip(&columns) {
            let square: f64 = column.iter().map(|x| x * x).sum();
            if square == 0.0 {
                continue;
            }
            let step: f64 = column.iter().zip(&rest).map(|(x, r)| x * r).sum::<f64>() / square;
            let next = f64::max(*factor + step, 0.0);
            for (r, x) in rest.iter_mut().zip(column) {
                *r -= (next - *factor) * x;
            }
            *factor = next;
        }
    }
    factors
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::interfaces;
    use crate::simulator::account::SentAccount;
    use crate::simulator::scene::Scene;
    use crate::simulator::settings::{Profile, SimulatorConfig};
    use crate::testing::sample_topics;

    const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

    fn topics(folder: &str, components: &[&str]) -> Vec<Arc<SampleTopic>> {
        let names: Vec<String> = components.iter().map(|name| (*name).to_owned()).collect();
        let components = interfaces::load(&Path::new(ROOT).join(folder), &names).unwrap();
        sample_topics(components.into_iter().flat_map(|component| component.topics))
    }

    fn assert_sums(topics: &[Arc<SampleTopic>]) {
        let rates = rates(topics);
        let load = load(topics, &rates);
        let near = |value: f64, goal: f64| (value / goal - 1.0).abs() < 0.005;
        assert!(near(load.records, RECORDS) && near(load.values, VALUES), "{load:?}");
        assert!(near(load.mtm1m3_bytes / load.bytes, MTM1M3_SHARE), "{load:?}");
        for (topic, hertz) in
            topics.iter().zip(&rates).filter(|(topic, _)| topic.topic.kind != TopicKind::Ack)
        {
            assert!(*hertz > 0.0 && *hertz < 1000.0, "{}: {hertz}", topic.kafka_name);
        }
    }

    #[test]
    fn our_three_components_have_the_sums_of_the_summit() {
        let topics = topics("interfaces", &["ATCamera", "MTM1M3", "Test"]);
        assert_sums(&topics);
        let hertz = rates(&topics);
        let of =
            |name: &str| topics.iter().position(|topic| topic.kafka_name.ends_with(name)).map(|id| hertz[id]);
        let fast = of("MTM1M3.forceActuatorData").unwrap();
        assert!((45.0..65.0).contains(&fast), "{fast}");
        assert_eq!(of("Test.logevent_heartbeat"), Some(1.0));
    }

    #[test]
    fn what_the_simulator_makes_of_them_has_these_sums() {
        const SECONDS: u32 = 5;
        let topics = topics("interfaces", &["ATCamera", "MTM1M3", "Test"]);
        let settings = SimulatorConfig { profile: Profile::Summit, ..SimulatorConfig::default() };
        let mut scene = Scene::new(&settings, &topics, &rates(&topics), None);
        let mut sent = SentAccount::new(&topics, 0);
        let mut made = Vec::new();
        while scene.next_due().is_some_and(|due| due < Duration::from_secs(SECONDS.into())) {
            scene.make_next(Moment { utc_micros: 1_700_000_000_000_000, tai_minus_utc: 37 }, &mut made);
            made.drain(..).for_each(|made| sent.sent(&made));
        }
        let records: u64 = sent.topics().iter().map(|topic| topic.records).sum();
        let values: u64 = sent.topics().iter().map(|topic| topic.values).sum();
        let near = |count: u64, goal: f64| (count as f64 / f64::from(SECONDS) / goal - 1.0).abs() < 0.03;
        assert!(near(records, RECORDS) && near(values, VALUES), "{records} records, {values} values");
    }

    #[test]
    fn the_observatorys_interfaces_have_them_too() {
        if !Path::new(ROOT).join("../shared/data/ts_xml").is_dir() {
            println!("skipped: ../shared/data/ts_xml is not there");
            return;
        }
        assert_sums(&topics(
            "../shared/data/ts_xml",
            &["ATCamera", "ESS", "GIS", "MTM1M3", "MTMount", "Test"],
        ));
    }

    #[test]
    fn without_mtm1m3_the_number_of_records_is_right() {
        let topics = topics("interfaces", &["ATCamera"]);
        let load = load(&topics, &rates(&topics));
        assert!((load.records / RECORDS - 1.0).abs() < 0.001, "{load:?}");
    }

    #[test]
    fn every_row_of_the_mix_is_read() {
        let rows = MIX.lines().filter(|line| !line.starts_with('#')).count() - 1;
        assert_eq!((mix().len(), rows), (169, 169));
        assert!(mix().values().all(|bytes| *bytes >= 1.0));
    }
}
