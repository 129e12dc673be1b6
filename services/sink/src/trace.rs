//! Links the span of a write to the batches in which its records were produced, whose context rides in their headers (W3C
//! Trace Context).

use std::collections::HashSet;

use efd_service::MAX_LINKS;
use opentelemetry::Context;
use opentelemetry::global::get_text_map_propagator;
use opentelemetry::propagation::Extractor;
use opentelemetry::trace::TraceContextExt as _;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use crate::batch::Batch;
use crate::record::Record;

/// The header that identifies a producer's batch.
const TRACEPARENT: &str = "traceparent";

/// Adds a link for each batch that records of `batch` were produced in. Costs nothing while no traces are exported.
pub fn link_producers(span: &Span, batch: &Batch) {
    if !span.context().span().span_context().is_valid() {
        return;
    }
    let mut seen = HashSet::new();
    for (_, record) in batch.entries().iter().filter_map(|entry| batch.record(entry)) {
        let Some(parent) = header(&record, TRACEPARENT) else { continue };
        if !seen.insert(parent) {
            continue;
        }
        let context = get_text_map_propagator(|propagator| {
            propagator.extract_with_context(&Context::new(), &Headers(&record))
        });
        // An invalid one, which somebody else wrote, is left out.
        span.add_link(context.span().span_context().clone());
        if seen.len() >= MAX_LINKS as usize {
            return;
        }
    }
}

fn header<'a>(record: &Record<'a>, name: &str) -> Option<&'a str> {
    let value = record.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name))?.1?;
    std::str::from_utf8(value).ok()
}

struct Headers<'a>(&'a Record<'a>);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        header(self.0, key)
    }

    fn keys(&self) -> Vec<&str> {
        self.0.headers.iter().map(|(key, _)| *key).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use opentelemetry::trace::TracerProvider as _;
    use opentelemetry_sdk::error::OTelSdkResult;
    use opentelemetry_sdk::propagation::TraceContextPropagator;
    use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};
    use tracing_subscriber::layer::SubscriberExt as _;

    use efd_schema::avro;

    use super::*;
    use crate::batch::Source;
    use crate::metrics::ComponentId;
    use crate::testing;

    #[derive(Debug, Clone, Default)]
    struct Exported(Arc<Mutex<Vec<SpanData>>>);

    impl SpanExporter for Exported {
        async fn export(&self, spans: Vec<SpanData>) -> OTelSdkResult {
            self.0.lock().unwrap().extend(spans);
            Ok(())
        }
    }

    fn batch(parents: &[String]) -> Batch {
        let (partition, mut batch) = (testing::partition("t"), Batch::new(testing::LIMITS));
        let source = Source { slot: 0, partition: &partition, component: ComponentId::default() };
        for parent in parents {
            let mut body = Vec::new();
            avro::put_double(&mut body, 1.0);
            let headers = vec![("other", None), (TRACEPARENT, Some(parent.as_bytes()))];
            let record = Record { payload: Some(&body), headers, ..Record::default() };
            batch.point(source, &record, (&testing::plan(), ComponentId::default()), &body);
        }
        batch
    }

    #[test]
    fn each_batch_of_a_producer_is_linked_once_and_other_headers_are_nothing() {
        opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
        let exported = Exported::default();
        let provider = SdkTracerProvider::builder().with_simple_exporter(exported.clone()).build();
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
        let parent = |id: u8| format!("00-{:032x}-{:016x}-01", 7, id);
        let headers = [parent(1), parent(1), "no context".to_owned(), parent(2)];
        let batch = batch(&headers);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            let span = tracing::info_span!("sink.write");
            link_producers(&span, &batch);
        });
        let spans = exported.0.lock().unwrap();
        let links: Vec<String> =
            spans[0].links.iter().map(|link| link.span_context.span_id().to_string()).collect();
        assert_eq!(links, ["0000000000000001", "0000000000000002"]);
    }
}
