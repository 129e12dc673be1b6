//! The gRPC server: queries, health and reflection on one port, and how all servers end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use efd_proto::query::v1::FILE_DESCRIPTOR_SET;
use efd_proto::query::v1::query_service_server::QueryServiceServer;
use efd_service::Stop;
use efd_service::server::grpc::Incoming;
use efd_service::server::tls::ServerCertificate;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tonic::transport::server::Router;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_reflection::server::Builder as Reflection;

use crate::config::ServerConfig;
use crate::guard::Guarded;
use crate::service::Service;

/// Time that clients have, after their answers were cut, to take the status and close.
const CUT_GRACE: Duration = Duration::from_secs(2);

/// How servers end.
#[derive(Debug)]
pub struct Drain {
    /// Ends the taking of new calls.
    pub stop: Stop,
    /// How long running calls may go on after that.
    pub timeout: Duration,
    /// Cancelled then; the service must end its answers.
    pub cut: CancellationToken,
}

/// Listens on `address`.
///
/// # Errors
/// When it is in use or not ours.
pub async fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind(address).await;
    listener.with_context(|| format!("gRPC server cannot listen on {address} (setting grpc)"))
}

/// All that is served; `guard` stands before queries only.
///
/// # Errors
/// When the descriptions for reflection are damaged.
pub fn router(
    service: Service,
    guard: impl FnOnce(QueryServiceServer<Service>) -> Guarded<QueryServiceServer<Service>>,
    health: HealthServer<impl Health>,
    config: &ServerConfig,
) -> anyhow::Result<Router> {
    let max_request = usize::try_from(config.max_request_bytes.as_u64()).unwrap_or(usize::MAX);
    let reflection = || {
        Reflection::configure()
            .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    Ok(Server::builder()
        .max_concurrent_streams(config.max_streams)
        .http2_keepalive_interval(Some(config.keepalive_interval))
        .http2_keepalive_timeout(Some(config.keepalive_timeout))
        .add_service(guard(QueryServiceServer::new(service).max_decoding_message_size(max_request)))
        .add_service(health)
        // Older clients know only the alpha version.
        .add_service(reflection().build_v1alpha()?)
        .add_service(reflection().build_v1()?))
}

/// Serves gRPC until a stop is requested and all calls have ended.
///
/// # Errors
/// When the listening socket fails.
pub async fn serve(
    router: Router,
    listener: TcpListener,
    certificate: Option<Arc<ServerCertificate>>,
    max_connections: usize,
    stop: Stop,
) -> anyhow::Result<()> {
    let tls = certificate.map(|certificate| certificate.server("h2"));
    let incoming = Incoming { listener, tls, max_connections, opened: || () };
    incoming.serve(router, async move { stop.requested().await }).await.context("gRPC server failed")
}

/// Waits for servers to end, but after a stop only as long as they may take; then their answers are cut.
///
/// # Errors
/// Those of the servers.
pub async fn drained(serving: impl Future<Output = anyhow::Result<()>>, drain: Drain) -> anyhow::Result<()> {
    let Drain { stop, timeout, cut } = drain;
    let time_is_up = async {
        stop.requested().await;
        tokio::time::sleep(timeout).await;
        cut.cancel();
        tokio::time::sleep(CUT_GRACE).await;
    };
    tokio::select! {
        outcome = serving => outcome,
        () = time_is_up => {
            tracing::warn!("clients that do not take their answers were cut off");
            Ok(())
        }
    }
}
