//! How long a sample takes to become bytes, without Kafka.

use std::sync::Arc;
use std::time::{Duration, Instant};

use efd_ingest::clock::Clock;
use efd_ingest::interfaces;
use efd_ingest::publisher::Publisher;
use efd_ingest::sample::{Sample, SampleTopic};
use efd_ingest::simulator::signals::{Signals, Tick};

use crate::interfaces::{COMPONENT, WIDTHS, sal_name, write};
use crate::room::Room;
use crate::row::{Goal, Row};

/// Nanoseconds per field that are allowed.
const GOAL: f64 = 10.0;
/// Different samples, so that no branch is always right and the values do not sit in the nearest cache.
const SAMPLES: u64 = 1_000;
/// Rounds, of which the best counts: noise only makes them slower.
const ROUNDS: usize = 200;

/// What encoding one record costs.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    /// Nanoseconds.
    pub nanos: f64,
    /// Fields of the record, private ones included.
    pub fields: usize,
    /// Bytes that come out.
    pub bytes: f64,
}

/// Nanoseconds per field of each width.
pub fn run(room: &Room) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for width in WIDTHS {
        let cost = measure(room, width)?;
        let case = format!("{width} fields and {} private", cost.fields - width);
        let per_field = cost.nanos / cost.fields as f64;
        rows.push(Row::new(case, "ns per field, best round", per_field).expected(Goal::AtMost(GOAL)));
    }
    Ok(rows)
}

/// Encodes samples of one topic over and over.
pub fn measure(room: &Room, width: usize) -> anyhow::Result<Cost> {
    let topic = topic(room, width)?;
    let samples = samples(&topic)?;
    let mut out = Vec::new();
    let mut best = Duration::MAX;
    for _ in 0..ROUNDS {
        out.clear();
        let start = Instant::now();
        for sample in &samples {
            topic.plan.encode(&sample.private_fields(), &sample.values, &mut out)?;
        }
        best = best.min(start.elapsed());
        std::hint::black_box(&out);
    }
    let count = samples.len() as f64;
    Ok(Cost {
        nanos: best.as_secs_f64() * 1e9 / count,
        fields: topic.topic.fields.len(),
        bytes: out.len() as f64 / count,
    })
}

fn topic(room: &Room, width: usize) -> anyhow::Result<Arc<SampleTopic>> {
    let folder = write(room.folder())?;
    let components = interfaces::load(&folder, &[COMPONENT.to_owned()])?;
    let name = sal_name(width);
    let topic = components.iter().find_map(|component| component.topic(&name));
    let topic = topic.ok_or_else(|| anyhow::anyhow!("{COMPONENT} has no topic {name}"))?;
    Ok(Arc::new(SampleTopic::new(0, 0, topic.clone(), "sal", 1)))
}

fn samples(topic: &Arc<SampleTopic>) -> anyhow::Result<Vec<Sample>> {
    let now = Clock::new(None)?.now()?;
    let mut signals = Signals::new(1, &topic.topic);
    let mut publisher = Publisher::new(topic, 1, None);
    let mut sample = |number| {
        let tick = Tick { number, since_start: Duration::from_millis(number * 20), tai: now.tai() };
        publisher.sample(now, signals.values(tick))
    };
    Ok((0..SAMPLES).map(&mut sample).collect())
}
