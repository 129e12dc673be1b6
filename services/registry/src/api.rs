//! What a request comes to. Every change passes through [`Api::write`], every other question through [`Api::read`]: these are
//! the two places where an answer can come from somewhere else than this process.

use axum::http::Method;
use bytes::Bytes;

use crate::answer::{self, Answer};
use crate::body::{LevelBody, SchemaBody};
use crate::change::Change;
use crate::error::RegistryError;
use crate::metrics::Metrics;
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
}

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

impl Api {
    /// Answers a request.
    ///
    /// # Errors
    /// Why it is refused, or why it failed.
    pub async fn answer(&self, request: &Request) -> Result<Answer, RegistryError> {
        if let Some(answer) = answer::fixed(&request.call) {
            return Ok(answer);
        }
        if request.call.is_change() { self.write(request).await } else { self.read(request) }
    }

    /// Makes the change that a request asks for. What the log says already is answered without a write.
    async fn write(&self, request: &Request) -> Result<Answer, RegistryError> {
        let Some(change) = change_of(&request.call, &request.body)? else {
            return Err(RegistryError::MethodNotAllowed);
        };
        let outcome = self.store.change(change).await?;
        tracing::info!(target: "audit", method = %request.method, path = request.target, ?outcome, "changed");
        Ok(answer::outcome(&outcome, &request.call))
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
