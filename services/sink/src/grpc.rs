//! `efd.sink.v1.SinkService`: what the worker owns, how it fares, what is missing, and repair.
//!
//! Dead letters are not served here: the command reads and redrives them straight in Kafka, where they are, so that it can when no
//! sink runs.

pub mod health;
mod owned;
mod service;

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use efd_proto::sink::v1::FILE_DESCRIPTOR_SET;
use efd_proto::sink::v1::sink_service_server::SinkServiceServer;
use efd_service::Stop;
use efd_service::server::grpc::Incoming;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tonic_health::ServingStatus;
use tonic_reflection::server::Builder as Reflection;

pub use service::Service;

/// Time that running calls have to end after a stop.
const DRAIN: Duration = Duration::from_secs(2);
/// Connections at the same time; further ones wait.
const MAX_CONNECTIONS: usize = 256;
/// Time without traffic after which a client is asked whether it is there, so that a repair ends that nobody waits for.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// Serves until a stop is requested; then running calls are cut.
///
/// # Errors
/// When the port is in use, or the socket fails.
pub async fn serve(
    service: Service,
    address: SocketAddr,
    stop: Stop,
    cut: CancellationToken,
) -> anyhow::Result<()> {
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("gRPC server cannot listen on {address} (setting grpc)"))?;
    let incoming = Incoming { listener, tls: None, max_connections: MAX_CONNECTIONS, opened: || () };
    let (health, health_server) = tonic_health::server::health_reporter();
    health.set_service_status("", ServingStatus::Serving).await;
    health.set_service_status("efd.sink.v1.SinkService", ServingStatus::Serving).await;
    let reflection = || {
        Reflection::configure()
            .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let router = Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE))
        .add_service(SinkServiceServer::new(service))
        .add_service(health_server)
        // Older clients know only the alpha version.
        .add_service(reflection().build_v1alpha()?)
        .add_service(reflection().build_v1()?);
    tracing::info!(%address, "serving gRPC");
    let requested = stop.clone();
    let serving = incoming.serve(router, async move { requested.requested().await });
    let time_is_up = async {
        stop.requested().await;
        cut.cancel();
        tokio::time::sleep(DRAIN).await;
    };
    tokio::select! {
        outcome = serving => outcome.context("gRPC server failed"),
        () = time_is_up => Ok(()),
    }
}
