//! Several registries on one log: one writes, the others pass their writes on to it.
//!
//! The log itself says who writes: whoever takes over writes its address into a `NOOP` record ([`crate::log`]), and has the
//! transactional id by then, so that the one before can write nothing more. All replicas read the log, so all know the
//! writer, from the same offset on, and nothing beside the log has to agree with it. [`election`] says when to take over.
//!
//! A replica that is not the writer answers what it knows already, and sends every other write over gRPC ([`peer`]) as its client sent it.
//! It answers its client when it has read the write itself. A forwarded write is never forwarded again, so no
//! disagreement about the writer can make it go round.

pub(crate) mod election;
pub(crate) mod peer;

use std::sync::Arc;
use std::time::Duration;

use axum::http::{Method, StatusCode};
use efd_proto::registry::v1::ForwardResponse;
use tokio::sync::watch;
use tokio::time::Instant;
use tonic::Code;

use crate::api::{Api, Reply, Request};
use crate::error::RegistryError;
use crate::metrics::Metrics;
use crate::replica::peer::{Dial, Peers};
use crate::route::Call;
use crate::store::{Store, View};

/// Longest wait before a writer that could not be reached is tried again; a new writer ends it at once.
const RETRY: Duration = Duration::from_millis(200);

/// This replica among the others.
#[derive(Debug, Clone)]
pub(crate) struct Replicas {
    /// `host:port` at which the others reach this one.
    me: Arc<str>,
    view: watch::Receiver<View>,
    peers: Arc<Peers>,
    /// Bound on a write, from the request to its answer.
    timeout: Duration,
    metrics: Metrics,
}

/// Why a write could not be made elsewhere.
struct Failure {
    error: RegistryError,
    /// Nothing was done, or doing it twice is the same as once.
    may_retry: bool,
}

impl Replicas {
    /// This replica is `me` to the others, which are reached as `dial` says.
    pub(crate) fn new(me: Arc<str>, store: &Store, dial: Dial, metrics: Metrics) -> Self {
        let peers = Arc::new(Peers::new(dial));
        Self { me, view: store.watch(), peers, timeout: store.write_timeout(), metrics }
    }

    /// The writer according to the log, unless it is this replica.
    pub(crate) fn elsewhere(&self) -> Option<Arc<str>> {
        self.view.borrow().state.writer().filter(|writer| **writer != self.me).cloned()
    }

    /// The writer according to the log; empty when there is none.
    pub(crate) fn writer(&self) -> String {
        self.view.borrow().state.writer().map_or_else(String::new, ToString::to_string)
    }

    /// Offset of the next record to read.
    pub(crate) fn next_offset(&self) -> i64 {
        self.view.borrow().next_offset
    }

    /// Makes a change, here or where the writer is. While there is no writer, or one fails that may be asked again, it tries again
    /// until the bound on a write.
    ///
    /// # Errors
    /// Why it is refused, or may not have been made.
    pub(crate) async fn write(&self, api: &Api, request: &Request) -> Result<Reply, RegistryError> {
        let deadline = Instant::now() + self.timeout;
        let written = tokio::time::timeout_at(deadline, self.try_write(api, request, deadline)).await;
        written.unwrap_or(Err(RegistryError::WriteTimedOut(self.timeout.as_secs())))
    }

    async fn try_write(
        &self,
        api: &Api,
        request: &Request,
        deadline: Instant,
    ) -> Result<Reply, RegistryError> {
        loop {
            let writer = self.elsewhere();
            let problem = match &writer {
                None => match api.write_here(request).await {
                    Err(RegistryError::NotWriter) => RegistryError::NotWriter,
                    // Done or not, the same again has the same outcome.
                    Err(error @ (RegistryError::Fenced | RegistryError::WriteFailed(_)))
                        if is_idempotent(request) =>
                    {
                        error
                    }
                    result => return result,
                },
                Some(writer) => match self.forward(writer, request, deadline).await {
                    Ok(reply) => return Ok(reply),
                    Err(Failure { error, may_retry: false }) => return Err(error),
                    Err(Failure { error, .. }) => error,
                },
            };
            // The problem says more than that the time is over.
            if Instant::now() + RETRY >= deadline {
                return Err(problem);
            }
            let mut view = self.view.clone();
            // Either way the next turn looks at who writes.
            let _ = tokio::time::timeout(RETRY, view.wait_for(|view| view.state.writer() != writer.as_ref()))
                .await;
        }
    }

    async fn forward(
        &self,
        writer: &Arc<str>,
        request: &Request,
        deadline: Instant,
    ) -> Result<Reply, Failure> {
        let failed = |reason: String, may_retry| {
            self.metrics.forwarded(false);
            let error = RegistryError::ForwardFailed { writer: writer.to_string(), reason };
            Failure { error, may_retry }
        };
        // What must not be done twice is sent only to a writer that is there.
        let is_idempotent = is_idempotent(request);
        if !is_idempotent && !self.peers.is_writer(writer).await {
            return Err(failed("it is not the writer, or does not answer".into(), true));
        }
        let left = deadline.saturating_duration_since(Instant::now());
        let answered =
            self.peers.forward(writer, request, left).await.map_err(|status| match status.code() {
                Code::FailedPrecondition => Failure { error: RegistryError::NotWriter, may_retry: true },
                _ => failed(status.message().to_owned(), is_idempotent),
            })?;
        self.metrics.forwarded(true);
        let ForwardResponse { status, body, next_offset, warning, retry_after } = answered;
        let mut view = self.view.clone();
        let left = deadline.saturating_duration_since(Instant::now()).saturating_sub(RETRY);
        // The write is done; that this replica is slow to read it must not make the answer an error.
        let _ = tokio::time::timeout(left, view.wait_for(|view| view.next_offset >= next_offset)).await;
        let status = u16::try_from(status).ok().and_then(|status| StatusCode::from_u16(status).ok());
        Ok(Reply {
            warning: Some(warning).filter(|warning| !warning.is_empty()),
            retry_after: Some(retry_after).filter(|seconds| *seconds > 0),
            ..Reply::new(status.unwrap_or(StatusCode::BAD_GATEWAY), body.into())
        })
    }
}

/// To delete twice is not the same as once, and tags make a further version each time; all else is.
fn is_idempotent(request: &Request) -> bool {
    request.method != Method::DELETE && !matches!(request.call, Call::ChangeTags { .. })
}
