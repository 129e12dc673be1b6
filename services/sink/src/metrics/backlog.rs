//! How far behind the sink is, and what it takes at once.

use opentelemetry::metrics::{Gauge, Histogram, Meter};

/// How far behind the sink is, and what it takes at once.
#[derive(Debug)]
pub struct Backlog {
    /// Not read yet.
    pub lag_records: Gauge<u64>,
    /// How old the newest point was.
    pub lag_seconds: Gauge<f64>,
    /// Points of a batch.
    pub batch_points: Histogram<u64>,
    /// Its size.
    pub batch_bytes: Histogram<u64>,
}

impl Backlog {
    /// Makes the instruments.
    pub fn new(meter: &Meter) -> Self {
        let sizes = |name, unit, description| {
            let decades = (0..8).map(|n| 10_f64.powi(n)).collect();
            let histogram = meter.u64_histogram(name).with_unit(unit).with_description(description);
            histogram.with_boundaries(decades).build()
        };
        Self {
            lag_records: meter
                .u64_gauge("efd_sink_lag_records")
                .with_description("Records in Kafka that a pipeline has not read yet")
                .build(),
            lag_seconds: meter
                .f64_gauge("efd_sink_lag")
                .with_unit("s")
                .with_description(
                    "Age of the newest point when it was acknowledged; 0 when nothing is left to read",
                )
                .build(),
            batch_points: sizes("efd_sink_batch_points", "{point}", "Points in a batch"),
            batch_bytes: sizes("efd_sink_batch", "By", "Bytes of its line protocol"),
        }
    }
}
