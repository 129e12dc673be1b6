//! One span for each batch of records; its context rides in their headers (W3C Trace Context), so that who reads them can
//! link to it. Without an exporter of traces there is no context, and records get no header.

use opentelemetry::global::get_text_map_propagator;
use opentelemetry::propagation::Injector;
use opentelemetry::trace::TraceContextExt as _;
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::{Header, OwnedHeaders};
use tracing::Span;
use tracing::field::Empty;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// The span of one batch, from its first record to the last acknowledgement.
#[derive(Debug)]
pub(crate) struct BatchTrace {
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
    /// Starts the span; names are those of OpenTelemetry's conventions for messaging.
    pub(crate) fn start(client_id: &str) -> Self {
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
        let headers = headers(&span);
        Self { span, headers, records: 0, destination: Destination::None }
    }

    /// The headers of a record that goes to `topic`: its own, else the context of the batch.
    pub(crate) fn headers_of(&mut self, topic: &str, own: Option<OwnedHeaders>) -> Option<OwnedHeaders> {
        let Some(context) = &self.headers else { return own };
        self.records += 1;
        match &self.destination {
            Destination::None => self.destination = Destination::One(topic.to_owned()),
            Destination::One(first) if first != topic => self.destination = Destination::Several,
            _ => {}
        }
        own.or_else(|| Some(context.clone()))
    }

    /// Ends the span with the outcome of the batch.
    pub(crate) fn end(self, outcome: &KafkaResult<()>) {
        if self.headers.is_none() {
            return;
        }
        self.span.record("messaging.batch.message_count", self.records);
        if let Destination::One(topic) = &self.destination {
            self.span.record("messaging.destination.name", topic.as_str());
        }
        if let Err(error) = outcome {
            self.failed(error);
        }
    }

    fn failed(&self, error: &KafkaError) {
        self.span.record("otel.status_code", "ERROR");
        self.span.record("otel.status_description", error.to_string());
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
    use opentelemetry::trace::TracerProvider as _;
    use opentelemetry_sdk::propagation::TraceContextPropagator;
    use opentelemetry_sdk::trace::SdkTracerProvider;
    use rdkafka::message::Headers as _;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    fn pairs(headers: &OwnedHeaders) -> Vec<(String, String)> {
        let text = |value: Option<&[u8]>| String::from_utf8(value.unwrap().to_vec()).unwrap();
        headers.iter().map(|header| (header.key.to_owned(), text(header.value))).collect()
    }

    #[test]
    fn without_an_exporter_a_record_has_the_headers_it_came_with() {
        tracing::subscriber::with_default(tracing_subscriber::registry(), || {
            let mut trace = BatchTrace::start("test");
            assert!(trace.headers_of("a", None).is_none());
            let own = OwnedHeaders::new().insert(Header { key: "k", value: Some("v") });
            assert_eq!(pairs(&trace.headers_of("a", Some(own)).unwrap()), [("k".into(), "v".into())]);
        });
    }

    #[test]
    fn with_an_exporter_every_record_carries_the_context_of_its_batch_and_nothing_else() {
        opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
        let provider = SdkTracerProvider::builder().build();
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            let mut trace = BatchTrace::start("test");
            let first = pairs(&trace.headers_of("a", None).unwrap());
            let context = trace.span.context();
            let span = context.span().span_context().clone();
            let expected = format!("00-{}-{}-01", span.trace_id(), span.span_id());
            assert_eq!(first, [("traceparent".to_owned(), expected)]);
            assert_eq!(pairs(&trace.headers_of("b", None).unwrap()), first);
            let other = pairs(&BatchTrace::start("test").headers_of("a", None).unwrap());
            assert_ne!(other, first);
            let own = OwnedHeaders::new().insert(Header { key: "k", value: Some("v") });
            assert_eq!(pairs(&trace.headers_of("a", Some(own)).unwrap()), [("k".into(), "v".into())]);
            assert!(matches!(trace.destination, Destination::Several));
        });
    }
}
