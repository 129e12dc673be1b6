//! The metrics of servers, beside those of queries. Labels are bounded: routes, statuses, reasons.

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Gauge, Histogram, Meter};

use super::error::HttpError;

/// The instruments; made once.
#[derive(Debug, Clone)]
pub struct HttpMetrics {
    requests: Counter<u64>,
    first_byte: Histogram<f64>,
    sent: Counter<u64>,
    refused: Counter<u64>,
    connections: Gauge<u64>,
    certificate_reloads: Counter<u64>,
}

impl HttpMetrics {
    /// Makes the instruments.
    pub fn new(meter: &Meter) -> Self {
        let metrics = Self {
            requests: meter
                .u64_counter("efd_gateway_http_requests")
                .with_description(
                    "HTTP requests, by route and status; the body of an answer may still go out",
                )
                .build(),
            first_byte: meter
                .f64_histogram("efd_gateway_first_byte")
                .with_unit("s")
                .with_description("Time from an InfluxQL query to the first byte of InfluxDB's answer")
                .build(),
            sent: meter
                .u64_counter("efd_gateway_http_sent")
                .with_unit("By")
                .with_description("Size of answers to InfluxQL queries")
                .build(),
            refused: meter
                .u64_counter("efd_gateway_refused")
                .with_description("Queries over HTTP that were refused for want of room, by reason")
                .build(),
            connections: meter
                .u64_gauge("efd_gateway_http_connections")
                .with_description("HTTP connections, at most http.max_connections")
                .build(),
            certificate_reloads: meter
                .u64_counter("efd_gateway_certificate_reloads")
                .with_description(
                    "Changes of the certificate's files, by whether the new certificate can be used",
                )
                .build(),
        };
        for reason in ["quota_running", "quota_rate", "busy"] {
            metrics.refused.add(0, &[KeyValue::new("reason", reason)]);
        }
        for outcome in ["used", "refused"] {
            metrics.certificate_reloads.add(0, &[KeyValue::new("outcome", outcome)]);
        }
        metrics.sent.add(0, &[]);
        metrics.connections.record(0, &[]);
        metrics
    }

    /// A request has an answer.
    pub fn request(&self, route: &'static str, status: u16) {
        let labels = [KeyValue::new("route", route), KeyValue::new("status", i64::from(status))];
        self.requests.add(1, &labels);
    }

    /// A query was not answered.
    pub fn refused(&self, error: &HttpError) {
        let reason = match error {
            HttpError::OverQuota { over } => over.reason(),
            HttpError::Busy(_) => "busy",
            _ => return,
        };
        self.refused.add(1, &[KeyValue::new("reason", reason)]);
    }

    /// InfluxDB has begun to answer after so many seconds.
    pub fn first_byte(&self, seconds: f64) {
        self.first_byte.record(seconds, &[]);
    }

    /// So much of an answer goes out.
    pub fn sent(&self, bytes: usize) {
        self.sent.add(bytes as u64, &[]);
    }

    /// The certificate's files changed.
    pub fn certificate_reloaded(&self, is_used: bool) {
        let outcome = if is_used { "used" } else { "refused" };
        self.certificate_reloads.add(1, &[KeyValue::new("outcome", outcome)]);
    }

    /// There are so many connections.
    pub fn connections(&self, count: usize) {
        self.connections.record(count as u64, &[]);
    }
}
