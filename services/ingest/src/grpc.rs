//! A source that other programs publish to: `efd.ingest.v1.IngestService`.
//!
//! A sample is checked against its topic, gets the private fields that the client left out, and waits in the same queue as
//! the samples of all sources; its result goes back when Kafka has it. Nothing is kept for a client that goes away.
//!
//! Assumes nothing of clients: whatever they send, they get a result or a status, and what is held for them is bounded.
//! On error: a bad sample is refused and the stream goes on; while Kafka is away results and requests wait; only an
//! address in use or a bad certificate keeps the service from starting.

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
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tonic::server::NamedService;
use tonic::transport::server::{Router, TcpIncoming};
use tonic::transport::{Identity, Server, ServerTlsConfig};
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
use crate::text::Surroundings;
use crate::tls::TlsConfig;

/// Time that clients have, after their last result is known, to take it and close.
const CLOSE_GRACE: Duration = Duration::from_secs(2);
/// Time that a client has to agree on TLS.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Window of a stream and of a connection of HTTP/2: what is under way before the client waits.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 4 << 20;
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
    /// When the address is in use, or the certificate cannot be used.
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
        let router = router(service, &config.grpc, &config.tls)?.add_service(health_server);
        let incoming = TcpIncoming::bind(config.grpc.address)
            .with_context(|| {
                format!("gRPC source cannot listen on {} (setting grpc.address)", config.grpc.address)
            })?
            .with_nodelay(Some(true));
        let address = incoming.local_addr()?;
        let has_tls = config.tls.certificate_file.is_some();
        tracing::info!(%address, tls = has_tls, credentials = config.credentials.len(), "serving gRPC");
        let serving = tokio::spawn(async move {
            tell(&health, ServingStatus::Serving).await;
            let stopped = async move {
                stop.requested().await;
                tell(&health, ServingStatus::NotServing).await;
            };
            router.serve_with_incoming_shutdown(incoming, stopped).await.context("gRPC source failed")
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

    /// Ends the server after a stop, when all results are known; clients that do not take theirs are cut off.
    ///
    /// # Errors
    /// When the listening socket failed.
    pub async fn finish(mut self) -> anyhow::Result<()> {
        match tokio::time::timeout(CLOSE_GRACE, self.ended()).await {
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

fn router(service: Service, config: &GrpcConfig, tls: &TlsConfig) -> anyhow::Result<Router> {
    let max_request = usize::try_from(config.max_request_bytes.as_u64()).unwrap_or(usize::MAX);
    let mut server = Server::builder()
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .http2_keepalive_interval(Some(config.keepalive_interval))
        .http2_keepalive_timeout(Some(config.keepalive_timeout));
    // Made once only for its messages: the server makes its own of the same files.
    tls.server(&["h2"])?;
    if let Some((certificate, key)) = tls.pem()? {
        let identity = Identity::from_pem(certificate, key);
        let tls = ServerTlsConfig::new().identity(identity).timeout(HANDSHAKE_TIMEOUT);
        server = server.tls_config(tls).context("gRPC source cannot offer TLS (settings tls)")?;
    }
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
