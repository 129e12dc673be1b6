//! Fills in the private fields that a client left out.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use efd_sal::SequenceNumber;

use crate::clock::{Clock, Moment};
use crate::grpc::convert::Given;
use crate::grpc::refusal::Refusal;
use crate::sample::{SampleTopic, Stamps};

/// Everybody who ever wrote, per topic.
#[derive(Debug)]
pub struct Writers {
    topics: Vec<Mutex<TopicWriters>>,
    max_writers: usize,
    origin: i32,
}

/// Who a stream writes as.
#[derive(Debug, Clone)]
pub struct Author {
    /// Name of its credential; empty without.
    pub credential: Arc<str>,
    /// What `private_identity` says; none: the component and its index.
    pub identity: Option<Arc<str>>,
}

/// Times that follow from what a client gave, Unix seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GivenTimes {
    /// TAI.
    snd_stamp: f64,
    /// UTC.
    efd_stamp: f64,
}

/// The writers of one topic; whoever holds it gives the next stamps, and must put the sample into the queue before it lets go.
#[derive(Debug, Default)]
pub struct TopicWriters {
    last_micros: i64,
    writers: HashMap<(Arc<str>, i32), Writer>,
}

#[derive(Debug)]
struct Writer {
    identity: Arc<str>,
    sequence: SequenceNumber,
    last_micros: i64,
}

impl GivenTimes {
    /// Completes and checks the times; none where the client gave none.
    ///
    /// # Errors
    /// A time that the table of leap seconds does not cover.
    pub fn new(given: &Given, clock: &Clock) -> Result<Option<Self>, Refusal> {
        let utc = |seconds: f64| {
            let utc = clock.utc_from_tai(seconds);
            utc.map_err(|error| Refusal::time("private_sndStamp", seconds, &error))
        };
        let tai = |seconds: f64| {
            let tai = clock.tai_from_utc(seconds);
            tai.map_err(|error| Refusal::time("private_efdStamp", seconds, &error))
        };
        let (snd_stamp, efd_stamp) = match (given.snd_stamp, given.efd_stamp) {
            (None, None) => return Ok(None),
            (Some(snd_stamp), None) => (snd_stamp, utc(snd_stamp)?),
            (None, Some(efd_stamp)) => (tai(efd_stamp)?, efd_stamp),
            (Some(snd_stamp), Some(efd_stamp)) => {
                utc(snd_stamp)?;
                tai(efd_stamp)?;
                (snd_stamp, efd_stamp)
            }
        };
        Ok(Some(Self { snd_stamp, efd_stamp }))
    }
}

impl Writers {
    /// Nobody wrote to any of so many topics yet; at most `max_writers` are known of each.
    pub fn new(topics: usize, max_writers: usize) -> Self {
        Self {
            topics: std::iter::repeat_with(Mutex::default).take(topics).collect(),
            max_writers,
            // Process ids have 22 bits on Linux.
            origin: i32::try_from(std::process::id()).unwrap_or(i32::MAX),
        }
    }

    /// The writers of a topic; others who write to it wait.
    pub fn of(&self, topic: &SampleTopic) -> Option<MutexGuard<'_, TopicWriters>> {
        self.topics.get(topic.id).map(|topic| topic.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The private fields of the next sample of a topic, of which these are the writers.
    pub fn stamps(
        &self,
        of: (&SampleTopic, &mut TopicWriters),
        author: &Author,
        given: (Given, Option<GivenTimes>),
        now: Moment,
    ) -> Stamps {
        let (topic, writers) = of;
        let (given, times) = given;
        let sal_index = topic.topic.indexed.then(|| given.sal_index.unwrap_or_default());
        // The later of two points with one time would replace the earlier in InfluxDB.
        let moment = if times.is_some() { now } else { writers.next_moment(now) };
        let times = times.unwrap_or_else(|| GivenTimes { snd_stamp: moment.tai(), efd_stamp: moment.utc() });
        let writer = writers.writer(topic, author, sal_index, self.max_writers);
        writer.last_micros = now.utc_micros;
        Stamps {
            sal_index,
            snd_stamp: times.snd_stamp,
            rcv_stamp: given.rcv_stamp.unwrap_or_default(),
            efd_stamp: times.efd_stamp,
            kafka_stamp: given.kafka_stamp.unwrap_or_else(|| moment.tai()),
            seq_num: given.seq_num.unwrap_or_else(|| writer.sequence.next()),
            identity: given.identity.map_or_else(|| writer.identity.clone(), Arc::from),
            origin: given.origin.unwrap_or(self.origin),
        }
    }
}

impl TopicWriters {
    /// The present, or a microsecond after the last sample.
    fn next_moment(&mut self, now: Moment) -> Moment {
        self.last_micros = now.utc_micros.max(self.last_micros.saturating_add(1));
        Moment { utc_micros: self.last_micros, ..now }
    }

    fn writer(
        &mut self,
        topic: &SampleTopic,
        author: &Author,
        sal_index: Option<i32>,
        max_writers: usize,
    ) -> &mut Writer {
        let key = (author.credential.clone(), sal_index.unwrap_or_default());
        if self.writers.len() >= max_writers && !self.writers.contains_key(&key) {
            self.forget_the_most_silent();
        }
        self.writers.entry(key).or_insert_with(|| Writer {
            identity: author.identity.clone().unwrap_or_else(|| topic.identity(sal_index)),
            sequence: SequenceNumber::default(),
            last_micros: 0,
        })
    }

    fn forget_the_most_silent(&mut self) {
        let silent = self.writers.iter().min_by_key(|(_, writer)| writer.last_micros);
        if let Some(key) = silent.map(|(key, _)| key.clone()) {
            self.writers.remove(&key);
        }
    }
}

#[cfg(test)]
#[path = "writers_tests.rs"]
mod tests;
