//! Client of the other replicas.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use efd_proto::registry::v1::forward_service_client::ForwardServiceClient;
use efd_proto::registry::v1::{ForwardRequest, ForwardResponse, GetWriterRequest};
use tonic::metadata::AsciiMetadataValue;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request as Call, Status};

use crate::api::Request;

/// Bound on becoming connected, and on the question whether a replica writes.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);
/// Time without an answer after which a connection is taken for broken, though nobody closed it.
const KEEPALIVE: Duration = Duration::from_secs(2);

/// Connections to replicas; only the last one is kept, because only the writer is ever asked.
#[derive(Debug, Default)]
pub(crate) struct Peers {
    last: Mutex<Option<(Arc<str>, Channel)>>,
}

impl Peers {
    pub(crate) fn new() -> Self {
        Self::default()
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
        let endpoint = Endpoint::from_shared(format!("http://{address}"))
            .map_err(|error| Status::unavailable(format!("{address} is not an address: {error}")))?;
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
