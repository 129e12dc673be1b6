//! When topics were last recorded, and how often they are now.

use efd_proto::query::v1::TopicSummary;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use prost_types::Timestamp;

use crate::error::QueryError;
use crate::influxdb::InfluxDb;
use crate::influxql::{self, Filter, Rows};
use crate::newest::{self, Wanted};
use crate::reading::{Limits, RowStream};
use crate::row::RowReader;
use crate::time_range::{EARLIEST, LATEST, TimeRange};
use crate::topics::Topics;

/// Topics that are looked into at once: enough to keep InfluxDB busy, and few beside the queries of others.
const AT_ONCE: usize = 8;

/// Time over which the rate is taken.
const MINUTE: i64 = 60_000_000_000;

/// Looks into topics.
#[derive(Debug)]
pub struct Activity<'a> {
    /// Where they are described.
    pub topics: &'a Topics,
    /// Where their rows are.
    pub influxdb: &'a InfluxDb,
    /// Bounds on what is held.
    pub limits: Limits,
    /// Now.
    pub now: i64,
}

impl Activity<'_> {
    /// The same topics, with the time of the newest row and the rate of those that have data.
    ///
    /// # Errors
    /// Whatever InfluxDB, the registry, or their answers give cause for.
    pub async fn find(&self, topics: Vec<TopicSummary>) -> Result<Vec<TopicSummary>, QueryError> {
        let looks = topics.into_iter().map(|topic| self.look(topic));
        stream::iter(looks).buffered(AT_ONCE).try_collect().await
    }

    async fn look(&self, mut topic: TopicSummary) -> Result<TopicSummary, QueryError> {
        if !topic.has_data {
            return Ok(topic);
        }
        let Some(column) = self.column(&topic).await? else { return Ok(topic) };
        let columns = [column];
        let wanted = Wanted {
            topic: &topic.name,
            columns: &columns,
            filter: &Filter::default(),
            from: EARLIEST,
            to: LATEST,
            count: 1,
            max_bytes: 0,
        };
        let newest = newest::newest(self.influxdb, self.limits, wanted, self.now).await?;
        topic.newest = newest.span.map(|(newest, _)| timestamp(newest));
        let [column] = &columns;
        topic.rate = Some(self.rate(&topic.name, column).await?);
        Ok(topic)
    }

    /// A column that every row has.
    async fn column(&self, topic: &TopicSummary) -> Result<Option<String>, QueryError> {
        if topic.has_schema {
            match self.topics.find(&topic.name).await {
                Ok(found) => return Ok(found.layout.witness()),
                // It can be looked into all the same.
                Err(QueryError::Schema { .. } | QueryError::UnknownTopic { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(self.influxdb.field_keys(&topic.name).await?.into_iter().next())
    }

    async fn rate(&self, topic: &str, column: &str) -> Result<f64, QueryError> {
        let range = TimeRange::from_ns(self.now.saturating_sub(MINUTE).saturating_add(1), self.now)?;
        let filter = Filter::default();
        let rows = Rows { source: self.influxdb.source(topic), range, filter: &filter };
        let statement = influxql::count([rows], column);
        let mut rows = RowStream::ask(self.influxdb, topic, (&*statement, 1), self.limits).await?;
        if !rows.next().await? {
            return Ok(0.0);
        }
        let mut reader = RowReader::new(rows.row());
        let count = reader.long().and_then(|_| reader.double()).ok().flatten();
        Ok(count.unwrap_or(0.0) / 60.0)
    }
}

fn timestamp(ns: i64) -> Timestamp {
    let nanos = i32::try_from(ns.rem_euclid(1_000_000_000)).unwrap_or_default();
    Timestamp { seconds: ns.div_euclid(1_000_000_000), nanos }
}
