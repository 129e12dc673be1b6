//! The REST interface, compatible with Confluent's registry.

use std::sync::Arc;

use axum::body::{Body, Bytes, to_bytes};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use axum::serve::ListenerExt as _;
use efd_service::Stop;
use efd_service::server::connections::{self, Respond, without_delay};
use efd_service::server::tls_listener::TlsListener;
use rustls::ServerConfig;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::answer;
use crate::api::{Reply, Request};
use crate::error::RegistryError;
use crate::front::Front;
use crate::limits::LimitsConfig;
use crate::route::Call;

/// What a request asks for, or why that is nothing.
type Found = Result<Call, RegistryError>;

/// The media type that clients of a registry know best, and the one given to those that ask for none.
pub(crate) const V1_JSON: &str = "application/vnd.schemaregistry.v1+json";
/// All media types answers may have; they mean the same.
const MEDIA_TYPES: [&str; 3] = [V1_JSON, "application/vnd.schemaregistry+json", "application/json"];
/// Seconds since the upstream registry gave an answer that it cannot be asked for now.
const STALE: HeaderName = HeaderName::from_static("x-efd-stale");
/// A body holds a schema with its white space, which the log does without.
pub(crate) const BODY_PER_SCHEMA: u64 = 4;
/// What room for bodies is counted in.
const KILOBYTE: u64 = 1024;

/// The REST interface.
#[derive(Debug)]
pub(crate) struct Rest {
    front: Arc<Front>,
    limits: LimitsConfig,
    /// Longest body.
    longest: u64,
    /// Kilobytes of bodies that may still be taken.
    body_room: Semaphore,
}

impl Rest {
    /// Asks `front`.
    pub(crate) fn new(front: Arc<Front>, limits: &LimitsConfig) -> Self {
        let longest = front.max_schema_bytes.saturating_mul(BODY_PER_SCHEMA);
        let room = limits.max_in_flight_bytes.as_u64().max(longest).div_ceil(KILOBYTE);
        let room = usize::try_from(room).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        Self { front, limits: limits.clone(), longest, body_room: Semaphore::new(room) }
    }

    /// Answers requests until a stop is requested and those under way are answered.
    pub(crate) async fn serve(self, listener: TcpListener, tls: Option<Arc<ServerConfig>>, stop: Stop) {
        let (bounds, rest) = (self.limits.bounds(), Arc::new(self));
        match tls {
            Some(tls) => connections::serve(TlsListener::new(listener, tls), bounds, rest, stop).await,
            None => connections::serve(listener.tap_io(without_delay), bounds, rest, stop).await,
        }
    }

    async fn answer(&self, call: Found, head: &Parts, body: Body) -> Result<Reply, RegistryError> {
        let authorization = head.headers.get(header::AUTHORIZATION);
        let caller = self.front.access.admit(authorization)?;
        let (call, method) = (call?, head.method.clone());
        let has_body = method == Method::POST || method == Method::PUT;
        let _room = if has_body { Some(self.room(head)?) } else { None };
        let body = if has_body { self.read(body).await? } else { Bytes::new() };
        let target = head.uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
        let authorization = authorization.cloned();
        self.front.answer(&Request { call, method, target, body, authorization, caller }).await
    }

    /// Room for a body: for what it says it has, else for the most it may have.
    fn room(&self, head: &Parts) -> Result<SemaphorePermit<'_>, RegistryError> {
        let said =
            head.headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        let kilobytes = said.unwrap_or(self.longest).min(self.longest).div_ceil(KILOBYTE);
        let room = self.body_room.try_acquire_many(u32::try_from(kilobytes).unwrap_or(u32::MAX));
        room.map_err(|_| RegistryError::TooManyRequests {
            whose: "as many bodies are worked on as may be (setting limits.max_in_flight_bytes)".into(),
            retry_after: 1,
        })
    }

    async fn read(&self, body: Body) -> Result<Bytes, RegistryError> {
        let timeout = self.limits.body_timeout;
        let read = to_bytes(body, usize::try_from(self.longest).unwrap_or(usize::MAX));
        match tokio::time::timeout(timeout, read).await {
            Err(_) => Err(RegistryError::BodyTimedOut(timeout.as_secs())),
            Ok(read) => read.map_err(|_| RegistryError::TooLarge(self.front.max_schema_bytes)),
        }
    }
}

impl Respond for Rest {
    /// What a client registers is registered, whether it waits for the answer or not.
    const OUTLIVES_CLIENT: bool = true;

    async fn respond(&self, request: axum::extract::Request) -> Response {
        let (head, body) = request.into_parts();
        let call = Call::find(&head.method, head.uri.path(), head.uri.query().unwrap_or(""));
        let route = call.as_ref().map_or("other", Call::route);
        let result = self.answer(call, &head, body).await;
        let allowed = match &result {
            Err(RegistryError::MethodNotAllowed(methods)) => HeaderValue::from_str(methods).ok(),
            _ => None,
        };
        let reply = result.unwrap_or_else(|error| error_reply(&error));
        self.front.metrics.request(route, reply.status.as_u16());
        let mut response = response(reply, &head.headers);
        if let Some(methods) = allowed {
            response.headers_mut().insert(header::ALLOW, methods);
        }
        response
    }

    fn connections(&self, count: usize) {
        self.front.metrics.connections(count);
    }
}

fn response(reply: Reply, asked: &HeaderMap) -> Response {
    let Reply { status, body, stale, warning, retry_after } = reply;
    let has_body = !body.is_empty();
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    if has_body {
        headers.insert(header::CONTENT_TYPE, media_type(asked));
    }
    if let Some(age) = stale {
        headers.insert(STALE, HeaderValue::from(age.as_secs()));
    }
    if let Some(warning) = warning.as_deref().and_then(warning_header) {
        headers.insert(header::WARNING, warning);
    }
    if let Some(seconds) = retry_after {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if status == StatusCode::UNAUTHORIZED {
        let schemes = HeaderValue::from_static("Bearer, Basic realm=\"efd-registry\"");
        headers.insert(header::WWW_AUTHENTICATE, schemes);
    }
    response
}

/// A warning as HTTP has it: code 299, no agent, a quoted text.
fn warning_header(text: &str) -> Option<HeaderValue> {
    let quoted: String = text
        .chars()
        .map(|character| if character.is_ascii() && !character.is_ascii_control() { character } else { '?' })
        .flat_map(|character| {
            let is_special = matches!(character, '"' | '\\');
            is_special.then_some('\\').into_iter().chain([character])
        })
        .collect();
    HeaderValue::from_str(&format!("299 - \"{quoted}\"")).ok()
}

/// The text of a warning as HTTP has it; what has no quotes is text as a whole.
pub(crate) fn warning_text(header: &str) -> String {
    let quoted = header.split_once('"').map_or(header, |(_, rest)| rest.strip_suffix('"').unwrap_or(rest));
    let mut text = String::new();
    let mut characters = quoted.chars();
    while let Some(character) = characters.next() {
        text.extend(if character == '\\' { characters.next() } else { Some(character) });
    }
    text
}

/// The answer to a request that was refused or failed.
pub(crate) fn error_reply(error: &RegistryError) -> Reply {
    let (status, _) = error.status_and_code();
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let retry_after = match error {
        RegistryError::TooManyRequests { retry_after, .. } => Some(*retry_after),
        _ => None,
    };
    Reply { status, retry_after, ..answer::error(error).into() }
}

/// The first media type of ours that the client takes.
fn media_type(headers: &HeaderMap) -> HeaderValue {
    let accepted = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or("");
    let found = MEDIA_TYPES.into_iter().find(|ours| accepted.contains(ours));
    HeaderValue::from_static(found.unwrap_or(V1_JSON))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_is_a_quoted_text_of_ascii() {
        let header = warning_header("a \"b\" \\ é\n").unwrap();
        assert_eq!(header, r#"299 - "a \"b\" \\ ??""#);
        assert_eq!(warning_text(header.to_str().unwrap()), "a \"b\" \\ ??");
        assert_eq!(warning_text("as it comes"), "as it comes");
    }

    #[test]
    fn an_answer_has_a_media_type_that_the_client_takes() {
        let table = [
            (None, V1_JSON),
            (Some("*/*"), V1_JSON),
            (Some("application/json"), "application/json"),
            (Some("application/vnd.schemaregistry+json; q=0.9, application/json; q=0.5"), MEDIA_TYPES[1]),
            (Some("application/json, application/vnd.schemaregistry.v1+json"), V1_JSON),
            (Some("text/html"), V1_JSON),
        ];
        for (accept, expected) in table {
            let mut headers = HeaderMap::new();
            if let Some(accept) = accept {
                headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            }
            assert_eq!(media_type(&headers), expected, "{accept:?}");
        }
    }
}
