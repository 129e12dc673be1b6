//! The REST interface, compatible with Confluent's registry.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::State as Shared;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use axum::serve::ListenerExt;
use efd_service::Stop;
use tokio::net::TcpListener;

use crate::answer;
use crate::api::{Reply, Request};
use crate::error::RegistryError;
use crate::front::Front;
use crate::route::Call;

/// The media type that clients of a registry know best, and the one given to those that ask for none.
pub(crate) const V1_JSON: &str = "application/vnd.schemaregistry.v1+json";
/// All media types answers may have; they mean the same.
const MEDIA_TYPES: [&str; 3] = [V1_JSON, "application/vnd.schemaregistry+json", "application/json"];
/// Seconds since the upstream registry gave an answer that it cannot be asked for now.
const STALE: HeaderName = HeaderName::from_static("x-efd-stale");
/// A body holds a schema with its white space, which the log does without.
pub(crate) const BODY_PER_SCHEMA: u64 = 4;

/// Answers requests until a stop is requested and those under way are answered.
///
/// # Errors
/// When the operating system takes the socket away.
pub async fn serve(listener: TcpListener, front: Arc<Front>, stop: Stop) -> std::io::Result<()> {
    let router = Router::new().fallback(respond).with_state(front);
    let listener = listener.tap_io(|connection| {
        // Only a matter of speed; a connection that is gone already fails when it is read.
        let _ = connection.set_nodelay(true);
    });
    axum::serve(listener, router).with_graceful_shutdown(async move { stop.requested().await }).await
}

async fn respond(Shared(front): Shared<Arc<Front>>, request: axum::extract::Request) -> Response {
    let (head, body) = request.into_parts();
    let call = Call::find(&head.method, head.uri.path(), head.uri.query().unwrap_or(""));
    let route = call.as_ref().map_or("other", Call::route);
    let result = match call {
        Ok(call) => answer(&front, call, &head, body).await,
        Err(error) => Err(error),
    };
    let allowed = match &result {
        Err(RegistryError::MethodNotAllowed(methods)) => HeaderValue::from_str(methods).ok(),
        _ => None,
    };
    let Reply { status, body, stale, warning } = result.unwrap_or_else(|error| error_reply(&error));
    front.metrics.request(route, status.as_u16());
    let has_body = !body.is_empty();
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    if let Some(age) = stale {
        response.headers_mut().insert(STALE, HeaderValue::from(age.as_secs()));
    }
    if has_body {
        response.headers_mut().insert(header::CONTENT_TYPE, media_type(&head.headers));
    }
    if let Some(warning) = warning.as_deref().and_then(warning_header) {
        response.headers_mut().insert(header::WARNING, warning);
    }
    if let Some(methods) = allowed {
        response.headers_mut().insert(header::ALLOW, methods);
    }
    if status == StatusCode::UNAUTHORIZED {
        let schemes = HeaderValue::from_static("Bearer, Basic realm=\"efd-registry\"");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, schemes);
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

async fn answer(
    front: &Front,
    call: Call,
    Parts { method, uri, headers, .. }: &Parts,
    body: Body,
) -> Result<Reply, RegistryError> {
    let body = if method == Method::POST || method == Method::PUT {
        let longest = usize::try_from(front.max_schema_bytes * BODY_PER_SCHEMA).unwrap_or(usize::MAX);
        to_bytes(body, longest).await.map_err(|_| RegistryError::TooLarge(front.max_schema_bytes))?
    } else {
        Bytes::new()
    };
    let target = uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
    let authorization = headers.get(header::AUTHORIZATION).cloned();
    front.answer(&Request { call, method: method.clone(), target, body, authorization }).await
}

/// The answer to a request that was refused or failed.
pub(crate) fn error_reply(error: &RegistryError) -> Reply {
    let (status, _) = error.status_and_code();
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    Reply { status, ..answer::error(error).into() }
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
        assert_eq!(warning_header("a \"b\" \\ é\n").unwrap(), r#"299 - "a \"b\" \\ ??""#);
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
