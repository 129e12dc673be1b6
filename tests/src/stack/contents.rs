//! What is in Kafka and InfluxDB, and how a test puts something there past the services.

use std::collections::BTreeMap;

use bytes::Bytes;
use efd::influxdb::InfluxDbClient;
use efd_kafka::{Admin, OutRecord, Producer, ProducerOptions, TopicInfo};
use efd_service::http::Client;
use rdkafka::Message as _;
use rdkafka::consumer::BaseConsumer;
use rdkafka::message::{BorrowedMessage, OwnedMessage};

use super::{Stack, WORKER};
use crate::{DEADLINE, records};

impl Stack {
    /// Records in all topics of SAL components, dead letters aside, counted by Kafka. Compaction has not begun when a test
    /// counts, so every offset is a record.
    ///
    /// # Errors
    /// When Kafka does not answer.
    pub async fn records_in_kafka(&self) -> anyhow::Result<u64> {
        self.count_in_kafka(|name| !name.ends_with(".dlq")).await
    }

    /// Records in one topic, counted by Kafka.
    ///
    /// # Errors
    /// When Kafka does not answer.
    pub async fn records_of(&self, topic: &str) -> anyhow::Result<u64> {
        self.count_in_kafka(|name| name == topic).await
    }

    /// Records in the dead-letter topics.
    ///
    /// # Errors
    /// When Kafka does not answer.
    pub async fn dead_letters(&self) -> anyhow::Result<u64> {
        self.count_in_kafka(|name| name.ends_with(".dlq")).await
    }

    async fn count_in_kafka(&self, wanted: impl Fn(&str) -> bool) -> anyhow::Result<u64> {
        // A group that never committed is behind by every record there is.
        self.lag("efd-tests-count", wanted).await
    }

    /// Records that a consumer group has not committed, of each topic of SAL components that is wanted and has any.
    ///
    /// # Errors
    /// When Kafka does not answer.
    pub async fn behind(
        &self,
        group: &str,
        wanted: impl Fn(&str) -> bool,
    ) -> anyhow::Result<BTreeMap<String, i64>> {
        let topics = self.topics(wanted).await?;
        let admin = Admin::new(&self.kafka.config(), "efd-tests")?;
        let mut behind = BTreeMap::new();
        for lag in admin.lag(group, &topics).await?.into_iter().filter(|lag| lag.records > 0) {
            *behind.entry(lag.partition.topic.to_string()).or_default() += lag.records;
        }
        Ok(behind)
    }

    async fn lag(&self, group: &str, wanted: impl Fn(&str) -> bool) -> anyhow::Result<u64> {
        Ok(u64::try_from(self.behind(group, wanted).await?.values().sum::<i64>())?)
    }

    /// The topics of SAL components that are wanted.
    ///
    /// # Errors
    /// When Kafka does not answer.
    pub async fn topics(&self, wanted: impl Fn(&str) -> bool) -> anyhow::Result<Vec<TopicInfo>> {
        let mut topics = Admin::new(&self.kafka.config(), "efd-tests")?.topics().await?;
        topics.retain(|topic| topic.name.starts_with("lsst.") && wanted(&topic.name));
        Ok(topics)
    }

    /// Points in InfluxDB of all SAL measurements.
    ///
    /// # Errors
    /// When InfluxDB does not answer.
    pub async fn points(&self) -> anyhow::Result<u64> {
        Ok(InfluxDbClient::new(&self.influxdb.config())?.count_points("lsst.sal.", 0).await?.values().sum())
    }

    /// Waits until InfluxDB has this many points, then looks that the sink has nothing left and the count stays exact.
    ///
    /// # Errors
    /// When the points do not come, or are more.
    pub async fn points_reach(&self, records: u64) -> anyhow::Result<()> {
        crate::eventually(&format!("InfluxDB has {records} points"), || async {
            let points = self.points().await?;
            anyhow::ensure!(points <= records, "{points} points are more than {records} records");
            if points == records { Ok(true) } else { anyhow::bail!("{points} points") }
        })
        .await?;
        let group = format!("efd-sink-{WORKER}");
        crate::eventually("the sink has committed everything", || async {
            let behind = self.lag(&group, |name| !name.ends_with(".dlq")).await?;
            if behind == 0 { Ok(true) } else { anyhow::bail!("{behind} records behind") }
        })
        .await?;
        let points = self.points().await?;
        anyhow::ensure!(points == records, "{points} points of {records} records");
        Ok(())
    }

    /// Writes line protocol to InfluxDB, past the sink.
    ///
    /// # Errors
    /// When InfluxDB refuses it.
    pub async fn write_lines(&self, lines: &str) -> anyhow::Result<()> {
        let url = format!("{}/write?db=efd&rp=autogen&precision=ns", self.influxdb.url());
        let token = self.influxdb.config().token;
        let request = http::Request::post(url)
            .header("authorization", format!("Token {}", token.expose()))
            .body(Bytes::from(lines.to_owned()))?;
        let answer = Client::new(None)?.send(request, DEADLINE).await?;
        anyhow::ensure!(answer.status().is_success(), "{}", String::from_utf8_lossy(answer.body()));
        Ok(())
    }

    /// Asks InfluxDB in InfluxQL, times as Unix nanoseconds; several statements stand behind semicolons.
    ///
    /// # Errors
    /// When InfluxDB refuses the query as a whole.
    pub async fn query(&self, statements: &str) -> anyhow::Result<serde_json::Value> {
        let url = format!("{}/query?db=efd&rp=autogen&epoch=ns", self.influxdb.url());
        let token = self.influxdb.config().token;
        let encoded: String = statements.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let request = http::Request::post(url)
            .header("authorization", format!("Token {}", token.expose()))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Bytes::from(format!("q={encoded}")))?;
        let answer = Client::new(None)?.send(request, DEADLINE).await?;
        anyhow::ensure!(answer.status().is_success(), "{}", String::from_utf8_lossy(answer.body()));
        Ok(serde_json::from_slice(answer.body())?)
    }

    /// Deletes all points of a measurement, past the sink.
    ///
    /// # Errors
    /// When InfluxDB refuses.
    pub async fn drop_measurement(&self, name: &str) -> anyhow::Result<()> {
        let config = self.influxdb.config();
        if config.version == 1 {
            let statement = format!("DROP MEASUREMENT \"{name}\"");
            return InfluxDbClient::new(&config)?.query(&statement).await.map(drop);
        }
        let body = serde_json::json!({
            "start": "1970-01-01T00:00:00Z",
            "stop": "2200-01-01T00:00:00Z",
            "predicate": format!("_measurement=\"{name}\""),
        });
        let url = format!("{}/api/v2/delete?org=efd&bucket=efd%2Fautogen", self.influxdb.url());
        let request = http::Request::post(url)
            .header("authorization", format!("Token {}", config.token.expose()))
            .header("content-type", "application/json")
            .body(Bytes::from(body.to_string()))?;
        let answer = Client::new(None)?.send(request, DEADLINE).await?;
        anyhow::ensure!(answer.status().is_success(), "{}", String::from_utf8_lossy(answer.body()));
        Ok(())
    }

    /// A producer of the test's own.
    ///
    /// # Errors
    /// Never with the test's settings.
    pub fn producer(&self) -> anyhow::Result<Producer> {
        Ok(Producer::new(&self.kafka.config(), "efd-tests", &ProducerOptions::default())?)
    }

    /// Reads the oldest records of a topic, at most `count`.
    ///
    /// # Errors
    /// When Kafka does not answer, or has none within the deadline.
    pub async fn read(&self, topic: &str, count: usize) -> anyhow::Result<Vec<OwnedMessage>> {
        let consumer: BaseConsumer =
            self.kafka.config().client("efd-tests").set("group.id", "efd-tests").create()?;
        let topic = topic.to_owned();
        tokio::task::spawn_blocking(move || records::read(&consumer, &topic, count)).await?
    }

    /// Gives every record of all partitions of the topics, up to their present ends, on a thread that may block.
    ///
    /// # Errors
    /// When Kafka does not answer, or `take` fails.
    pub async fn read_all<T: Send + 'static>(
        &self,
        topics: Vec<TopicInfo>,
        mut start: T,
        take: impl Fn(&mut T, &BorrowedMessage<'_>) -> anyhow::Result<()> + Send + 'static,
    ) -> anyhow::Result<T> {
        let consumer: BaseConsumer =
            self.kafka.config().client("efd-tests").set("group.id", "efd-tests").create()?;
        let reading = tokio::task::spawn_blocking(move || {
            records::for_each(&consumer, &topics, |record| take(&mut start, record))?;
            anyhow::Ok(start)
        });
        reading.await?
    }

    /// Produces the oldest records of a topic again, as they are; how many those were.
    ///
    /// # Errors
    /// When Kafka does not answer.
    pub async fn copy_records(&self, topic: &str, count: usize) -> anyhow::Result<usize> {
        let records = self.read(topic, count).await?;
        let mut batch = self.producer()?.batch();
        for record in &records {
            let (key, payload) = (record.key(), record.payload());
            batch.send(OutRecord { topic, key, payload, ..OutRecord::default() }).await?;
        }
        batch.delivered().await?;
        Ok(records.len())
    }
}
