//! What a request comes to. Every change passes through [`Api::write`], every other question through [`Api::read`]: these are
//! the two places where an answer can come from somewhere else than this process.

use std::time::Duration;

use axum::http::{HeaderValue, Method, StatusCode};
use bytes::Bytes;

use crate::answer::{self, Answer};
use crate::body::{LevelBody, SchemaBody};
use crate::change::Change;
use crate::error::RegistryError;
use crate::replica::Replicas;
use crate::route::Call;
use crate::store::Store;

/// One request, whole.
#[derive(Debug, Clone)]
pub struct Request {
    /// What is asked, as [`Call::find`] read it from method and target.
    pub call: Call,
    /// Method as the client sent it.
    pub method: Method,
    /// Path and query as the client sent them, to be passed on.
    pub target: String,
    /// Body; empty where none is read.
    pub body: Bytes,
    /// Who asks, as the client says it; checked wherever the request is answered.
    pub authorization: Option<HeaderValue>,
}

impl Request {
    /// The request for a path and its query, of nobody.
    ///
    /// # Errors
    /// When there is no such path.
    pub(crate) fn get(target: impl Into<String>) -> Result<Self, RegistryError> {
        let target = target.into();
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let call = Call::find(&Method::GET, path, query)?;
        Ok(Self { call, method: Method::GET, target, body: Bytes::new(), authorization: None })
    }
}

/// What a request is answered with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Status of HTTP.
    pub status: StatusCode,
    /// JSON.
    pub body: Vec<u8>,
    /// Age of an answer that could not be confirmed, because the upstream registry is away.
    pub stale: Option<Duration>,
}

impl From<Answer> for Reply {
    fn from(body: Answer) -> Self {
        Self { status: StatusCode::OK, body, stale: None }
    }
}

/// What requests are answered with.
#[derive(Debug)]
pub struct Api {
    /// What is known, and the way to change it.
    pub store: Store,
    /// The other registries on the same log.
    pub replicas: Replicas,
}

impl Api {
    /// Answers a request.
    ///
    /// # Errors
    /// Why it is refused, or why it failed.
    pub async fn answer(&self, request: &Request) -> Result<Reply, RegistryError> {
        if let Some(answer) = answer::fixed(&request.call) {
            return Ok(answer.into());
        }
        if request.call.is_change() { self.write(request).await } else { self.read(request).map(Reply::from) }
    }

    /// Makes the change that a request asks for, here or where the writer is. What the log says already is answered without a write.
    async fn write(&self, request: &Request) -> Result<Reply, RegistryError> {
        let change = change_of(&request.call, &request.body)?.ok_or(RegistryError::MethodNotAllowed)?;
        if let Some(outcome) = self.store.known(&change)? {
            return Ok(answer::outcome(&outcome, &request.call).into());
        }
        self.replicas.write(self, request, &change).await
    }

    /// Makes the change that another replica's client asks for.
    ///
    /// # Errors
    /// Why it is refused, or failed; `NotWriter` when this replica does not write, and nothing was done.
    pub(crate) async fn answer_forwarded(&self, request: &Request) -> Result<Reply, RegistryError> {
        let change = change_of(&request.call, &request.body)?.ok_or(RegistryError::MethodNotAllowed)?;
        if self.replicas.elsewhere().is_some() {
            return Err(RegistryError::NotWriter);
        }
        self.write_here(request, change).await
    }

    /// Makes a change as the writer.
    ///
    /// # Errors
    /// Why it is refused, or failed; `NotWriter` when this replica does not write, and nothing was done.
    pub(crate) async fn write_here(&self, request: &Request, change: Change) -> Result<Reply, RegistryError> {
        let outcome = self.store.change(change).await?;
        tracing::info!(target: "audit", method = %request.method, path = request.target, ?outcome, "changed");
        Ok(answer::outcome(&outcome, &request.call).into())
    }

    /// Answers from memory.
    fn read(&self, request: &Request) -> Result<Answer, RegistryError> {
        answer::read(&*self.store.state()?, &request.call, &request.body)
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

#[cfg(test)]
mod tests {
    use super::*;

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
            let call = find(method, path);
            assert!(call.is_change() && change_of(&call, body).unwrap().is_some(), "{path}");
        }
        for (method, path) in
            [(Method::POST, "/subjects/a"), (Method::GET, "/config"), (Method::GET, "/subjects/a/versions")]
        {
            let call = find(method, path);
            assert!(!call.is_change() && change_of(&call, body).unwrap().is_none(), "{path}");
        }
    }
}
