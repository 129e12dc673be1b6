//! The metrics of the gateway. Labels are bounded: kinds of calls and status codes.

use std::time::Duration;

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
    /// `EstimateCost`
    EstimateCost,
    /// `QueryRange`
    QueryRange,
    /// `QueryLatest`
    QueryLatest,
    /// `QueryWindow`
    QueryWindow,
    /// `QueryPacked`
    QueryPacked,
    /// `QueryAligned`
    QueryAligned,
    /// `Tail`
    Tail,
    /// InfluxQL over HTTP
    InfluxQl,
}

impl Kind {
    const ALL: [Self; 10] = [
        Self::ListTopics,
        Self::GetTopic,
        Self::EstimateCost,
        Self::QueryRange,
        Self::QueryLatest,
        Self::QueryWindow,
        Self::QueryPacked,
        Self::QueryAligned,
        Self::Tail,
        Self::InfluxQl,
    ];

    /// The value of the label `kind`.
    pub fn name(self) -> &'static str {
        match self {
            Self::ListTopics => "list_topics",
            Self::GetTopic => "get_topic",
            Self::EstimateCost => "estimate_cost",
            Self::QueryRange => "query_range",
            Self::QueryLatest => "query_latest",
            Self::QueryWindow => "query_window",
            Self::QueryPacked => "query_packed",
            Self::QueryAligned => "query_aligned",
            Self::Tail => "tail",
            Self::InfluxQl => "influxql",
        }
    }

    /// Whether its answer is streamed, so that it counts as running.
    fn is_streamed(self) -> bool {
        !matches!(self, Self::ListTopics | Self::GetTopic | Self::EstimateCost)
    }

    fn label(self) -> KeyValue {
        KeyValue::new("kind", self.name())
    }
}

/// The instruments; made once.
#[derive(Debug, Clone)]
pub struct Metrics {
    queries: Counter<u64>,
    duration: Histogram<f64>,
    first_batch: Histogram<f64>,
    running: UpDownCounter<i64>,
    cancelled: Counter<u64>,
    rows: Counter<u64>,
    values: Counter<u64>,
    bytes: Counter<u64>,
    influxdb_up: Gauge<u64>,
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
                .with_description("Time from a call to its first rows, by kind")
                .build(),
            running: meter
                .i64_up_down_counter("efd_gateway_queries_running")
                .with_description("Streamed calls that are being answered, by kind")
                .build(),
            cancelled: meter
                .u64_counter("efd_gateway_cancelled")
                .with_description("Calls whose client went away before their end, by kind")
                .build(),
            rows: meter.u64_counter("efd_gateway_rows_sent").with_description("Rows in answers").build(),
            values: meter
                .u64_counter("efd_gateway_values_sent")
                .with_description("Values in answers, those of arrays each")
                .build(),
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
            metrics.cancelled.add(0, &[kind.label()]);
            if kind.is_streamed() {
                metrics.running.add(0, &[kind.label()]);
            }
        }
        metrics.values.add(0, &[]);
        metrics.rows.add(0, &[]);
        metrics.bytes.add(0, &[]);
        metrics.influxdb_up.record(0, &[]);
        metrics
    }

    /// A call begins.
    pub fn begins(&self, kind: Kind) {
        if kind.is_streamed() {
            self.running.add(1, &[kind.label()]);
        }
    }

    /// A call has ended.
    pub fn ended(&self, kind: Kind, status: Code, after: Duration) {
        if kind.is_streamed() {
            self.running.add(-1, &[kind.label()]);
        }
        if status == Code::Cancelled {
            self.cancelled.add(1, &[kind.label()]);
        }
        self.queries.add(1, &labels(kind, status));
        self.duration.record(after.as_secs_f64(), &[kind.label()]);
    }

    /// The first rows are sent.
    pub fn first_batch(&self, kind: Kind, after: Duration) {
        self.first_batch.record(after.as_secs_f64(), &[kind.label()]);
    }

    /// Rows are sent.
    pub fn batch(&self, rows: usize, values: usize, bytes: usize) {
        self.rows.add(rows as u64, &[]);
        self.values.add(values as u64, &[]);
        self.bytes.add(bytes as u64, &[]);
    }

    /// Whether InfluxDB answered.
    pub fn influxdb_up(&self, is_up: bool) {
        self.influxdb_up.record(u64::from(is_up), &[]);
    }
}

fn labels(kind: Kind, status: Code) -> [KeyValue; 2] {
    [kind.label(), KeyValue::new("status", status_name(status))]
}

/// gRPC's name of a code, in lower case.
pub fn status_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "ok",
        Code::Cancelled => "cancelled",
        Code::InvalidArgument => "invalid_argument",
        Code::DeadlineExceeded => "deadline_exceeded",
        Code::NotFound => "not_found",
        Code::ResourceExhausted => "resource_exhausted",
        Code::FailedPrecondition => "failed_precondition",
        Code::Unavailable => "unavailable",
        Code::Unauthenticated => "unauthenticated",
        Code::PermissionDenied => "permission_denied",
        Code::Internal => "internal",
        // `QueryError` gives no other.
        _ => "other",
    }
}
