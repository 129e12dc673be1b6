//! Two registries asked the same, to see whether one can take the other's place.
//!
//! Clients get the answer of the side that is set, and wait for no other. The other side is asked beside, and answers that differ are counted
//! and told, at most once a minute for each route. A difference counts only if it is still there a moment later, since the two
//! sides need not learn of a write at the same time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::{Method, StatusCode};
use efd_service::Context;
use opentelemetry::KeyValue;
use opentelemetry::metrics::Counter;
use serde_json::Value;
use tokio::sync::Semaphore;

use super::config::{ShadowConfig, Side, UpstreamConfig, Writes};
use super::memory::Memory;
use super::telemetry::Telemetry;
use super::upstream::Upstream;
use crate::api::{Api, Reply, Request};
use crate::audit;
use crate::error::RegistryError;

/// Comparisons at once where the setting says nothing.
const COMPARISONS: usize = 64;
/// Pause before a difference is looked at again.
const SECOND_LOOK: Duration = Duration::from_secs(1);
/// Time between two lines about the same route.
const TELL_EVERY: Duration = Duration::from_secs(60);
/// Characters of an answer in a line of the log.
const SHOWN: usize = 300;

/// Our own registry and the upstream one.
#[derive(Debug)]
pub(crate) struct Shadow {
    own: Api,
    upstream: Upstream,
    config: ShadowConfig,
    comparisons: Arc<Semaphore>,
    /// Writes go to both sides in the same order, so that both give the same ids.
    writing: tokio::sync::Mutex<()>,
    compared: Counter<u64>,
    told: Mutex<HashMap<(&'static str, Outcome), Instant>>,
}

/// What a comparison came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Outcome {
    Equal,
    Different,
    OwnFailed,
    UpstreamFailed,
    /// As many were under way as may be.
    Skipped,
}

impl Outcome {
    const ALL: [Self; 5] =
        [Self::Equal, Self::Different, Self::OwnFailed, Self::UpstreamFailed, Self::Skipped];

    const fn label(self) -> &'static str {
        match self {
            Self::Equal => "equal",
            Self::Different => "different",
            Self::OwnFailed => "own_failed",
            Self::UpstreamFailed => "upstream_failed",
            Self::Skipped => "skipped",
        }
    }
}

type Answered = Result<Reply, RegistryError>;

impl Shadow {
    /// Compares `own` with the upstream.
    ///
    /// # Errors
    /// When the certificate authority cannot be used.
    pub(crate) fn new(own: Api, config: &UpstreamConfig, ctx: &Context) -> anyhow::Result<Self> {
        let shadow = config.shadow.clone().unwrap_or_default();
        let at_once = if shadow.max_comparisons == 0 { COMPARISONS } else { shadow.max_comparisons };
        let nothing_kept = Arc::new(Mutex::new(Memory::new(0)));
        let compared = ctx
            .meter
            .u64_counter("efd_registry_shadow_comparisons")
            .with_description("answers of both registries compared, by result: equal, different, own_failed, upstream_failed, skipped")
            .build();
        for outcome in Outcome::ALL {
            compared.add(0, &[KeyValue::new("result", outcome.label())]);
        }
        Ok(Self {
            own,
            upstream: Upstream::new(config, Telemetry::new(&ctx.meter, &nothing_kept))?,
            config: shadow,
            comparisons: Arc::new(Semaphore::new(at_once.min(Semaphore::MAX_PERMITS))),
            writing: tokio::sync::Mutex::default(),
            compared,
            told: Mutex::default(),
        })
    }

    /// Our own side.
    pub(crate) fn own(&self) -> &Api {
        &self.own
    }

    /// Answers a request from the side that is set.
    ///
    /// # Errors
    /// Why that side refuses it, or failed.
    pub(crate) async fn answer(self: &Arc<Self>, request: &Request) -> Answered {
        if !request.call.is_change() {
            return self.read(request).await;
        }
        match self.config.writes {
            Writes::Upstream => self.ask(Side::Upstream, request).await,
            Writes::Both => {
                let _in_order = self.writing.lock().await;
                let answer = self.ask(self.config.answer, request).await;
                let other = self.ask(other(self.config.answer), request).await;
                self.report(request, &answer, &other);
                answer
            }
        }
    }

    async fn read(self: &Arc<Self>, request: &Request) -> Answered {
        let answer = self.ask(self.config.answer, request).await;
        let Ok(permit) = Arc::clone(&self.comparisons).try_acquire_owned() else {
            self.count(Outcome::Skipped);
            return answer;
        };
        let (shadow, request, first) = (self.clone(), request.clone(), answer.clone());
        tokio::spawn(async move {
            let _permit = permit;
            let mut both = (first, shadow.ask(other(shadow.config.answer), &request).await);
            if compare(&both.0, &both.1) == Outcome::Different {
                tokio::time::sleep(SECOND_LOOK).await;
                let ask = |side| shadow.ask(side, &request);
                both = tokio::join!(ask(shadow.config.answer), ask(other(shadow.config.answer)));
            }
            shadow.report(&request, &both.0, &both.1);
        });
        answer
    }

    async fn ask(&self, side: Side, request: &Request) -> Answered {
        if side == Side::Own {
            return self.own.answer(request).await;
        }
        let method = if request.method == Method::HEAD { Method::GET } else { request.method.clone() };
        let asked = self.upstream.ask(method, &request.target, &request.body).await;
        let answered = asked.map(Reply::from);
        if request.call.is_change() {
            audit::passed_on(request, &answered);
        }
        answered
    }

    fn report(&self, request: &Request, chosen: &Answered, other: &Answered) {
        let (own, upstream) = match self.config.answer {
            Side::Own => (chosen, other),
            Side::Upstream => (other, chosen),
        };
        let outcome = compare(own, upstream);
        self.count(outcome);
        if outcome != Outcome::Equal && self.is_due(request.call.route(), outcome) {
            let (own, upstream) = (shown(own), shown(upstream));
            let (route, method, target) = (request.call.route(), &request.method, &request.target);
            tracing::warn!(result = outcome.label(), route, %method, target, own, upstream, "the registries differ");
        }
    }

    fn count(&self, outcome: Outcome) {
        self.compared.add(1, &[KeyValue::new("result", outcome.label())]);
    }

    fn is_due(&self, route: &'static str, outcome: Outcome) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let is_due = told.get(&(route, outcome)).is_none_or(|last| now.duration_since(*last) >= TELL_EVERY);
        if is_due {
            told.insert((route, outcome), now);
        }
        is_due
    }
}

const fn other(side: Side) -> Side {
    match side {
        Side::Own => Side::Upstream,
        Side::Upstream => Side::Own,
    }
}

fn compare(own: &Answered, upstream: &Answered) -> Outcome {
    let own = match own {
        Ok(reply) => seen(reply.status, &reply.body),
        Err(error) => match error.status_and_code() {
            (500.., _) => return Outcome::OwnFailed,
            (status, code) => (status, Value::from(code)),
        },
    };
    let Ok(upstream) = upstream else { return Outcome::UpstreamFailed };
    if own == seen(upstream.status, &upstream.body) { Outcome::Equal } else { Outcome::Different }
}

/// What clients go by: status and content, of an error its code. The order of fields does not count.
fn seen(status: StatusCode, body: &[u8]) -> (u16, Value) {
    let body = serde_json::from_slice(body).unwrap_or_else(|_| Value::from(String::from_utf8_lossy(body)));
    let code = body.get("error_code").cloned().filter(|_| !status.is_success());
    (status.as_u16(), code.unwrap_or(body))
}

fn shown(answered: &Answered) -> String {
    match answered {
        Ok(reply) => {
            let body = String::from_utf8_lossy(&reply.body);
            format!("{} {}", reply.status.as_u16(), body.chars().take(SHOWN).collect::<String>())
        }
        Err(error) => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(status: u16, body: &str) -> Answered {
        let body = bytes::Bytes::copy_from_slice(body.as_bytes());
        Ok(Reply::new(StatusCode::from_u16(status).unwrap(), body))
    }

    #[test]
    fn answers_are_equal_when_a_client_cannot_tell_them_apart() {
        let away = || Err(RegistryError::UpstreamFailed { url: "u".into(), reason: "r".into() });
        let table = [
            (
                reply(200, r#"{"id":1,"version":2}"#),
                reply(200, r#"{ "version": 2, "id": 1 }"#),
                Outcome::Equal,
            ),
            (reply(200, r#"{"id":1}"#), reply(200, r#"{"id":2}"#), Outcome::Different),
            (reply(200, "[1,2]"), reply(200, "[2,1]"), Outcome::Different),
            (reply(200, "\"a\""), reply(404, "\"a\""), Outcome::Different),
            (
                Err(RegistryError::SchemaNotFound(7)),
                reply(404, r#"{"error_code":40403,"message":"in other words"}"#),
                Outcome::Equal,
            ),
            (Err(RegistryError::SchemaNotFound(7)), reply(404, "<html>"), Outcome::Different),
            (Err(RegistryError::Stopping), reply(200, "{}"), Outcome::OwnFailed),
            (reply(200, "{}"), away(), Outcome::UpstreamFailed),
        ];
        for (own, upstream, expected) in table {
            assert_eq!(compare(&own, &upstream), expected, "{own:?} {upstream:?}");
        }
    }
}
