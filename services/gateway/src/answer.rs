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
use crate::shelf::{Shelf, until};

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
    /// The answer itself, and its place among the queries that may run.
    pub answer: (A, OwnedSemaphorePermit),
    /// Its measures.
    pub running: Running,
    /// Its trace.
    pub span: tracing::Span,
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

/// The state of a stream between two parts.
struct Parts<A> {
    shelf: Shelf<(A, OwnedSemaphorePermit)>,
    running: Running,
    span: tracing::Span,
    cut: CancellationToken,
    deadline: Option<Instant>,
}

impl<A: Answer> Streaming<A> {
    /// The stream that gRPC takes the parts from. No part is made before it is asked for: InfluxDB is read only as fast as the client
    /// takes the answer, and a client that goes away drops the stream, and with it the connection on which InfluxDB works for it.
    pub fn into_response(self) -> Response<BoxStream<'static, Result<A::Message, Status>>> {
        let Self { answer, running, span, cut, deadline } = self;
        let shelf = Shelf::new(answer, deadline);
        let parts = Parts { shelf, running, span, cut, deadline };
        Response::new(stream::try_unfold(parts, next).boxed())
    }
}

async fn next<A: Answer>(mut parts: Parts<A>) -> Result<Option<(A::Message, Parts<A>)>, Status> {
    let Parts { shelf, running, span, cut, deadline } = &mut parts;
    let Some((mut answer, permit)) = shelf.take() else { return Err(failed(running, &QueryError::Deadline)) };
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
            shelf.put((answer, permit));
            Ok(Some((part.message, parts)))
        }
        Ok(None) => {
            running.ends(Code::Ok);
            Ok(None)
        }
        Err(error) => Err(failed(running, &error)),
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
