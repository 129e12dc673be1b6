//! Client of the upstream registry. While that is away, requests fail at once but for one now and then.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::{HeaderValue, Method, Request, StatusCode, header};
use bytes::Bytes;
use efd_service::Backoff;
use efd_service::http::{Client, authorization};
use serde::Deserialize;

use super::config::UpstreamConfig;
use super::telemetry::Telemetry;
use crate::error::RegistryError;
use crate::rest::{self, V1_JSON};

/// Bounds of the wait before an upstream that is away is tried again.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// An answer of the upstream that is not its failure.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Bytes,
    /// What it warned of.
    pub(super) warning: Option<String>,
}

#[derive(Debug)]
pub(super) struct Upstream {
    client: Client,
    url: String,
    authorization: Option<HeaderValue>,
    timeout: Duration,
    gate: Mutex<Gate>,
    telemetry: Telemetry,
}

/// Whether it is worth asking.
#[derive(Debug)]
struct Gate {
    backoff: Backoff,
    /// Away, and not to be asked before this.
    closed_until: Option<Instant>,
    reason: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ErrorAnswer {
    error_code: u32,
    message: String,
}

impl Answer {
    /// Whether a registry says that it does not have what was asked for; a page of something else says nothing.
    pub(super) fn is_not_found(&self) -> bool {
        let code = || serde_json::from_slice::<ErrorAnswer>(&self.body).unwrap_or_default().error_code;
        self.status == StatusCode::NOT_FOUND && (40401..=40409).contains(&code())
    }
}

impl Upstream {
    pub(super) fn new(config: &UpstreamConfig, telemetry: Telemetry) -> anyhow::Result<Self> {
        let authorization = authorization(config.username.as_deref(), &config.password, &config.token);
        let backoff = Backoff::new(RETRY.0, RETRY.1);
        Ok(Self {
            client: Client::new(config.ca_file.as_deref())?,
            url: config.url().unwrap_or_default().to_owned(),
            authorization,
            timeout: config.timeout,
            gate: Mutex::new(Gate { backoff, closed_until: None, reason: String::new() }),
            telemetry,
        })
    }

    /// Whether it did not answer when it was last asked.
    pub(super) fn is_away(&self) -> bool {
        self.gate().closed_until.is_some()
    }

    /// Asks, unless it was away a moment ago.
    ///
    /// # Errors
    /// When it does not answer, fails, or refuses this registry's own credentials.
    pub(super) async fn ask(
        &self,
        method: Method,
        target: &str,
        body: &Bytes,
    ) -> Result<Answer, RegistryError> {
        {
            let gate = self.gate();
            if gate.closed_until.is_some_and(|until| Instant::now() < until) {
                return Err(self.failure(&gate.reason));
            }
        }
        self.send(method, target, body).await
    }

    /// Looks again and again whether it answers.
    pub(super) async fn probe(&self, interval: Duration) {
        loop {
            // What matters of the answer is told to the gate.
            let _ = self.send(Method::GET, "/", &Bytes::new()).await;
            tokio::time::sleep(interval).await;
        }
    }

    async fn send(&self, method: Method, target: &str, body: &Bytes) -> Result<Answer, RegistryError> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{target}", self.url))
            .header(header::ACCEPT, V1_JSON)
            .header(header::CONTENT_TYPE, V1_JSON);
        if let Some(authorization) = &self.authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        let request = request.body(body.clone()).map_err(|_| RegistryError::PathNotFound)?;
        let started = Instant::now();
        let answered = self.client.send(request, self.timeout).await;
        self.telemetry.asked(started.elapsed());
        let problem = match answered {
            Ok(answer) => {
                let (status, warning) = (answer.status(), answer.headers().get(header::WARNING));
                let warning = warning.and_then(|warning| warning.to_str().ok()).map(rest::warning_text);
                let body = answer.into_body();
                match problem_of(status, &body) {
                    None => {
                        self.is_back();
                        return Ok(Answer { status, body, warning });
                    }
                    Some(problem) => problem,
                }
            }
            Err(error) => error.to_string(),
        };
        let error = self.failure(&problem);
        self.is_gone(problem);
        Err(error)
    }

    fn failure(&self, reason: &str) -> RegistryError {
        RegistryError::UpstreamFailed { url: self.url.clone(), reason: reason.to_owned() }
    }

    fn is_back(&self) {
        self.telemetry.upstream(true);
        let mut gate = self.gate();
        if gate.closed_until.take().is_some() {
            gate.backoff.reset();
            tracing::info!(url = self.url, "the upstream registry answers again");
        }
    }

    fn is_gone(&self, problem: String) {
        self.telemetry.upstream(false);
        let mut gate = self.gate();
        let wait = gate.backoff.next();
        if gate.closed_until.replace(Instant::now() + wait).is_none() {
            tracing::warn!(
                url = self.url,
                error = problem,
                "the upstream registry is away, what is known is still served"
            );
        }
        gate.reason = problem;
    }

    fn gate(&self) -> std::sync::MutexGuard<'_, Gate> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why an answer is none to the client: the upstream's trouble, or a refusal of this registry rather than of the request.
fn problem_of(status: StatusCode, body: &Bytes) -> Option<String> {
    let is_trouble = status.is_server_error()
        || matches!(
            status,
            StatusCode::UNAUTHORIZED
                | StatusCode::FORBIDDEN
                | StatusCode::PROXY_AUTHENTICATION_REQUIRED
                | StatusCode::REQUEST_TIMEOUT
                | StatusCode::TOO_MANY_REQUESTS
        );
    is_trouble.then(|| {
        let ErrorAnswer { message, .. } = serde_json::from_slice(body).unwrap_or_default();
        format!("it answered {status}: {message}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_registry_says_that_something_does_not_exist() {
        let table = [
            (404, r#"{"error_code":40403,"message":"Schema 7 not found"}"#, true),
            (404, "<html>no such page</html>", false),
            (404, r#"{"error_code":404,"message":"HTTP 404 Not Found"}"#, false),
            (422, r#"{"error_code":40403}"#, false),
        ];
        for (status, body, expected) in table {
            let status = StatusCode::from_u16(status).unwrap();
            let answer = Answer { status, body: Bytes::from(body), warning: None };
            assert_eq!(answer.is_not_found(), expected, "{status} {body}");
        }
    }

    #[test]
    fn what_the_client_did_wrong_is_no_trouble_of_the_upstream() {
        for (status, is_trouble) in [
            (200, false),
            (404, false),
            (409, false),
            (422, false),
            (401, true),
            (429, true),
            (500, true),
            (503, true),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(problem_of(status, &Bytes::new()).is_some(), is_trouble, "{status}");
        }
    }
}
