//! The reckoning: every record that Kafka holds, and every row of InfluxDB.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::{bail, ensure};
use efd_kafka::{Admin, KafkaConfig, TopicInfo};
use efd_tests::oracle::{Expected, Oracle, Row};
use efd_tests::{records, stored};
use rdkafka::Message as _;
use rdkafka::consumer::BaseConsumer;

use crate::cluster::COMPONENTS;
use crate::outside::Outside;
use crate::tools::until;

/// Consumer group of the sink worker.
const GROUP: &str = "efd-sink-main";

type Points = HashMap<Arc<str>, HashMap<i64, Row>>;

/// What there is.
#[derive(Debug, Clone, Copy)]
pub struct Found {
    /// Records in Kafka.
    pub records: u64,
    /// Points that InfluxDB has exactly as the records say.
    pub stored: u64,
}

/// Waits until the sink has nothing left, then compares all topics of [`COMPONENTS`].
///
/// # Errors
/// When a record is in InfluxDB not at all, or otherwise than it must be, or something is there that nobody sent.
pub async fn audit(outside: &Outside) -> anyhow::Result<Found> {
    let kafka = outside.kafka();
    let topics = topics(&kafka).await?;
    until("the sink has committed everything", || async {
        let lags = Admin::new(&kafka, "e2e")?.lag(GROUP, &topics).await?;
        let behind: i64 = lags.iter().map(|lag| lag.records).sum();
        if behind == 0 { Ok(()) } else { bail!("{behind} records behind") }
    })
    .await?;
    let (records, mut open) = sent(&kafka, topics, outside.registry_url().to_owned()).await?;
    let (mut good, mut different, mut unknown) = (0, 0, 0);
    stored::for_each_row(&outside.influxdb(), |measurement, nanos, row| {
        if !is_ours(measurement) {
            return;
        }
        match open.get_mut(measurement).and_then(|rows| rows.remove(&nanos)) {
            Some(expected) if expected == row => good += 1,
            Some(_) => different += 1,
            None => unknown += 1,
        }
    })
    .await?;
    let lost: usize = open.values().map(HashMap::len).sum();
    ensure!(
        lost == 0 && different == 0 && unknown == 0,
        "{records} records: {good} stored, {lost} lost, {different} with other values, {unknown} that nobody sent"
    );
    ensure!(good == records, "{records} records gave {good} points: some have one time");
    Ok(Found { records, stored: good })
}

/// Topics of the components, dead letters aside.
async fn topics(kafka: &KafkaConfig) -> anyhow::Result<Vec<TopicInfo>> {
    let mut topics = Admin::new(kafka, "e2e")?.topics().await?;
    topics.retain(|topic| is_ours(&topic.name) && !topic.name.ends_with(".dlq"));
    Ok(topics)
}

/// A topic or measurement of a component; what `helm test` sends is none.
fn is_ours(name: &str) -> bool {
    let component = name.split('.').nth(2);
    component.is_some_and(|component| COMPONENTS.contains(&component)) && !name.ends_with(".chartTest")
}

/// How many records Kafka holds, and the points that they must be.
async fn sent(
    kafka: &KafkaConfig,
    topics: Vec<TopicInfo>,
    registry: String,
) -> anyhow::Result<(u64, Points)> {
    let consumer: BaseConsumer = kafka.client("e2e").set("group.id", "e2e").create()?;
    let mut oracle = Oracle::new(registry)?;
    let reading = tokio::task::spawn_blocking(move || {
        let (mut count, mut points) = (0, Points::new());
        records::for_each(&consumer, &topics, |record| {
            count += 1;
            match oracle.expects(record.payload())? {
                Expected::Point { measurement, nanos, row } => {
                    points.entry(measurement).or_default().insert(nanos, row);
                    Ok(())
                }
                other => bail!("{} of {} is {other:?}", record.offset(), record.topic()),
            }
        })?;
        anyhow::Ok((count, points))
    });
    reading.await?
}
