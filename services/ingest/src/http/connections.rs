//! Connections of the HTTP source: how many there are, and how long a client may let one wait.

use std::sync::Arc;

use axum::body::Body;
use axum::serve::Listener;
use efd_service::Stop;
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::task::JoinSet;

use super::{Api, respond};

/// Answers requests until a stop is requested; then those under way are answered and every connection is closed. Further
/// connections than there may be wait in the backlog of the system.
pub async fn serve(mut listener: impl Listener, api: Arc<Api>, stop: Stop) {
    let mut builder = Builder::new();
    // Runs from the moment at which a request may come, so it also ends connections that nobody uses.
    builder.timer(TokioTimer::new()).header_read_timeout(api.config.header_timeout);
    let mut connections = JoinSet::new();
    loop {
        api.metrics.connections(connections.len());
        let has_room = connections.len() < api.config.max_connections;
        tokio::select! {
            (io, _) = listener.accept(), if has_room => {
                connections.spawn(answer(builder.clone(), TokioIo::new(io), api.clone(), stop.clone()));
            }
            Some(_) = connections.join_next() => {}
            () = stop.requested() => break,
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// Answers the requests of one connection until the client closes it, is too slow, or a stop is requested.
async fn answer<I>(builder: Builder, io: TokioIo<I>, api: Arc<Api>, stop: Stop)
where
    I: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let api = api.clone();
        // A task of its own: a delivery goes on when its client hangs up, and must hold its place among `http.max_requests` and
        // `http.max_in_flight_bytes` until then.
        tokio::spawn(async move { respond(&api, request.map(Body::new)).await })
    });
    let connection = builder.serve_connection(io, service);
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

#[cfg(test)]
#[path = "connections_tests.rs"]
mod tests;
