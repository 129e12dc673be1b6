//! Schemas for services that speak gRPC.

use std::sync::Arc;
use std::time::Duration;

use efd_proto::registry::v1::schema_service_server::SchemaService;
use efd_proto::registry::v1::{
    GetLatestVersionRequest, GetLatestVersionResponse, GetSchemaRequest, GetSchemaResponse, SubjectVersion,
    WatchVersionsRequest, WatchVersionsResponse,
};
use efd_service::Stop;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::MetadataMap;
use tonic::{Request as Call, Response, Status};

use super::authorization;
use super::watch::Watch;
use crate::api::Request;
use crate::config::GrpcConfig;
use crate::error::RegistryError;
use crate::front::Front;

/// Versions that were read for a client before it took those before.
const AHEAD: usize = 16;

/// Serves `efd.registry.v1.SchemaService`, as the REST interface would answer, so for the same users and from the same places.
#[derive(Debug)]
pub(super) struct Service {
    front: Arc<Front>,
    timeout: Duration,
    watches: Arc<Semaphore>,
    max_watches: usize,
    stop: Stop,
}

#[derive(Deserialize)]
struct SchemaAnswer {
    schema: String,
}

#[derive(Deserialize)]
struct VersionAnswer {
    subject: String,
    version: u32,
    id: u32,
    schema: String,
}

#[derive(Deserialize)]
struct ErrorAnswer {
    message: String,
}

impl Service {
    pub(super) fn new(front: Arc<Front>, config: &GrpcConfig, stop: Stop) -> Self {
        let max_watches = config.max_watches.min(Semaphore::MAX_PERMITS);
        let watches = Arc::new(Semaphore::new(max_watches));
        Self { front, timeout: config.timeout, watches, max_watches, stop }
    }

    /// What the REST interface answers to a GET of `target`.
    async fn get<T: DeserializeOwned>(&self, target: String, metadata: &MetadataMap) -> Result<T, Status> {
        let request = self.request(target, metadata)?;
        self.ask(&request).await
    }

    /// A GET of `target` by whoever calls.
    fn request(&self, target: String, metadata: &MetadataMap) -> Result<Request, Status> {
        let authorization = authorization(metadata)?;
        let caller = self.front.access.admit(authorization.as_ref())?;
        Ok(Request { authorization, caller, ..Request::get(target)? })
    }

    async fn ask<T: DeserializeOwned>(&self, request: &Request) -> Result<T, Status> {
        let answered = tokio::time::timeout(self.timeout, self.front.answer(request)).await;
        let reply = answered.map_err(|_| Status::deadline_exceeded("the registry took too long"))??;
        if !reply.status.is_success() {
            let message = serde_json::from_slice(&reply.body).map(|error: ErrorAnswer| error.message);
            let message =
                message.unwrap_or_else(|_| "the upstream registry gave an answer that is none".into());
            return Err(Status::new(super::code(reply.status.as_u16()), message));
        }
        serde_json::from_slice(&reply.body).map_err(|error| Status::internal(error.to_string()))
    }
}

#[tonic::async_trait]
impl SchemaService for Service {
    type WatchVersionsStream = ReceiverStream<Result<WatchVersionsResponse, Status>>;

    async fn get_schema(&self, call: Call<GetSchemaRequest>) -> Result<Response<GetSchemaResponse>, Status> {
        let target = format!("/schemas/ids/{}", call.get_ref().id);
        let SchemaAnswer { schema } = self.get(target, call.metadata()).await?;
        Ok(Response::new(GetSchemaResponse { schema }))
    }

    async fn get_latest_version(
        &self,
        call: Call<GetLatestVersionRequest>,
    ) -> Result<Response<GetLatestVersionResponse>, Status> {
        let subject = &call.get_ref().subject;
        if subject.is_empty() {
            return Err(Status::invalid_argument("subject must not be empty"));
        }
        let target = format!("/subjects/{}/versions/latest", utf8_percent_encode(subject, NON_ALPHANUMERIC));
        let VersionAnswer { subject, version, id, schema } = self.get(target, call.metadata()).await?;
        let version = Some(SubjectVersion { subject, version, id, schema });
        Ok(Response::new(GetLatestVersionResponse { version }))
    }

    async fn watch_versions(
        &self,
        call: Call<WatchVersionsRequest>,
    ) -> Result<Response<Self::WatchVersionsStream>, Status> {
        let Some(view) = self.front.watch() else {
            return Err(Status::failed_precondition("a proxy does not see what is registered upstream"));
        };
        let permit = Arc::clone(&self.watches).try_acquire_owned().map_err(|_| {
            let problem = format!(
                "{} streams are open, as many as may be (setting grpc_limits.max_watches)",
                self.max_watches
            );
            Status::resource_exhausted(problem)
        })?;
        // Refuses as a list of the subjects would.
        let prefix = utf8_percent_encode(&call.get_ref().subject_prefix, NON_ALPHANUMERIC);
        let list = self.request(format!("/subjects?subjectPrefix={prefix}"), call.metadata())?;
        self.ask::<Vec<String>>(&list).await?;
        let WatchVersionsRequest { subject_prefix, include_known } = call.into_inner();
        let mut watch = Watch::new(view, (list.caller, subject_prefix), include_known);
        let (sender, receiver) = mpsc::channel(AHEAD);
        let stop = self.stop.clone();
        tokio::spawn(async move {
            let _permit = permit;
            let end = tokio::select! {
                end = watch.run(&sender) => end,
                () = stop.requested() => Some(RegistryError::Stopping),
                () = sender.closed() => None,
            };
            if let Some(error) = end {
                // A client that does not read is cut off with its connection.
                let _ = sender.try_send(Err(error.into()));
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}
