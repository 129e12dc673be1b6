//! What was produced, what was written, what InfluxDB has: one row for each component.

use std::fmt;

use efd_service::http::Client;

use super::files::Files;
use crate::influxdb::{InfluxDbClient, InfluxDbConfig};
use crate::metrics::Metrics;
use crate::output;
use crate::time::UnixNanos;

/// Sums over all components, as the services count them.
#[derive(Debug, Clone, Copy)]
pub struct Counters {
    produced: f64,
    written: f64,
    given_up: f64,
}

/// One component's records from simulator to InfluxDB.
#[derive(Debug)]
struct Row {
    component: String,
    topics: usize,
    produced: u64,
    written: u64,
    points: u64,
    p50: Option<f64>,
    p99: Option<f64>,
}

/// The demo's result.
#[derive(Debug)]
pub struct Account {
    rows: Vec<Row>,
    dead: u64,
}

impl Counters {
    /// Asks ingest and sink.
    pub async fn read(files: &Files) -> anyhow::Result<Self> {
        let client = Client::new(None)?;
        let ingest = Metrics::scrape(&client, &files.ingest_admin()).await?;
        let sink = Metrics::scrape(&client, &files.sink_admin()).await?;
        let given_up = ["efd_sink_records_dead_total", "efd_sink_records_skipped_total"];
        Ok(Self {
            produced: ingest.sum("efd_ingest_records_delivered_total", &[]),
            written: sink.sum("efd_sink_points_written_total", &[]),
            given_up: given_up.iter().map(|name| sink.sum(name, &[])).sum(),
        })
    }

    /// Whether every record that Kafka took was dealt with.
    pub fn is_settled(&self) -> bool {
        self.produced > 0.0 && self.written + self.given_up >= self.produced
    }
}

impl fmt::Display for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waiting = (self.produced - self.written - self.given_up).max(0.0);
        write!(f, "{} records produced, {} written, {waiting} on their way", self.produced, self.written)
    }
}

impl Account {
    /// Reads the services' metrics and counts the points in InfluxDB that are not older than `started`.
    pub async fn take(
        files: &Files,
        components: &[String],
        influxdb: &InfluxDbConfig,
        started: UnixNanos,
    ) -> anyhow::Result<Self> {
        let client = Client::new(None)?;
        let ingest = Metrics::scrape(&client, &files.ingest_admin()).await?;
        let sink = Metrics::scrape(&client, &files.sink_admin()).await?;
        let influxdb = InfluxDbClient::new(influxdb)?;
        let mut rows = Vec::new();
        for component in components {
            let points = influxdb.count_points(&format!("lsst.sal.{component}."), started).await?;
            let label = [("component", component.as_str())];
            let quantile = |q| sink.quantile("efd_sink_latency_seconds", &label, q);
            rows.push(Row {
                component: component.clone(),
                topics: points.len(),
                produced: whole(ingest.sum("efd_ingest_records_delivered_total", &label)),
                written: whole(sink.sum("efd_sink_points_written_total", &label)),
                points: points.values().sum(),
                p50: quantile(0.5),
                p99: quantile(0.99),
            });
        }
        Ok(Self { rows, dead: whole(sink.sum("efd_sink_records_dead_total", &[])) })
    }

    /// Records that Kafka took and InfluxDB does not have.
    pub fn lost(&self) -> u64 {
        self.rows.iter().map(Row::lost).sum()
    }
}

impl Row {
    fn lost(&self) -> u64 {
        self.produced.saturating_sub(self.points)
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns =
            ["component", "topics", "produced", "written", "points in InfluxDB", "p50", "p99", "lost"];
        let mut table = output::table(&columns);
        for row in &self.rows {
            table.add_row([
                row.component.clone(),
                row.topics.to_string(),
                row.produced.to_string(),
                row.written.to_string(),
                row.points.to_string(),
                milliseconds(row.p50),
                milliseconds(row.p99),
                row.lost().to_string(),
            ]);
        }
        writeln!(f, "{table}")?;
        writeln!(f, "p50 and p99: from private_sndStamp to the write that InfluxDB acknowledged")?;
        if self.dead > 0 {
            writeln!(f, "{} records are in dead-letter topics (<topic>.dlq)", self.dead)?;
        }
        writeln!(f, "lost {}", self.lost())
    }
}

fn milliseconds(seconds: Option<f64>) -> String {
    seconds.map_or_else(|| "-".into(), |seconds| format!("{:.0} ms", seconds * 1000.0))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counters are whole, positive and far below 2^53"
)]
fn whole(value: f64) -> u64 {
    value.round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_influxdb_does_not_have_is_lost() {
        let row = |produced, points| Row {
            component: "Test".into(),
            topics: 2,
            produced,
            written: produced,
            points,
            p50: Some(0.012),
            p99: None,
        };
        let account = Account { rows: vec![row(10, 10), row(10, 7)], dead: 1 };
        assert_eq!(account.lost(), 3);
        let text = account.to_string();
        assert!(text.ends_with("\nlost 3\n"), "{text}");
        assert!(text.contains("12 ms") && text.contains("1 records are in dead-letter topics"));
    }

    #[test]
    fn nothing_is_settled_before_anything_was_produced() {
        let counters = |produced, written, given_up| Counters { produced, written, given_up };
        assert!(!counters(0.0, 0.0, 0.0).is_settled());
        assert!(!counters(5.0, 4.0, 0.0).is_settled());
        assert!(counters(5.0, 4.0, 1.0).is_settled());
    }
}
