//! What a request comes to. Every change passes through [`Api::write`], every other question through [`Api::read`]: these are
//! the two places where an answer can come from somewhere else than this process.

use std::time::Duration;

use axum::http::{HeaderValue, Method, StatusCode};
use bytes::Bytes;
use serde_json::json;

use crate::access::Caller;
use crate::answer::{self, Answer};
use crate::audit;
use crate::body::{self, ConfigChange, SchemaBody};
use crate::change::{Change, Outcome};
use crate::error::RegistryError;
use crate::metrics::Metrics;
use crate::replica::Replicas;
use crate::route::Call;
use crate::sal::Policy;
use crate::state::State;
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
    /// Who asks, as the client says it, to be passed on; checked again wherever the request is answered.
    pub authorization: Option<HeaderValue>,
    /// Who asks, as it was found.
    pub caller: Caller,
}

impl Request {
    /// The request for a path and its query, of the registry itself.
    ///
    /// # Errors
    /// When there is no such path.
    pub(crate) fn get(target: impl Into<String>) -> Result<Self, RegistryError> {
        let target = target.into();
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let call = Call::find(&Method::GET, path, query)?;
        let (body, authorization, caller) = (Bytes::new(), None, Caller::default());
        Ok(Self { call, method: Method::GET, target, body, authorization, caller })
    }
}

/// What a request is answered with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Status of HTTP.
    pub status: StatusCode,
    /// JSON.
    pub body: Bytes,
    /// Age of an answer that could not be confirmed, because the upstream registry is away.
    pub stale: Option<Duration>,
    /// What is wrong although the request was done; for the header `Warning`.
    pub warning: Option<String>,
    /// Seconds after which a client that was turned away may try again; for the header `Retry-After`.
    pub retry_after: Option<u32>,
}

impl Reply {
    /// An answer with nothing beside it.
    pub fn new(status: StatusCode, body: Bytes) -> Self {
        Self { status, body, stale: None, warning: None, retry_after: None }
    }
}

impl From<Answer> for Reply {
    fn from(body: Answer) -> Self {
        let status = if body.is_empty() { StatusCode::NO_CONTENT } else { StatusCode::OK };
        Self::new(status, body)
    }
}

/// What requests are answered with.
#[derive(Debug)]
pub struct Api {
    /// What is known, and the way to change it.
    pub store: Store,
    /// The other registries on the same log.
    pub replicas: Replicas,
    /// Instruments.
    pub(crate) metrics: Metrics,
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

    /// Makes the change that a request asks for, here or where the writer is. What the log says already is answered without a
    /// write; that it cannot be is for the writer to say.
    async fn write(&self, request: &Request) -> Result<Reply, RegistryError> {
        let change = change_of(&*self.store.state()?, request);
        if let Ok(change) = &change
            && let Some(outcome) = self.store.known(change)?
        {
            return Ok(answer::outcome(&outcome).into());
        }
        self.replicas.write(self, request).await
    }

    /// Makes the change that another replica's client asks for.
    ///
    /// # Errors
    /// Why it is refused, or failed; `NotWriter` when this replica does not write, and nothing was done.
    pub(crate) async fn answer_forwarded(&self, request: &Request) -> Result<Reply, RegistryError> {
        if self.replicas.elsewhere().is_some() {
            return Err(RegistryError::NotWriter);
        }
        self.write_here(request).await
    }

    /// Makes a change as the writer.
    ///
    /// # Errors
    /// Why it is refused, or failed; `NotWriter` when this replica does not write, and nothing was done.
    pub(crate) async fn write_here(&self, request: &Request) -> Result<Reply, RegistryError> {
        let state = self.store.state()?;
        let result = match change_of(&state, request) {
            Ok(change) => self.change(&state, change).await,
            Err(error) => Err(error),
        };
        let (outcome, warning) = match result {
            Ok((outcome, warning)) => (Ok(outcome), warning),
            Err(error) => (Err(error), None),
        };
        audit::changed(request, &outcome);
        if let Some(warning) = &warning {
            let subject = request.call.subject().unwrap_or("");
            tracing::warn!(subject, warning, "a schema was registered that InfluxDB or SAL cannot take");
        }
        Ok(Reply { warning, ..answer::outcome(&outcome?).into() })
    }

    /// The outcome, and what to warn of.
    async fn change(
        &self,
        state: &State,
        change: Change,
    ) -> Result<(Outcome, Option<String>), RegistryError> {
        let warning = match &change {
            Change::Register { subject, schema, .. } => state.warning(subject, schema),
            _ => None,
        };
        let result = self.store.change(change).await;
        match &result {
            Ok(_) if warning.is_some() => self.metrics.not_storable(Policy::Warn),
            Err(RegistryError::NotStorable { .. }) => self.metrics.not_storable(Policy::Refuse),
            _ => {}
        }
        Ok((result?, warning))
    }

    /// Answers from memory.
    fn read(&self, request: &Request) -> Result<Answer, RegistryError> {
        if request.call == Call::ClusterId {
            let clusters = json!({"kafka-cluster": self.store.cluster_id(), "schema-registry-cluster": "schema-registry"});
            return Ok(json!({"id": "", "scope": {"path": [], "clusters": clusters}}).to_string().into());
        }
        answer::read(&*self.store.state()?, &request.call, &request.body)
    }
}

/// The change that a request asks for.
fn change_of(state: &State, request: &Request) -> Result<Change, RegistryError> {
    let bytes = &request.body;
    Ok(match request.call.clone() {
        Call::Register { subject, normalize } => {
            let wanted = SchemaBody::parse(bytes)?.wanted()?;
            let schema = answer::schema_in(state, bytes, &subject, normalize)?;
            Change::Register { subject, schema, wanted }
        }
        Call::ChangeTags { subject, version } => {
            Change::Tag { subject, version, change: Box::new(body::tags(bytes)?) }
        }
        Call::DeleteSubject { subject, permanent } => Change::DeleteSubject { subject, permanent },
        Call::DeleteVersion { subject, version, permanent } => {
            Change::DeleteVersion { subject, version, permanent }
        }
        Call::SetConfig { subject } => Change::SetConfig { subject, change: ConfigChange::parse(bytes)? },
        Call::ClearConfig { subject } => Change::ClearConfig { subject },
        Call::SetMode { subject, force } => Change::SetMode { subject, mode: body::mode(bytes)?, force },
        Call::ClearMode { subject, recursive } => Change::ClearMode { subject, recursive },
        Call::DeleteContext { context } => Change::DeleteContext { context },
        _ => return Err(RegistryError::PathNotFound),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_call_that_changes_something_is_a_change() {
        let body = Bytes::from_static(br#"{"schema":"\"int\"","compatibility":"FULL","mode":"IMPORT"}"#);
        let request = |method: &str, path: &str| {
            let method: Method = method.parse().unwrap();
            let call = Call::find(&method, path, "").unwrap();
            Request { call, method, target: path.into(), body: body.clone(), ..Request::get("/").unwrap() }
        };
        let changes = [
            ("POST", "/subjects/a/versions"),
            ("POST", "/subjects/a/versions/1/tags"),
            ("DELETE", "/subjects/a"),
            ("DELETE", "/subjects/a/versions/1"),
            ("PUT", "/config"),
            ("DELETE", "/config/a"),
            ("PUT", "/mode/a"),
            ("DELETE", "/mode"),
            ("DELETE", "/contexts/.lab"),
        ];
        for (method, path) in changes {
            let request = request(method, path);
            assert!(request.call.is_change(), "{path}");
            change_of(&State::default(), &request).unwrap();
        }
        for (method, path) in
            [("POST", "/subjects/a"), ("GET", "/config"), ("POST", "/compatibility/subjects/a/versions")]
        {
            let request = request(method, path);
            assert!(!request.call.is_change() && change_of(&State::default(), &request).is_err(), "{path}");
        }
    }
}
