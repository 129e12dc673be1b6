//! The gRPC server: schemas for services, writes of other replicas, health and reflection on one port.

mod forward;
mod schema;
mod watch;

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;

use anyhow::Context as _;
use axum::http::HeaderValue;
use efd_proto::registry::v1::FILE_DESCRIPTOR_SET;
use efd_proto::registry::v1::forward_service_server::ForwardServiceServer;
use efd_proto::registry::v1::schema_service_server::SchemaServiceServer;
use efd_service::Stop;
use efd_service::server::grpc::Incoming;
use rustls::ServerConfig;
use tokio::net::TcpListener;
use tonic::metadata::MetadataMap;
use tonic::transport::Server;
use tonic::transport::server::Router;
use tonic::{Code, Status};
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::server::HealthReporter;
use tonic_reflection::server::Builder as Reflection;

use crate::config::Config;
use crate::error::RegistryError;
use crate::front::Front;
use crate::rest::BODY_PER_SCHEMA;

/// Room for method and target of a forwarded write, beside its body.
const FORWARD_OVERHEAD: u64 = 64 * 1024;

/// Listens on `config.grpc`.
///
/// # Errors
/// When the address is in use or not ours.
pub async fn listen(config: &Config) -> anyhow::Result<TcpListener> {
    let address = config.grpc;
    let bound = TcpListener::bind(address).await;
    bound.with_context(|| format!("gRPC server cannot listen on {address} (setting grpc)"))
}

/// `host:port` at which other replicas reach the server that listens on `bound`.
pub fn advertised(config: &Config, bound: SocketAddr) -> Arc<str> {
    if let Some(address) = &config.replicas.advertise {
        return address.as_str().into();
    }
    let address = if bound.ip().is_unspecified() { toward(config.kafka.bootstrap_servers()) } else { None };
    SocketAddr::new(address.unwrap_or(bound.ip()), bound.port()).to_string().into()
}

/// The address of this machine on the way to the first of some servers; nothing is sent.
fn toward(servers: &str) -> Option<IpAddr> {
    let server = servers.split(',').next()?.trim();
    let any = |server: &str| {
        UdpSocket::bind("0.0.0.0:0").and_then(|socket| socket.connect(server).map(|()| socket))
    };
    let six =
        |server: &str| UdpSocket::bind("[::]:0").and_then(|socket| socket.connect(server).map(|()| socket));
    let socket = any(server).or_else(|_| six(server)).ok()?;
    socket.local_addr().ok().map(|address| address.ip()).filter(|address| !address.is_unspecified())
}

/// Serves until a stop is requested and all calls have ended.
///
/// # Errors
/// When the listening socket fails, or the descriptions for reflection are damaged.
pub async fn serve(
    (listener, tls): (TcpListener, Option<Arc<ServerConfig>>),
    front: Arc<Front>,
    config: &Config,
    stop: Stop,
) -> anyhow::Result<()> {
    let (health, health_server) = tonic_health::server::health_reporter();
    let router = router(front.clone(), health_server, config, &stop)?;
    let telling = tell(health, front, stop.clone());
    let incoming = Incoming { listener, tls, max_connections: config.limits.max_connections, opened: || () };
    let stopped = async move { stop.requested().await };
    let (outcome, ()) = tokio::join!(incoming.serve(router, stopped), telling);
    outcome.context("gRPC server failed")
}

fn router(
    front: Arc<Front>,
    health: HealthServer<impl Health>,
    config: &Config,
    stop: &Stop,
) -> anyhow::Result<Router> {
    let limits = &config.grpc_limits;
    let longest = config.schemas.max_schema_bytes.as_u64().saturating_mul(BODY_PER_SCHEMA);
    let longest = usize::try_from(longest.saturating_add(FORWARD_OVERHEAD)).unwrap_or(usize::MAX);
    let reflection = || {
        Reflection::configure()
            .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let forward = forward::Service::new(front.clone(), config);
    let schema = schema::Service::new(front, limits, stop.clone());
    Ok(Server::builder()
        .max_concurrent_streams(limits.max_streams)
        .http2_keepalive_interval(Some(limits.keepalive))
        .http2_keepalive_timeout(Some(limits.keepalive))
        .add_service(ForwardServiceServer::new(forward).max_decoding_message_size(longest))
        .add_service(SchemaServiceServer::new(schema))
        .add_service(health)
        // Older clients know only the alpha version.
        .add_service(reflection().build_v1alpha()?)
        .add_service(reflection().build_v1()?))
}

/// Tells the health service whether schemas can be given, until a stop is requested.
async fn tell(health: HealthReporter, front: Arc<Front>, stop: Stop) {
    let name = <SchemaServiceServer<schema::Service> as tonic::server::NamedService>::NAME;
    let set = async |status| {
        for name in ["", name] {
            health.set_service_status(name, status).await;
        }
    };
    set(ServingStatus::NotServing).await;
    tokio::select! {
        () = front.loaded() => set(ServingStatus::Serving).await,
        () = stop.requested() => {}
    }
    stop.requested().await;
    set(ServingStatus::NotServing).await;
}

/// What a call shows of its caller.
fn authorization(metadata: &MetadataMap) -> Result<Option<HeaderValue>, Status> {
    let value = metadata.get("authorization").map(|value| HeaderValue::from_bytes(value.as_encoded_bytes()));
    value.transpose().map_err(|_| Status::unauthenticated("authorization is not a header of HTTP"))
}

/// The status of a call that was refused or failed.
impl From<RegistryError> for Status {
    fn from(error: RegistryError) -> Self {
        Self::new(code(error.status_and_code().0), error.to_string())
    }
}

/// The code of a status of HTTP.
const fn code(status: u16) -> Code {
    match status {
        400 | 405 | 408 | 422 => Code::InvalidArgument,
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        404 => Code::NotFound,
        409 => Code::FailedPrecondition,
        429 => Code::ResourceExhausted,
        _ => Code::Unavailable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_replicas_are_told_an_address_that_they_can_reach() {
        let mut config = Config::default();
        config.kafka.bootstrap_servers = Some("127.0.0.1:9092,10.0.0.1:9092".into());
        assert_eq!(&*advertised(&config, "0.0.0.0:9181".parse().unwrap()), "127.0.0.1:9181");
        assert_eq!(&*advertised(&config, "10.1.2.3:5".parse().unwrap()), "10.1.2.3:5");
        config.replicas.advertise = Some("registry-0.registry:9181".into());
        assert_eq!(&*advertised(&config, "0.0.0.0:9181".parse().unwrap()), "registry-0.registry:9181");
    }
}
