//! Answers a `Tail`: history from InfluxDB, then what Kafka has of before the call and the sink may not have written yet, then what
//! comes.
//!
//! Each record comes once: history goes as far as InfluxDB has it, and its times are remembered from some minutes before its end (`join`)
//! on. From there on Kafka is read up to the ends that its partitions had when the call began, passing over what is remembered. Then
//! everything from these ends on is new, but for the little that the sink wrote while history was read, which is remembered as well.

use std::collections::VecDeque;

use efd_proto::query::v1::TailResponse;
use efd_schema::RegistryClient;

use crate::answer::{Answer, Part};
use crate::error::QueryError;
use crate::followed::{Followed, live};
use crate::influxdb::InfluxDb;
use crate::influxql::{self, Rows};
use crate::live::{Chunk, Live, Offsets};
use crate::newest::{self, Wanted};
use crate::reading::{Limits, Reading, RowStream};
use crate::scale::Conversion;
use crate::time_range::{EARLIEST, LATEST, TimeRange};

/// Nanoseconds of a millisecond, in which Kafka counts.
const MILLISECOND: i64 = 1_000_000;

/// What a request asks for.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    /// First time of history, as InfluxDB has it; none without history.
    pub since: Option<i64>,
    /// How times of InfluxDB become times of the answer.
    pub answered: Conversion,
    /// How long before the end of history rows are remembered, in nanoseconds.
    pub overlap: i64,
    /// Now.
    pub now: i64,
}

/// An answer that is being made.
#[derive(Debug)]
pub struct TailAnswer {
    influxdb: InfluxDb,
    limits: Limits,
    registry: RegistryClient,
    kafka: Live,
    asked: Asked,
    followed: Vec<Followed>,
    /// Where each partition ended when the call began.
    ends: Offsets,
    /// Partitions that have not passed where they ended when history was complete.
    awaited: Offsets,
    ready: VecDeque<Part<TailResponse>>,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Reads history of the selection of this number.
    History(usize, Option<Box<Reading>>),
    /// Reads what these topics had before the call.
    Past(Vec<String>, Option<Offsets>),
    Present,
}

impl TailAnswer {
    /// Follows selections, whose topics end at `ends` now.
    pub fn new(
        (influxdb, limits): (InfluxDb, Limits),
        registry: RegistryClient,
        (kafka, ends): (Live, Offsets),
        followed: Vec<Followed>,
        asked: Asked,
    ) -> Self {
        let ready = followed.iter().map(Followed::header).collect();
        let state = State::History(0, None);
        let awaited = Offsets::new();
        Self { influxdb, limits, registry, kafka, asked, followed, ends, awaited, ready, state }
    }

    async fn step(&mut self) -> Result<(), QueryError> {
        match std::mem::replace(&mut self.state, State::Present) {
            State::History(number, reading) => self.state = self.history(number, reading).await?,
            State::Past(topics, open) => self.state = self.past(topics, open).await?,
            State::Present => {
                let chunk = self.kafka.chunk().await?;
                self.take(chunk, None).await?;
            }
        }
        Ok(())
    }

    async fn history(&mut self, number: usize, reading: Option<Box<Reading>>) -> Result<State, QueryError> {
        let Some(since) = self.asked.since else { return self.begin_present().await };
        if number >= self.followed.len() {
            let mut topics: Vec<String> =
                self.followed.iter().map(|followed| followed.kafka.clone()).collect();
            topics.sort_unstable();
            topics.dedup();
            return Ok(State::Past(topics, None));
        }
        let reading = match reading {
            Some(reading) => Some(reading),
            None => self.ask(number, since).await?,
        };
        let (Some(mut reading), Some(followed)) = (reading, self.followed.get_mut(number)) else {
            return Ok(State::History(number + 1, None));
        };
        let Some(read) = reading.batch().await? else { return Ok(State::History(number + 1, None)) };
        followed.remember(&read.batch.times)?;
        self.ready.push_back(followed.part(read, self.asked.answered));
        Ok(State::History(number, Some(reading)))
    }

    /// Asks for the history of a selection, and finds where Kafka takes over.
    async fn ask(&mut self, number: usize, since: i64) -> Result<Option<Box<Reading>>, QueryError> {
        let Some(followed) = self.followed.get_mut(number) else { return Ok(None) };
        followed.join = since;
        let chosen = &followed.chosen;
        let columns = chosen.columns();
        if columns.is_empty() || chosen.is_void {
            return Ok(None);
        }
        let wanted = Wanted {
            topic: &chosen.topic,
            columns: &columns,
            filter: &chosen.filter,
            from: since,
            to: LATEST,
            count: 1,
            max_bytes: 0,
        };
        let newest = newest::newest(&self.influxdb, self.limits, wanted, self.asked.now).await?;
        let Some((newest, _)) = newest.span else { return Ok(None) };
        followed.join = newest.min(self.asked.now).saturating_sub(self.asked.overlap).max(since);
        let range = TimeRange::from_ns(since.max(EARLIEST), LATEST)?;
        let rows = Rows { source: self.influxdb.source(&chosen.topic), range, filter: &chosen.filter };
        let statement = influxql::select_range(rows, columns.iter().map(String::as_str));
        let asked = (&*statement, columns.len());
        let rows = RowStream::ask(&self.influxdb, &chosen.topic, asked, self.limits).await?;
        Ok(Some(Box::new(Reading::new(rows, &chosen.fields, self.limits, (0, 0)))))
    }

    /// Reads the last of the topics up to where it ended when the call began.
    async fn past(&mut self, mut topics: Vec<String>, open: Option<Offsets>) -> Result<State, QueryError> {
        let Some(topic) = topics.last() else {
            let topics = self.followed.iter().map(|followed| followed.kafka.clone()).collect();
            self.awaited = self.kafka.ends(topics).await?;
            let ends = &self.ends;
            self.awaited.retain(|partition, end| ends.get(partition).is_some_and(|began| began < end));
            return self.begin_present().await;
        };
        let mut open = match open {
            Some(open) => open,
            None => {
                let joins = self.followed.iter().filter(|followed| followed.kafka == *topic);
                let join = joins.map(|followed| followed.join).min().unwrap_or(LATEST);
                let from = join.saturating_sub(self.asked.overlap).div_euclid(MILLISECOND);
                let mut open = self.kafka.since(topic, from, &self.ends).await?;
                open.retain(|partition, offset| self.ends.get(partition).is_some_and(|end| *offset < *end));
                self.kafka.renew()?;
                self.kafka.assign(&open)?;
                open
            }
        };
        if open.is_empty() {
            topics.pop();
            return Ok(State::Past(topics, None));
        }
        let chunk = self.kafka.chunk().await?;
        self.take(chunk, Some(&mut open)).await?;
        Ok(State::Past(topics, Some(open)))
    }

    async fn begin_present(&mut self) -> Result<State, QueryError> {
        self.kafka.assign(&self.ends)?;
        if self.awaited.is_empty() {
            self.followed.iter_mut().for_each(Followed::forget);
        }
        self.ready.push_back(live());
        Ok(State::Present)
    }

    /// Takes records; with `open`, those of before the call, whose partitions are taken out of it at their ends.
    async fn take(&mut self, chunk: Chunk, mut open: Option<&mut Offsets>) -> Result<(), QueryError> {
        use rdkafka::message::Message as _;

        let of_present = open.is_none();
        for record in &chunk.records {
            let partition = (record.topic().to_owned(), record.partition());
            let is_new = self.ends.get(&partition).is_none_or(|end| record.offset() >= *end);
            let next = record.offset() + 1;
            if let Some(open) = open.as_deref_mut() {
                if self.ends.get(&partition).is_none_or(|end| next >= *end) {
                    open.remove(&partition);
                }
                if is_new {
                    continue;
                }
            }
            for followed in self.followed.iter_mut().filter(|followed| followed.kafka == partition.0) {
                followed.take(record, is_new, (&self.registry, &self.influxdb)).await?;
            }
            if of_present && self.awaited.get(&partition).is_some_and(|end| next >= *end) {
                self.awaited.remove(&partition);
                if self.awaited.is_empty() {
                    self.followed.iter_mut().for_each(Followed::forget);
                }
            }
        }
        if let Some(open) = open {
            open.retain(|partition, _| !chunk.ended.contains(&partition.1));
        }
        let answered = self.asked.answered;
        self.ready.extend(self.followed.iter_mut().filter_map(|followed| followed.batch(answered)));
        Ok(())
    }
}

impl Answer for TailAnswer {
    type Message = TailResponse;

    async fn next(&mut self) -> Result<Option<Part<TailResponse>>, QueryError> {
        loop {
            if let Some(part) = self.ready.pop_front() {
                return Ok(Some(part));
            }
            self.step().await?;
        }
    }
}
