//! Fills in the private fields of one simulated writer's samples of one topic.

use std::sync::Arc;

use efd_sal::{SequenceNumber, Value};

use crate::clock::Moment;
use crate::sample::{Sample, SampleTopic, Stamps};
use crate::source::Source;

/// One writer of one topic: counts its samples and keeps their times apart.
#[derive(Debug)]
pub struct Publisher {
    topic: Arc<SampleTopic>,
    sal_index: Option<i32>,
    identity: Arc<str>,
    origin: i32,
    sequence: SequenceNumber,
    last_micros: i64,
}

impl Publisher {
    /// A writer that has written nothing; `sal_index` counts for indexed components only. Without an `identity` it is
    /// `<Component>` or `<Component>:<salIndex>`.
    pub fn new(topic: &Arc<SampleTopic>, sal_index: i32, identity: Option<&str>) -> Self {
        let sal_index = topic.topic.indexed.then_some(sal_index);
        let identity = identity.map_or_else(|| topic.identity(sal_index), Arc::from);
        Self {
            topic: topic.clone(),
            sal_index,
            identity,
            // Process ids have 22 bits on Linux.
            origin: i32::try_from(std::process::id()).unwrap_or(i32::MAX),
            sequence: SequenceNumber::default(),
            last_micros: i64::MIN,
        }
    }

    /// Where its samples go.
    pub fn topic(&self) -> &Arc<SampleTopic> {
        &self.topic
    }

    /// Takes the next sequence number out of use: no sample will have it.
    pub fn skip(&mut self) {
        self.sequence.next();
    }

    /// Publishes another version of the topic from now on; the sequence numbers go on.
    pub fn change(&mut self, topic: Arc<SampleTopic>) {
        self.topic = topic;
    }

    /// A sample published now. Two samples never share a microsecond, because the later one would replace the earlier in
    /// InfluxDB; when the clock stands still or goes back, the stamps go on by one microsecond.
    pub fn sample(&mut self, now: Moment, values: Vec<Value>) -> Sample {
        let utc_micros = now.utc_micros.max(self.last_micros.saturating_add(1));
        self.last_micros = utc_micros;
        let moment = Moment { utc_micros, ..now };
        let stamps = Stamps {
            sal_index: self.sal_index,
            snd_stamp: moment.tai(),
            rcv_stamp: 0.0,
            efd_stamp: moment.utc(),
            kafka_stamp: moment.tai(),
            seq_num: self.sequence.next(),
            identity: self.identity.clone(),
            origin: self.origin,
        };
        Sample {
            topic: self.topic.clone(),
            stamps,
            values,
            source: Source::Simulator,
            receipt: None,
            parent: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn stamps_increase_by_a_microsecond_even_when_the_clock_goes_back() {
        let topic = testing::sample_topic(testing::heartbeat());
        let mut publisher = Publisher::new(&topic, 1, None);
        let times = [5_000_000, 5_000_000, 4_000_000, 5_000_001, 6_000_000];
        let samples = times.map(|utc_micros| {
            publisher.sample(Moment { utc_micros, tai_minus_utc: 37 }, vec![Value::Boolean(false)])
        });
        let micros = samples.clone().map(|sample| (sample.stamps.efd_stamp * 1e6).round() as i64);
        assert_eq!(micros, [5_000_000, 5_000_001, 5_000_002, 5_000_003, 6_000_000]);
        assert_eq!(samples.clone().map(|sample| sample.stamps.seq_num), [1, 2, 3, 4, 5]);
        for sample in samples {
            assert_eq!(sample.stamps.snd_stamp - sample.stamps.efd_stamp, 37.0);
            assert_eq!((sample.stamps.kafka_stamp, sample.stamps.rcv_stamp), (sample.stamps.snd_stamp, 0.0));
        }
    }

    #[test]
    fn identity_and_index_follow_the_component() {
        let now = Moment { utc_micros: 0, tai_minus_utc: 37 };
        let identity = |topic, name: Option<&str>| {
            let stamps = Publisher::new(&testing::sample_topic(topic), 3, name).sample(now, vec![]).stamps;
            (stamps.identity.to_string(), stamps.sal_index)
        };
        assert_eq!(identity(testing::heartbeat(), None), ("ATCamera".to_owned(), None));
        assert_eq!(identity(testing::arrays(), None), ("Test:3".to_owned(), Some(3)));
        assert_eq!(identity(testing::arrays(), Some("ops@here")), ("ops@here".to_owned(), Some(3)));
    }
}
