//! Answers that are streamed: what they share, from the first part to the last.

use std::future::Future;
use std::time::Instant;

use efd_service::chain;
use futures::stream::{self, BoxStream, StreamExt};
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Response, Status};
use tracing::Instrument as _;

use crate::error::QueryError;
use crate::running::Running;

/// An answer that is being made. Dropping it ends what InfluxDB does for it.
pub trait Answer: Send + 'static {
    /// What is sent.
    type Message: Send + 'static;

    /// The next part; none at the end. After an error there is no more.
    ///
    /// # Errors
    /// Whatever InfluxDB or its answer gives cause for.
    fn next(&mut self) -> impl Future<Output = Result<Option<Part<Self::Message>>, QueryError>> + Send;
}

/// A part of an answer, with the size of its rows.
#[derive(Debug)]
pub struct Part<M> {
    /// What is sent.
    pub message: M,
    /// Rows in it.
    pub rows: usize,
    /// Values in them.
    pub values: usize,
    /// Their size.
    pub bytes: usize,
}

/// What lives as long as an answer is streamed.
pub struct Streaming<A> {
    /// The answer itself.
    pub answer: A,
    /// Its measures.
    pub running: Running,
    /// Its trace.
    pub span: tracing::Span,
    /// Its place among the queries that may run.
    pub _permit: OwnedSemaphorePermit,
    /// Ends all answers when the gateway has no more time.
    pub cut: CancellationToken,
    /// When the client wants no more.
    pub deadline: Option<Instant>,
}

impl<M> Part<M> {
    /// A part without rows.
    pub fn empty(message: M) -> Self {
        Self { message, rows: 0, values: 0, bytes: 0 }
    }

    /// The same rows in another message.
    pub fn map<N>(self, change: impl FnOnce(M) -> N) -> Part<N> {
        Part { message: change(self.message), rows: self.rows, values: self.values, bytes: self.bytes }
    }
}

impl<A: Answer> Streaming<A> {
    /// The stream that gRPC takes the parts from. Nothing runs beside it: InfluxDB is read only as fast as the client takes the
    /// answer, and a client that goes away drops the stream, and with it the connection on which InfluxDB works for it.
    pub fn into_response(self) -> Response<BoxStream<'static, Result<A::Message, Status>>> {
        Response::new(stream::try_unfold(self, next).boxed())
    }
}

async fn next<A: Answer>(mut streaming: Streaming<A>) -> Result<Option<(A::Message, Streaming<A>)>, Status> {
    let Streaming { answer, running, span, cut, deadline, .. } = &mut streaming;
    let outcome = tokio::select! {
        biased;
        () = cut.cancelled() => Err(QueryError::Stopping),
        () = until(*deadline) => Err(QueryError::Deadline),
        part = answer.next().instrument(span.clone()) => part,
    };
    match outcome {
        Ok(Some(part)) => {
            if part.rows > 0 {
                running.batch(part.rows, part.values, part.bytes);
            }
            Ok(Some((part.message, streaming)))
        }
        Ok(None) => {
            running.ends(Code::Ok);
            Ok(None)
        }
        Err(error) => Err(failed(running, &error)),
    }
}

/// Waits for a time; without one, for ever.
pub async fn until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time.into()).await,
        None => std::future::pending().await,
    }
}

/// The status of a failed call. What the client did wrong is of no interest to an operator.
pub fn failed(running: &mut Running, error: &QueryError) -> Status {
    let code = error.code();
    running.ends(code);
    let (kind, error_text) = (running.kind().name(), chain(error));
    match code {
        Code::InvalidArgument | Code::NotFound => tracing::debug!(kind, error = error_text, "query refused"),
        _ => tracing::warn!(kind, code = ?code, error = error_text, "query failed"),
    }
    Status::from(error)
}
