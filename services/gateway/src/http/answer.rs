//! The answer to a query while it goes through: InfluxDB is read only as fast as the client reads, and nothing is gathered.
//!
//! Nothing runs beside the stream: a client that goes away drops it, and with it the connection on which InfluxDB works for it. What
//! breaks off at InfluxDB breaks off at the client, so that half an answer is never taken for a whole one.

use std::io;
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::http::response::Parts;
use axum::http::{HeaderName, HeaderValue, Response, header};
use efd_service::chain;
use futures::stream;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;
use tonic::Code;

use super::error::HttpError;
use super::join::Joiner;
use super::metrics::HttpMetrics;
use super::pack::Packer;
use crate::influxdb::Answer;
use crate::quota::Place;
use crate::running::Running;
use crate::shelf::{Shelf, until};

/// Headers of InfluxDB's answer that go to the client.
const HEADERS: [HeaderName; 4] = [
    header::CONTENT_TYPE,
    HeaderName::from_static("x-influxdb-version"),
    HeaderName::from_static("x-influxdb-build"),
    HeaderName::from_static("request-id"),
];

/// What InfluxDB sends, and the places that it takes: one of the caller's quota, and one among all queries.
pub type Source = (Answer, (Place, OwnedSemaphorePermit));

/// What lives as long as an answer goes out.
#[derive(Debug)]
pub struct Streaming {
    /// What InfluxDB sends; taken away at the end of its time.
    pub source: Shelf<Source>,
    /// Makes one object of it; none: it goes out as it comes.
    pub joiner: Option<Joiner>,
    /// Packs it; none: the client does not want that.
    pub packer: Option<Packer>,
    /// Ends all answers when the gateway has no more time.
    pub cut: CancellationToken,
    /// Told how it ends.
    pub running: Running,
    /// Told how much goes out.
    pub metrics: HttpMetrics,
    /// How long the whole may take.
    pub time: Time,
}

/// How long an answer may take.
#[derive(Debug, Clone, Copy)]
pub struct Time {
    /// In all.
    pub max: Duration,
    /// When it ends.
    pub end: Instant,
}

impl Time {
    /// From now on.
    pub fn new(max: Duration) -> Self {
        let now = Instant::now();
        Self { max, end: now.checked_add(max).unwrap_or(now) }
    }
}

impl Streaming {
    /// The response with the headers of InfluxDB's own.
    pub fn response(self, head: &Parts) -> Response<Body> {
        let is_packed = self.packer.is_some();
        let mut response = Response::new(Body::from_stream(stream::try_unfold(Some(self), next)));
        if is_packed {
            response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        for name in HEADERS {
            if let Some(value) = head.headers.get(&name) {
                response.headers_mut().insert(name, value.clone());
            }
        }
        response
    }

    /// What goes out next, and whether it is the last.
    async fn bytes(&mut self) -> Result<(Bytes, bool), HttpError> {
        let late = || HttpError::TooSlow(self.time.max);
        let (mut answer, places) = self.source.take().ok_or_else(late)?;
        loop {
            let piece = tokio::select! {
                biased;
                () = self.cut.cancelled() => return Err(HttpError::Stopping),
                () = until(Some(self.time.end)) => return Err(late()),
                piece = answer.piece() => piece?,
            };
            let is_over = piece.is_none();
            let bytes = match (&mut self.joiner, piece) {
                (None, piece) => piece.unwrap_or_default(),
                (Some(joiner), piece) => {
                    let joined = match piece {
                        Some(piece) => joiner.push(&piece),
                        None => joiner.finish(),
                    };
                    joined.map_err(|error| answer.broken_off(&error))?.into()
                }
            };
            if is_over {
                return Ok((bytes, true));
            }
            if !bytes.is_empty() {
                self.source.put((answer, places));
                return Ok((bytes, false));
            }
        }
    }
}

async fn next(streaming: Option<Streaming>) -> io::Result<Option<(Bytes, Option<Streaming>)>> {
    let Some(mut streaming) = streaming else { return Ok(None) };
    match streaming.bytes().await {
        Ok((bytes, is_last)) => {
            let bytes = match &mut streaming.packer {
                None => bytes,
                Some(packer) if is_last => packer.finish(&bytes)?.into(),
                Some(packer) => packer.push(&bytes)?.into(),
            };
            streaming.metrics.sent(bytes.len());
            if is_last {
                streaming.running.ends(Code::Ok);
            }
            Ok(Some((bytes, (!is_last).then_some(streaming))))
        }
        Err(error) => {
            streaming.running.ends(error.code());
            let text = chain(&error);
            tracing::warn!(error = text, "an answer to an InfluxQL query broke off");
            Err(io::Error::other(text))
        }
    }
}
