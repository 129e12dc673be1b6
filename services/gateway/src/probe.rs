//! Looks whether InfluxDB answers, and tells readiness, health service, metrics and log.

use std::time::Duration;

use efd_proto::query::v1::query_service_server::QueryServiceServer;
use efd_service::{Backoff, Latch, Stop};
use tonic::server::NamedService;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::influxdb::{InfluxDb, InfluxDbError};
use crate::metrics::Metrics;
use crate::service::Service;

/// Longest wait for one look.
const TIMEOUT: Duration = Duration::from_secs(5);

/// First wait while InfluxDB does not answer.
const FIRST_RETRY: Duration = Duration::from_millis(200);

/// Names whose health depends on InfluxDB: the server as a whole, and its only service.
const NAMES: [&str; 2] = ["", <QueryServiceServer<Service> as NamedService>::NAME];

/// Asks InfluxDB, and tells what it finds.
#[derive(Debug)]
pub struct Probe {
    influxdb: InfluxDb,
    /// Released at the first answer.
    latch: Option<Latch>,
    /// `SERVING` while InfluxDB answers.
    health: HealthReporter,
    metrics: Metrics,
    was_up: Option<bool>,
}

impl Probe {
    /// Nothing is known of InfluxDB yet.
    pub fn new(influxdb: InfluxDb, latch: Latch, health: HealthReporter, metrics: Metrics) -> Self {
        Self { influxdb, latch: Some(latch), health, metrics, was_up: None }
    }

    /// Looks each `interval`, and sooner after a failure, until a stop is requested.
    pub async fn watch(mut self, interval: Duration, stop: Stop) {
        let mut backoff = Backoff::new(FIRST_RETRY.min(interval), interval);
        self.set_health(false).await;
        while !stop.is_requested() {
            let wait = async {
                let outcome = self.influxdb.ping(TIMEOUT).await;
                let is_up = outcome.is_ok();
                self.tell(outcome).await;
                if is_up {
                    backoff.reset();
                    interval
                } else {
                    backoff.next()
                }
            };
            tokio::select! {
                () = stop.requested() => {}
                () = async { tokio::time::sleep(wait.await).await } => {}
            }
        }
        self.set_health(false).await;
    }

    async fn tell(&mut self, outcome: Result<(), InfluxDbError>) {
        let is_up = outcome.is_ok();
        self.metrics.influxdb_up(is_up);
        if let Some(latch) = self.latch.take_if(|_| is_up) {
            latch.release();
        }
        if self.was_up.replace(is_up) == Some(is_up) {
            return;
        }
        self.set_health(is_up).await;
        match outcome {
            Ok(()) => tracing::info!(url = self.influxdb.url(), "InfluxDB answers"),
            Err(error) => tracing::warn!(error = %error, "queries fail until InfluxDB answers"),
        }
    }

    async fn set_health(&self, is_up: bool) {
        let status = if is_up { ServingStatus::Serving } else { ServingStatus::NotServing };
        for name in NAMES {
            self.health.set_service_status(name, status).await;
        }
    }
}
