//! The metrics of the gateway. Labels are bounded: kinds of calls and status codes.

use std::time::Instant;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Gauge, Histogram, Meter, UpDownCounter};
use tonic::Code;

/// Calls that are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `ListTopics`
    ListTopics,
    /// `GetTopic`
    GetTopic,
    /// `QueryRange`
    QueryRange,
}

impl Kind {
    const ALL: [Self; 3] = [Self::ListTopics, Self::GetTopic, Self::QueryRange];

    /// The value of the label `kind`.
    pub fn name(self) -> &'static str {
        match self {
            Self::ListTopics => "list_topics",
            Self::GetTopic => "get_topic",
            Self::QueryRange => "query_range",
        }
    }
}

/// The instruments; made once.
#[derive(Debug, Clone)]
pub struct Metrics {
    queries: Counter<u64>,
    duration: Histogram<f64>,
    first_batch: Histogram<f64>,
    running: UpDownCounter<i64>,
    rows: Counter<u64>,
    bytes: Counter<u64>,
    influxdb_up: Gauge<u64>,
}

/// A call that is being answered. What it was is recorded when it is dropped; unless told otherwise, the client went away.
#[derive(Debug)]
pub struct Running {
    metrics: Metrics,
    kind: Kind,
    started: Instant,
    status: Code,
    has_batch: bool,
}

impl Metrics {
    /// Makes the instruments and sets every series to 0, so that it exists before its first event.
    pub fn new(meter: &Meter) -> Self {
        let metrics = Self {
            queries: meter
                .u64_counter("efd_gateway_queries")
                .with_description("Calls that ended, by kind and gRPC status")
                .build(),
            duration: meter
                .f64_histogram("efd_gateway_query")
                .with_unit("s")
                .with_description("Time from a call to the end of its answer")
                .build(),
            first_batch: meter
                .f64_histogram("efd_gateway_first_batch")
                .with_unit("s")
                .with_description("Time from a QueryRange call to its first rows")
                .build(),
            running: meter
                .i64_up_down_counter("efd_gateway_queries_running")
                .with_description("QueryRange calls that are being answered, at most query.max_running")
                .build(),
            rows: meter.u64_counter("efd_gateway_rows_sent").with_description("Rows in answers").build(),
            bytes: meter
                .u64_counter("efd_gateway_batches_sent")
                .with_unit("By")
                .with_description("Size of the rows in answers")
                .build(),
            influxdb_up: meter
                .u64_gauge("efd_gateway_influxdb_up")
                .with_description("1 when InfluxDB answered the last time it was asked, else 0")
                .build(),
        };
        for kind in Kind::ALL {
            metrics.queries.add(0, &labels(kind, Code::Ok));
        }
        metrics.running.add(0, &[]);
        metrics.rows.add(0, &[]);
        metrics.bytes.add(0, &[]);
        metrics.influxdb_up.record(0, &[]);
        metrics
    }

    /// A call begins.
    pub fn begin(&self, kind: Kind) -> Running {
        if kind == Kind::QueryRange {
            self.running.add(1, &[]);
        }
        Running {
            metrics: self.clone(),
            kind,
            started: Instant::now(),
            status: Code::Cancelled,
            has_batch: false,
        }
    }

    /// Whether InfluxDB answered.
    pub fn influxdb_up(&self, is_up: bool) {
        self.influxdb_up.record(u64::from(is_up), &[]);
    }
}

impl Running {
    /// What it ends with.
    pub fn ends(&mut self, status: Code) {
        self.status = status;
    }

    /// Rows are sent.
    pub fn batch(&mut self, rows: usize, bytes: usize) {
        if !self.has_batch {
            self.has_batch = true;
            self.metrics.first_batch.record(self.started.elapsed().as_secs_f64(), &[]);
        }
        self.metrics.rows.add(rows as u64, &[]);
        self.metrics.bytes.add(bytes as u64, &[]);
    }

    /// Which call.
    pub fn kind(&self) -> Kind {
        self.kind
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.kind == Kind::QueryRange {
            self.metrics.running.add(-1, &[]);
        }
        self.metrics.queries.add(1, &labels(self.kind, self.status));
        let kind = KeyValue::new("kind", self.kind.name());
        self.metrics.duration.record(self.started.elapsed().as_secs_f64(), &[kind]);
    }
}

fn labels(kind: Kind, status: Code) -> [KeyValue; 2] {
    [KeyValue::new("kind", kind.name()), KeyValue::new("status", status_name(status))]
}

/// gRPC's name of a code, in lower case.
fn status_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "ok",
        Code::Cancelled => "cancelled",
        Code::InvalidArgument => "invalid_argument",
        Code::DeadlineExceeded => "deadline_exceeded",
        Code::NotFound => "not_found",
        Code::ResourceExhausted => "resource_exhausted",
        Code::FailedPrecondition => "failed_precondition",
        Code::Unavailable => "unavailable",
        Code::Internal => "internal",
        // `QueryError` gives no other.
        _ => "other",
    }
}
