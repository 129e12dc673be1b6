//! The REST interface, compatible with Confluent's registry.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State as Shared};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use axum::serve::ListenerExt;
use efd_service::Stop;
use tokio::net::TcpListener;

use crate::answer::{self, Answer};
use crate::body::{LevelBody, SchemaBody};
use crate::change::Change;
use crate::error::RegistryError;
use crate::metrics::Metrics;
use crate::route::Call;
use crate::store::Store;

/// The media type that clients of a registry know best, and the one given to those that ask for none.
const V1_JSON: &str = "application/vnd.schemaregistry.v1+json";
/// All media types answers may have; they mean the same.
const MEDIA_TYPES: [&str; 3] = [V1_JSON, "application/vnd.schemaregistry+json", "application/json"];
/// A body holds a schema with its white space, which the log does without.
const BODY_PER_SCHEMA: u64 = 4;

/// What requests are answered with.
#[derive(Debug)]
pub struct Api {
    /// What is known, and the way to change it.
    pub store: Store,
    /// Instruments.
    pub metrics: Metrics,
    /// Longest record in the log.
    pub max_schema_bytes: u64,
}

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

async fn respond(Shared(api): Shared<Arc<Api>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let call = Call::find(&head.method, head.uri.path(), head.uri.query().unwrap_or(""));
    let route = call.as_ref().map_or("other", Call::route);
    let result = match call {
        Ok(call) => api.answer(call, &head.method, body).await,
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

impl Api {
    async fn answer(&self, call: Call, method: &Method, body: Body) -> Result<Answer, RegistryError> {
        if let Some(answer) = answer::fixed(&call) {
            return Ok(answer);
        }
        let body = if method == Method::POST || method == Method::PUT {
            self.read(body).await?
        } else {
            Bytes::new()
        };
        match change_of(&call, &body)? {
            Some(change) => Ok(answer::outcome(&self.store.change(change).await?, &call)),
            None => answer::read(&*self.store.state()?, &call, &body),
        }
    }

    async fn read(&self, body: Body) -> Result<Bytes, RegistryError> {
        let longest = usize::try_from(self.max_schema_bytes * BODY_PER_SCHEMA).unwrap_or(usize::MAX);
        to_bytes(body, longest).await.map_err(|_| RegistryError::TooLarge(self.max_schema_bytes))
    }
}

/// The change that a call asks for; none for a call that only reads.
fn change_of(call: &Call, body: &[u8]) -> Result<Option<Change>, RegistryError> {
    Ok(Some(match call.clone() {
        Call::Register { subject } => {
            let schema = SchemaBody::parse(body)?.schema_without_id(&subject)?;
            Change::Register { subject, schema }
        }
        Call::DeleteSubject { subject, permanent } => Change::DeleteSubject { subject, permanent },
        Call::DeleteVersion { subject, version, permanent } => {
            Change::DeleteVersion { subject, version, permanent }
        }
        Call::SetLevel { subject } => Change::SetLevel { subject, level: LevelBody::parse(body)?.level()? },
        Call::ClearLevel { subject } => Change::ClearLevel { subject },
        _ => return Ok(None),
    }))
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

    #[test]
    fn only_calls_that_change_something_are_changes() {
        let find = |method: Method, path: &str| Call::find(&method, path, "").unwrap();
        let body = br#"{"schema":"\"int\"","compatibility":"FULL"}"#;
        let changes = [
            (Method::POST, "/subjects/a/versions"),
            (Method::DELETE, "/subjects/a"),
            (Method::DELETE, "/subjects/a/versions/1"),
            (Method::PUT, "/config"),
            (Method::DELETE, "/config/a"),
        ];
        for (method, path) in changes {
            assert!(change_of(&find(method, path), body).unwrap().is_some(), "{path}");
        }
        for (method, path) in
            [(Method::POST, "/subjects/a"), (Method::GET, "/config"), (Method::GET, "/subjects/a/versions")]
        {
            assert!(change_of(&find(method, path), body).unwrap().is_none(), "{path}");
        }
    }
}
