//! The span that a client is in, as it says in the headers of its call (W3C Trace Context); the same over gRPC and HTTP.

use axum::http::HeaderMap;
use opentelemetry::Context;
use opentelemetry::global::get_text_map_propagator;
use opentelemetry::propagation::Extractor;
use opentelemetry::trace::{SpanContext, TraceContextExt as _};

/// The client's span; none where it does not say, or no traces are exported.
pub fn parent(headers: &HeaderMap) -> Option<SpanContext> {
    let context = get_text_map_propagator(|propagator| {
        propagator.extract_with_context(&Context::new(), &Carrier(headers))
    });
    let parent = context.span().span_context().clone();
    parent.is_valid().then_some(parent)
}

struct Carrier<'a>(&'a HeaderMap);

impl Extractor for Carrier<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(axum::http::HeaderName::as_str).collect()
    }
}
