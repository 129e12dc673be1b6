//! Client of the other replicas.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use efd_proto::registry::v1::forward_service_client::ForwardServiceClient;
use efd_proto::registry::v1::{ForwardRequest, ForwardResponse, GetWriterRequest};
use efd_service::chain;
use tonic::metadata::AsciiMetadataValue;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Request as Call, Status};

use crate::api::Request;
use crate::config::Config;

/// Bound on becoming connected, and on the question whether a replica writes.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);
/// Time without an answer after which a connection is taken for broken, though nobody closed it.
const KEEPALIVE: Duration = Duration::from_secs(2);

/// How replicas are reached.
#[derive(Debug, Clone, Default)]
pub(crate) struct Dial {
    /// With it, as all of them have the same settings.
    tls: Option<ClientTlsConfig>,
}

impl Dial {
    /// With TLS where this replica's own server has it.
    ///
    /// # Errors
    /// When the file with the authority cannot be read.
    pub(crate) fn new(config: &Config) -> anyhow::Result<Self> {
        if config.tls.certificate_file.is_none() {
            return Ok(Self::default());
        }
        let mut tls = ClientTlsConfig::new();
        tls = match &config.replicas.ca_file {
            None => tls.with_native_roots(),
            Some(path) => {
                let authority = std::fs::read(path)
                    .with_context(|| format!("cannot read {} (setting replicas.ca_file)", path.display()))?;
                tls.ca_certificate(Certificate::from_pem(authority))
            }
        };
        if let Some(name) = &config.replicas.server_name {
            tls = tls.domain_name(name);
        }
        Ok(Self { tls: Some(tls) })
    }

    fn endpoint(&self, address: &str) -> Result<Endpoint, tonic::transport::Error> {
        match &self.tls {
            None => Endpoint::from_shared(format!("http://{address}")),
            Some(tls) => Endpoint::from_shared(format!("https://{address}"))?.tls_config(tls.clone()),
        }
    }
}

/// Connections to replicas; only the last one is kept, because only the writer is ever asked.
#[derive(Debug)]
pub(crate) struct Peers {
    dial: Dial,
    last: Mutex<Option<(Arc<str>, Channel)>>,
}

impl Peers {
    pub(crate) fn new(dial: Dial) -> Self {
        Self { dial, last: Mutex::default() }
    }

    /// Whether this replica is there and says that it writes.
    pub(crate) async fn is_writer(&self, address: &Arc<str>) -> bool {
        let Ok(mut client) = self.client(address) else { return false };
        let mut call = Call::new(GetWriterRequest {});
        call.set_timeout(PROBE_TIMEOUT);
        let answer = tokio::time::timeout(PROBE_TIMEOUT, client.get_writer(call)).await;
        matches!(answer, Ok(Ok(answer)) if answer.get_ref().is_writer)
    }

    /// Has a write made there.
    pub(crate) async fn forward(
        &self,
        address: &Arc<str>,
        request: &Request,
        timeout: Duration,
    ) -> Result<ForwardResponse, Status> {
        let mut client = self.client(address)?;
        let mut call = Call::new(ForwardRequest {
            method: request.method.to_string(),
            target: request.target.clone(),
            body: request.body.to_vec(),
        });
        call.set_timeout(timeout);
        if let Some(authorization) = &request.authorization
            && let Ok(mut value) = AsciiMetadataValue::try_from(authorization.as_bytes())
        {
            value.set_sensitive(true);
            call.metadata_mut().insert("authorization", value);
        }
        let answer = tokio::time::timeout(timeout, client.forward(call)).await;
        answer.map_err(|_| Status::deadline_exceeded("no answer in time"))?.map(tonic::Response::into_inner)
    }

    fn client(&self, address: &Arc<str>) -> Result<ForwardServiceClient<Channel>, Status> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, channel)) = &*last
            && known == address
        {
            return Ok(ForwardServiceClient::new(channel.clone()));
        }
        let endpoint = self.dial.endpoint(address);
        let endpoint =
            endpoint.map_err(|error| Status::unavailable(format!("{address}: {}", chain(&error))))?;
        let channel = endpoint
            .connect_timeout(PROBE_TIMEOUT)
            .http2_keep_alive_interval(KEEPALIVE)
            .keep_alive_timeout(KEEPALIVE)
            .tcp_nodelay(true)
            .connect_lazy();
        *last = Some((address.clone(), channel.clone()));
        Ok(ForwardServiceClient::new(channel))
    }
}
