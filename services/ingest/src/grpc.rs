//! A source that other programs publish to: `efd.ingest.v1.IngestService`.
//!
//! A sample is checked against its topic, gets the private fields that the client left out, and waits in the same queue as
//! the samples of all sources; its result goes back when Kafka has it. Nothing is kept for a client that goes away.
//!
//! Assumes nothing of clients: whatever they send, they get a result or a status, and what is held for them is bounded.
//! On error: a bad sample is refused and the stream goes on; while Kafka is away results and requests wait; only an
//! address in use keeps the service from starting.

pub mod catalogue;
pub mod config;
pub mod convert;
pub mod refusal;
pub mod service;
pub mod session;
pub mod writers;

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use efd_proto::ingest::v1::FILE_DESCRIPTOR_SET;
use efd_proto::ingest::v1::ingest_service_server::IngestServiceServer;
use efd_service::Stop;
use efd_service::server::grpc::Incoming;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tonic::server::NamedService;
use tonic::transport::Server;
use tonic::transport::server::Router;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;
use tonic_reflection::server::Builder as Reflection;

use crate::config::Config;
use crate::credentials::Access;
use crate::grpc::catalogue::Catalogue;
use crate::grpc::config::GrpcConfig;
use crate::grpc::service::Service;
use crate::grpc::session::Shared;
use crate::grpc::writers::Writers;
use crate::sample::Sample;
use crate::source::Surroundings;

/// Window of a stream and of a connection of HTTP/2: what is under way before the client waits.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 4 << 20;
/// Calls of one connection besides the streams that publish, at the same time; further ones wait at the client.
const OTHER_CALLS: u32 = 128;
/// Names whose health is told: the server as a whole, and its only service.
const HEALTH_NAMES: [&str; 2] = ["", <IngestServiceServer<Service> as NamedService>::NAME];

/// The server while it runs.
#[derive(Debug)]
pub struct GrpcSource {
    /// None once it has ended.
    serving: Option<JoinHandle<anyhow::Result<()>>>,
    address: SocketAddr,
}

impl GrpcSource {
    /// As [`start`](Self::start), where the settings say so.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_if_enabled(
        config: &Config,
        around: &Surroundings,
        queue: &mpsc::Sender<Sample>,
        stop: &Stop,
    ) -> anyhow::Result<Option<Self>> {
        if config.grpc.enabled {
            Self::start(config, around, queue, stop.clone()).map(Some)
        } else {
            Ok(None)
        }
    }

    /// Listens and serves until `stop` is requested; samples go to `queue`, which the server does not hold open.
    ///
    /// # Errors
    /// When the address is in use.
    pub fn start(
        config: &Config,
        around: &Surroundings,
        queue: &mpsc::Sender<Sample>,
        stop: Stop,
    ) -> anyhow::Result<Self> {
        let shared = Shared {
            catalogue: Catalogue::new(&around.topics),
            writers: Writers::new(around.topics.len(), config.grpc.max_writers),
            clock: around.clock.clone(),
            metrics: around.metrics.clone(),
        };
        let who = (Access::new(&config.credentials), config.identity.as_deref());
        let service = Service::new(shared, &config.grpc, who, queue.downgrade(), stop.clone());
        let (health, health_server) = tonic_health::server::health_reporter();
        let router = router(service, &config.grpc)?.add_service(health_server);
        let listener = listen(config.grpc.address).with_context(|| {
            format!("gRPC source cannot listen on {} (setting grpc.address)", config.grpc.address)
        })?;
        let address = listener.local_addr()?;
        let tls = around.certificate.as_ref().map(|certificate| certificate.server("h2"));
        tracing::info!(%address, tls = tls.is_some(), credentials = config.credentials.len(), "serving gRPC");
        let (max_connections, metrics) = (config.grpc.max_connections, around.metrics.clone());
        let incoming = Incoming { listener, tls, max_connections, opened: move || metrics.open_connection() };
        let serving = tokio::spawn(async move {
            tell(&health, ServingStatus::Serving).await;
            let stopped = async move {
                stop.requested().await;
                tell(&health, ServingStatus::NotServing).await;
            };
            incoming.serve(router, stopped).await.context("gRPC source failed")
        });
        Ok(Self { serving: Some(serving), address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until the server ends by itself, which it does only after a stop or when it fails.
    ///
    /// # Errors
    /// When the listening socket failed.
    pub async fn ended(&mut self) -> anyhow::Result<()> {
        let Some(serving) = &mut self.serving else { return Ok(()) };
        let outcome = serving.await;
        self.serving = None;
        outcome.context("gRPC source panicked")?
    }

    /// Ends the server after a stop, when all results are known; clients that do not take theirs `within` this time are cut off.
    ///
    /// # Errors
    /// When the listening socket failed.
    pub async fn finish(mut self, within: Duration) -> anyhow::Result<()> {
        match tokio::time::timeout(within, self.ended()).await {
            Ok(outcome) => outcome,
            Err(_) => {
                tracing::warn!("clients that do not take their results were cut off");
                if let Some(serving) = self.serving {
                    serving.abort();
                }
                Ok(())
            }
        }
    }
}

/// Listens at once, where the listener of tokio would have to be awaited.
fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let listener = std::net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

fn router(service: Service, config: &GrpcConfig) -> anyhow::Result<Router> {
    let max_request = usize::try_from(config.max_request_bytes.as_u64()).unwrap_or(usize::MAX);
    let max_streams = u32::try_from(config.max_streams).unwrap_or(u32::MAX);
    let mut server = Server::builder()
        .max_concurrent_streams(Some(max_streams.saturating_add(OTHER_CALLS)))
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .http2_keepalive_interval(Some(config.keepalive_interval))
        .http2_keepalive_timeout(Some(config.keepalive_timeout));
    let reflection = || {
        Reflection::configure()
            .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    Ok(server
        .add_service(IngestServiceServer::new(service).max_decoding_message_size(max_request))
        // Older clients know only the alpha version.
        .add_service(reflection().build_v1alpha()?)
        .add_service(reflection().build_v1()?))
}

async fn tell(health: &HealthReporter, status: ServingStatus) {
    for name in HEALTH_NAMES {
        health.set_service_status(name, status).await;
    }
}

#[cfg(test)]
mod tests;
