//! One line of the log for each write: who wanted what, and what came of it, under the target `audit`.

use axum::http::Method;
use serde_json::Value;

use crate::api::{Reply, Request};
use crate::change::Outcome;
use crate::error::RegistryError;

/// This registry made a change, or did not.
pub(crate) fn changed(request: &Request, result: &Result<Outcome, RegistryError>) {
    let (method, path, subject) = what(request);
    let caller = request.caller.name();
    match result {
        Ok(Outcome::Registered { id, version, .. }) => {
            tracing::info!(target: "audit", caller, %method, path, subject, id, version, "schema registered");
        }
        Ok(outcome) => tracing::info!(target: "audit", caller, %method, path, subject, ?outcome, "changed"),
        Err(error) => refused(request, error),
    }
}

/// The upstream registry was asked for a change.
pub(crate) fn passed_on(request: &Request, result: &Result<Reply, RegistryError>) {
    let (method, path, subject) = what(request);
    let caller = request.caller.name();
    match result {
        Ok(reply) => {
            let status = reply.status.as_u16();
            let answer: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
            let id = answer.get("id").and_then(Value::as_u64);
            tracing::info!(target: "audit", caller, %method, path, subject, status, id, "passed on upstream");
        }
        Err(error) => refused(request, error),
    }
}

/// A change was not made.
pub(crate) fn refused(request: &Request, error: &RegistryError) {
    let (method, path, subject) = what(request);
    let (caller, (_, code)) = (request.caller.name(), error.status_and_code());
    tracing::info!(target: "audit", caller, %method, path, subject, code, %error, "not changed");
}

fn what(request: &Request) -> (&Method, &str, &str) {
    (&request.method, &request.target, request.call.subject().unwrap_or(""))
}
