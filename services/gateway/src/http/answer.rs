//! The answer to a query while it goes through: InfluxDB is read only as fast as the client reads, and nothing is gathered.
//!
//! Nothing runs beside the stream: a client that goes away drops it, and with it the connection on which InfluxDB works for it. What
//! breaks off at InfluxDB breaks off at the client, so that half an answer is never taken for a whole one.

use std::io;

use axum::body::{Body, Bytes};
use axum::http::response::Parts;
use axum::http::{HeaderName, Response, header};
use efd_service::chain;
use futures::stream;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;
use tonic::Code;

use super::error::HttpError;
use super::join::Joiner;
use super::metrics::HttpMetrics;
use crate::influxdb::Answer;
use crate::quota::Place;
use crate::running::Running;

/// Headers of InfluxDB's answer that go to the client.
const HEADERS: [HeaderName; 4] = [
    header::CONTENT_TYPE,
    HeaderName::from_static("x-influxdb-version"),
    HeaderName::from_static("x-influxdb-build"),
    HeaderName::from_static("request-id"),
];

/// What lives as long as an answer goes out.
#[derive(Debug)]
pub struct Streaming {
    /// What InfluxDB sends.
    pub answer: Answer,
    /// Makes one object of it; none: it goes out as it comes.
    pub joiner: Option<Joiner>,
    /// Ends all answers when the gateway has no more time.
    pub cut: CancellationToken,
    /// Told how it ends.
    pub running: Running,
    /// Told how much goes out.
    pub metrics: HttpMetrics,
    /// A place of the caller's quota, and one among all queries.
    pub _places: (Place, OwnedSemaphorePermit),
    /// Whether InfluxDB has sent everything.
    pub is_over: bool,
}

impl Streaming {
    /// The response with the headers of InfluxDB's own.
    pub fn response(self, head: &Parts) -> Response<Body> {
        let body = Body::from_stream(stream::try_unfold(self, next));
        let mut response = Response::new(body);
        for name in HEADERS {
            if let Some(value) = head.headers.get(&name) {
                response.headers_mut().insert(name, value.clone());
            }
        }
        response
    }

    /// What goes out next; none at the end.
    async fn bytes(&mut self) -> Result<Option<Bytes>, HttpError> {
        while !self.is_over {
            let piece = tokio::select! {
                biased;
                () = self.cut.cancelled() => return Err(HttpError::Stopping),
                piece = self.answer.piece() => piece?,
            };
            self.is_over = piece.is_none();
            let Some(joiner) = &mut self.joiner else { return Ok(piece) };
            let joined = match &piece {
                Some(piece) => joiner.push(piece),
                None => joiner.finish(),
            };
            let joined = joined.map_err(|error| self.answer.broken_off(&error))?;
            if !joined.is_empty() {
                return Ok(Some(Bytes::from(joined)));
            }
        }
        Ok(None)
    }
}

async fn next(mut streaming: Streaming) -> io::Result<Option<(Bytes, Streaming)>> {
    match streaming.bytes().await {
        Ok(Some(bytes)) => {
            streaming.metrics.sent(bytes.len());
            Ok(Some((bytes, streaming)))
        }
        Ok(None) => {
            streaming.running.ends(Code::Ok);
            Ok(None)
        }
        Err(error) => {
            streaming.running.ends(error.code());
            let text = chain(&error);
            tracing::warn!(error = text, "an answer to an InfluxQL query broke off");
            Err(io::Error::other(text))
        }
    }
}
