//! Connections of an HTTP/1.1 server: how many there are, and how long a client may let one wait.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use axum::serve::Listener;
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::Stop;

/// Bounds on connections.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Connections at the same time; further ones wait in the backlog of the system.
    pub max_connections: usize,
    /// How long a client may let a connection wait for the head of its next request.
    pub header_timeout: Duration,
}

/// How a service answers requests.
pub trait Respond: Send + Sync + 'static {
    /// Whether a request goes on when its client hangs up; else its future is dropped then.
    const OUTLIVES_CLIENT: bool;

    /// The answer to one request.
    fn respond(&self, request: Request) -> impl Future<Output = Response> + Send;

    /// There are so many connections now.
    fn connections(&self, count: usize);
}

/// For `tap_io` of a listener: only a matter of speed; a connection that is gone already fails when it is read.
pub fn without_delay(connection: &mut TcpStream) {
    let _ = connection.set_nodelay(true);
}

/// Answers requests until a stop is requested; then those under way are answered and every connection is closed.
pub async fn serve(mut listener: impl Listener, bounds: Bounds, service: Arc<impl Respond>, stop: Stop) {
    let mut builder = Builder::new();
    // Runs from the moment at which a request may come, so it also ends connections that nobody uses.
    builder.timer(TokioTimer::new()).header_read_timeout(bounds.header_timeout);
    let mut connections = JoinSet::new();
    loop {
        service.connections(connections.len());
        let has_room = connections.len() < bounds.max_connections;
        tokio::select! {
            (io, _) = listener.accept(), if has_room => {
                connections.spawn(answer(builder.clone(), TokioIo::new(io), service.clone(), stop.clone()));
            }
            Some(_) = connections.join_next() => {}
            () = stop.requested() => break,
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// Answers the requests of one connection until the client closes it, is too slow, or a stop is requested.
async fn answer<I, S: Respond>(builder: Builder, io: TokioIo<I>, service: Arc<S>, stop: Stop)
where
    I: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let answer = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let service = service.clone();
        async move {
            let answer = async move { service.respond(request.map(Body::new)).await };
            Ok::<_, Infallible>(if S::OUTLIVES_CLIENT {
                // What a request holds, such as its place among those that may run, its task holds until it is done.
                tokio::spawn(answer).await.unwrap_or_else(|_| crashed())
            } else {
                answer.await
            })
        }
    });
    let connection = builder.serve_connection(io, answer);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.requested() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        // A client that goes away or is too slow; what it sent wrongly it was told.
        tracing::debug!(%error, "an HTTP connection ended early");
    }
}

fn crashed() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = http::StatusCode::INTERNAL_SERVER_ERROR;
    response
}

#[cfg(test)]
#[path = "connections_tests.rs"]
mod tests;
