//! One span for each batch of records and each trace that its records belong to; its context rides in their headers (W3C
//! Trace Context), so that who reads them can link to it. Without an exporter of traces there is no context, and records
//! get no header.

use std::sync::Arc;

use opentelemetry::Context;
use opentelemetry::global::get_text_map_propagator;
use opentelemetry::propagation::Injector;
use opentelemetry::trace::{SpanContext, TraceContextExt as _};
use rdkafka::error::KafkaResult;
use rdkafka::message::{Header, OwnedHeaders};
use tracing::Span;
use tracing::field::Empty;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// The spans of one batch, from its first record to the last acknowledgement.
#[derive(Debug)]
pub(crate) struct BatchTrace {
    client_id: Arc<str>,
    /// In the order of their first records: one, unless records of several traces share the batch.
    spans: Vec<ProduceSpan>,
}

/// The span of the records that have the same parent.
#[derive(Debug)]
struct ProduceSpan {
    parent: Option<SpanContext>,
    span: Span,
    /// None when no traces are exported; then nothing else is kept either.
    headers: Option<OwnedHeaders>,
    records: u64,
    destination: Destination,
}

/// Where the records go; named only when it is one topic for all.
#[derive(Debug)]
enum Destination {
    None,
    One(String),
    Several,
}

impl BatchTrace {
    /// Of a batch without records.
    pub(crate) fn new(client_id: Arc<str>) -> Self {
        Self { client_id, spans: Vec::new() }
    }

    /// The headers of a record whose publisher is in the span `parent`: its own, else the context of its span.
    pub(crate) fn headers_of(
        &mut self,
        parent: Option<&SpanContext>,
        own: Option<OwnedHeaders>,
    ) -> Option<OwnedHeaders> {
        let Some(context) = &self.span_of(parent).headers else { return own };
        own.or_else(|| Some(context.clone()))
    }

    /// Counts a record that the client took.
    pub(crate) fn sent(&mut self, parent: Option<&SpanContext>, topic: &str) {
        let of = self.span_of(parent);
        if of.headers.is_none() {
            return;
        }
        of.records += 1;
        match &of.destination {
            Destination::None => of.destination = Destination::One(topic.to_owned()),
            Destination::One(first) if first != topic => of.destination = Destination::Several,
            _ => {}
        }
    }

    /// Ends the spans with the outcome of the batch.
    pub(crate) fn end(self, outcome: &KafkaResult<()>) {
        for span in self.spans {
            span.end(outcome);
        }
    }

    fn span_of(&mut self, parent: Option<&SpanContext>) -> &mut ProduceSpan {
        let place = self.spans.iter().position(|of| of.headers.is_none() || of.parent.as_ref() == parent);
        let place = place.unwrap_or_else(|| {
            self.spans.push(ProduceSpan::start(&self.client_id, parent));
            self.spans.len() - 1
        });
        self.spans.get_mut(place).expect("the place is that of a span which was found or just added")
    }
}

impl ProduceSpan {
    /// Starts the span; names are those of OpenTelemetry's conventions for messaging.
    fn start(client_id: &str, parent: Option<&SpanContext>) -> Self {
        let span = tracing::info_span!(
            "kafka.produce",
            otel.kind = "producer",
            otel.status_code = Empty,
            otel.status_description = Empty,
            messaging.system = "kafka",
            messaging.operation.name = "produce",
            messaging.operation.r#type = "send",
            messaging.client.id = client_id,
            messaging.destination.name = Empty,
            messaging.batch.message_count = Empty,
        );
        if let Some(parent) = parent {
            // Fails only where no traces are exported, and then there is nothing to belong to.
            let _ = span.set_parent(Context::new().with_remote_span_context(parent.clone()));
        }
        let headers = headers(&span);
        Self { parent: parent.cloned(), span, headers, records: 0, destination: Destination::None }
    }

    fn end(self, outcome: &KafkaResult<()>) {
        if self.headers.is_none() {
            return;
        }
        self.span.record("messaging.batch.message_count", self.records);
        if let Destination::One(topic) = &self.destination {
            self.span.record("messaging.destination.name", topic.as_str());
        }
        if let Err(error) = outcome {
            self.span.record("otel.status_code", "ERROR");
            self.span.record("otel.status_description", error.to_string());
        }
    }
}

/// The context of a span as headers; none when it belongs to no trace.
fn headers(span: &Span) -> Option<OwnedHeaders> {
    let context = span.context();
    if !context.span().span_context().is_valid() {
        return None;
    }
    let mut carrier = Carrier(OwnedHeaders::new());
    get_text_map_propagator(|propagator| propagator.inject_context(&context, &mut carrier));
    Some(carrier.0)
}

struct Carrier(OwnedHeaders);

impl Injector for Carrier {
    fn set(&mut self, key: &str, value: String) {
        // An empty `tracestate` says nothing.
        if !value.is_empty() {
            let headers = std::mem::take(&mut self.0);
            self.0 = headers.insert(Header { key, value: Some(&value) });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use opentelemetry::trace::{SpanId, TraceFlags, TraceId, TraceState, TracerProvider as _};
    use opentelemetry_sdk::error::OTelSdkResult;
    use opentelemetry_sdk::propagation::TraceContextPropagator;
    use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};
    use rdkafka::message::Headers as _;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    fn pairs(headers: &OwnedHeaders) -> Vec<(String, String)> {
        let text = |value: Option<&[u8]>| String::from_utf8(value.unwrap().to_vec()).unwrap();
        headers.iter().map(|header| (header.key.to_owned(), text(header.value))).collect()
    }

    /// Keeps the spans that ended.
    #[derive(Debug, Clone, Default)]
    struct Ended(Arc<Mutex<Vec<SpanData>>>);

    impl SpanExporter for Ended {
        async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
            self.0.lock().unwrap().extend(batch);
            Ok(())
        }
    }

    fn exported(test: impl FnOnce()) -> Vec<SpanData> {
        opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
        let ended = Ended::default();
        let provider = SdkTracerProvider::builder().with_simple_exporter(ended.clone()).build();
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), test);
        ended.0.lock().unwrap().clone()
    }

    fn parent(span: u64) -> SpanContext {
        let (trace, state) = (TraceId::from(7), TraceState::default());
        SpanContext::new(trace, SpanId::from(span), TraceFlags::SAMPLED, true, state)
    }

    #[test]
    fn without_an_exporter_a_record_has_the_headers_it_came_with() {
        tracing::subscriber::with_default(tracing_subscriber::registry(), || {
            let mut trace = BatchTrace::new("test".into());
            for parent in [None, Some(&parent(1)), Some(&parent(2))] {
                assert!(trace.headers_of(parent, None).is_none());
                let own = OwnedHeaders::new().insert(Header { key: "k", value: Some("v") });
                let headers = pairs(&trace.headers_of(parent, Some(own)).unwrap());
                assert_eq!(headers, [("k".into(), "v".into())]);
            }
            assert_eq!(trace.spans.len(), 1, "nothing is kept for each parent");
        });
    }

    #[test]
    fn with_an_exporter_every_record_carries_the_context_of_its_batch_and_nothing_else() {
        exported(|| {
            let mut trace = BatchTrace::new("test".into());
            let first = pairs(&trace.headers_of(None, None).unwrap());
            let context = trace.span_of(None).span.context();
            let span = context.span().span_context().clone();
            let expected = format!("00-{}-{}-01", span.trace_id(), span.span_id());
            assert_eq!(first, [("traceparent".to_owned(), expected)]);
            assert_eq!(pairs(&trace.headers_of(None, None).unwrap()), first);
            let other = pairs(&BatchTrace::new("test".into()).headers_of(None, None).unwrap());
            assert_ne!(other, first);
            let own = OwnedHeaders::new().insert(Header { key: "k", value: Some("v") });
            assert_eq!(pairs(&trace.headers_of(None, Some(own)).unwrap()), [("k".into(), "v".into())]);
        });
    }

    #[test]
    fn records_of_several_traces_share_a_batch_and_each_trace_has_its_span_and_count() {
        let spans = exported(|| {
            let mut trace = BatchTrace::new("test".into());
            for parent in [Some(&parent(1)), None, Some(&parent(2)), Some(&parent(1))] {
                let headers = pairs(&trace.headers_of(parent, None).unwrap());
                let is_of_client = headers[0].1.contains(&TraceId::from(7).to_string());
                assert_eq!(is_of_client, parent.is_some(), "{headers:?}");
                trace.sent(parent, "topic");
            }
            // Given to the client, which did not take it.
            trace.headers_of(Some(&parent(2)), None);
            trace.end(&Ok(()));
        });
        let count = |span: &SpanData| {
            let key = "messaging.batch.message_count";
            let count = span.attributes.iter().find(|pair| pair.key.as_str() == key).unwrap();
            (span.parent_span_id.to_string(), count.value.to_string())
        };
        let mut counts: Vec<(String, String)> = spans.iter().map(count).collect();
        counts.sort();
        let expected = [(SpanId::INVALID, "1"), (SpanId::from(1), "2"), (SpanId::from(2), "1")];
        assert_eq!(counts, expected.map(|(span, count)| (span.to_string(), count.to_owned())));
    }
}
