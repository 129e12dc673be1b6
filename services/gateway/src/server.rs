//! The gRPC server: queries, health and reflection on one port, and how it ends.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use efd_proto::query::v1::FILE_DESCRIPTOR_SET;
use efd_proto::query::v1::query_service_server::QueryServiceServer;
use efd_service::Stop;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tonic::transport::server::{Router, TcpIncoming};
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_reflection::server::Builder as Reflection;

use crate::config::ServerConfig;
use crate::service::Service;

/// Time that clients have, after their answers were cut, to take the status and close.
const CUT_GRACE: Duration = Duration::from_secs(2);

/// How the server ends.
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
pub fn listen(address: SocketAddr) -> anyhow::Result<TcpIncoming> {
    let incoming = TcpIncoming::bind(address)
        .with_context(|| format!("gRPC server cannot listen on {address} (setting grpc)"))?;
    Ok(incoming.with_nodelay(Some(true)))
}

/// All that is served.
///
/// # Errors
/// When the descriptions for reflection are damaged.
pub fn router(
    service: Service,
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
        .add_service(QueryServiceServer::new(service).max_decoding_message_size(max_request))
        .add_service(health)
        // Older clients know only the alpha version.
        .add_service(reflection().build_v1alpha()?)
        .add_service(reflection().build_v1()?))
}

/// Serves until a stop is requested and all calls have ended, or were cut.
///
/// # Errors
/// When the listening socket fails.
pub async fn serve(router: Router, incoming: TcpIncoming, drain: Drain) -> anyhow::Result<()> {
    let Drain { stop, timeout, cut } = drain;
    let requested = stop.clone();
    let serving = router.serve_with_incoming_shutdown(incoming, async move { requested.requested().await });
    tokio::pin!(serving);
    let time_is_up = async {
        stop.requested().await;
        tokio::time::sleep(timeout).await;
        cut.cancel();
        tokio::time::sleep(CUT_GRACE).await;
    };
    tokio::select! {
        outcome = &mut serving => outcome.context("gRPC server failed"),
        () = time_is_up => {
            tracing::warn!("clients that do not take their answers were cut off");
            Ok(())
        }
    }
}
