//! The REST interface, compatible with Confluent's registry.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::State as Shared;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::Response;
use axum::serve::ListenerExt;
use efd_service::Stop;
use tokio::net::TcpListener;

use crate::answer::{self, Answer};
use crate::api::{Api, Request};
use crate::error::RegistryError;
use crate::route::Call;

/// The media type that clients of a registry know best, and the one given to those that ask for none.
const V1_JSON: &str = "application/vnd.schemaregistry.v1+json";
/// All media types answers may have; they mean the same.
const MEDIA_TYPES: [&str; 3] = [V1_JSON, "application/vnd.schemaregistry+json", "application/json"];
/// A body holds a schema with its white space, which the log does without.
const BODY_PER_SCHEMA: u64 = 4;

/// Answers requests until a stop is requested and those under way are answered.
///
/// # Errors
/// When the operating system takes the socket away.
pub async fn serve(listener: TcpListener, api: Api, stop: Stop) -> std::io::Result<()> {
    let router = Router::new().fallback(respond).with_state(Arc::new(api));
    let listener = listener.tap_io(|connection| {
        // Only a matter of speed; a connection that is gone already fails when it is read.
        let _ = connection.set_nodelay(true);
    });
    axum::serve(listener, router).with_graceful_shutdown(async move { stop.requested().await }).await
}

async fn respond(Shared(api): Shared<Arc<Api>>, request: axum::extract::Request) -> Response {
    let (head, body) = request.into_parts();
    let call = Call::find(&head.method, head.uri.path(), head.uri.query().unwrap_or(""));
    let route = call.as_ref().map_or("other", Call::route);
    let result = match call {
        Ok(call) => answer(&api, call, (&head.method, &head.uri), body).await,
        Err(error) => Err(error),
    };
    let (status, json) = match result {
        Ok(answer) => (StatusCode::OK, answer),
        Err(error) => {
            let (status, _) = error.status_and_code();
            (StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), answer::error(&error))
        }
    };
    api.metrics.request(route, status.as_u16());
    let mut response = Response::new(Body::from(json));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, media_type(&head.headers));
    response
}

async fn answer(
    api: &Api,
    call: Call,
    (method, uri): (&Method, &Uri),
    body: Body,
) -> Result<Answer, RegistryError> {
    let body = if method == Method::POST || method == Method::PUT {
        let longest = usize::try_from(api.max_schema_bytes * BODY_PER_SCHEMA).unwrap_or(usize::MAX);
        to_bytes(body, longest).await.map_err(|_| RegistryError::TooLarge(api.max_schema_bytes))?
    } else {
        Bytes::new()
    };
    let target = uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
    api.answer(&Request { call, method: method.clone(), target, body }).await
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
