//! The admin server: what Kubernetes and Prometheus ask.

use std::net::{SocketAddr, TcpListener};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::instance::StartError;
use crate::metrics::Metrics;
use crate::readiness::Readiness;

/// What the endpoints show.
#[derive(Clone)]
pub(crate) struct Shown {
    pub(crate) ready: Readiness,
    pub(crate) metrics: Metrics,
}

/// A running admin server; it answers until `stopping` is cancelled, also while the service finishes.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) task: JoinHandle<()>,
}

/// Listens on `address`, port 0 for any free one. Must be called inside a Tokio runtime.
pub(crate) fn serve(
    address: SocketAddr,
    shown: Shown,
    stopping: CancellationToken,
) -> Result<Server, StartError> {
    let (listener, address) = listen(address).map_err(|source| StartError::Listen { address, source })?;
    let app = Router::new()
        .route("/livez", get(|| async { "alive\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(shown);
    let task = tokio::spawn(async move {
        let served = axum::serve(listener, app).with_graceful_shutdown(stopping.cancelled_owned()).await;
        if let Err(error) = served {
            tracing::error!(%error, "admin server ended");
        }
    });
    Ok(Server { address, task })
}

fn listen(address: SocketAddr) -> std::io::Result<(tokio::net::TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    let bound = listener.local_addr()?;
    Ok((tokio::net::TcpListener::from_std(listener)?, bound))
}

async fn readyz(State(shown): State<Shown>) -> (StatusCode, String) {
    let waiting = shown.ready.waiting();
    if waiting.is_empty() {
        return (StatusCode::OK, "ready\n".to_owned());
    }
    (StatusCode::SERVICE_UNAVAILABLE, format!("waiting for {}\n", waiting.join(", ")))
}

async fn metrics(State(shown): State<Shown>) -> Response {
    match shown.metrics.text() {
        Ok(text) => ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}
