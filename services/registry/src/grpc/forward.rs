//! Writes that other replicas pass on to this one.

use std::sync::Arc;
use std::time::Duration;

use axum::http::Method;
use efd_proto::registry::v1::forward_service_server::ForwardService;
use efd_proto::registry::v1::{ForwardRequest, ForwardResponse, GetWriterRequest, GetWriterResponse};
use tonic::{Request as Call, Response, Status};

use super::authorization;
use crate::api::Request;
use crate::config::Config;
use crate::error::RegistryError;
use crate::front::Front;
use crate::rest;
use crate::route;

/// Why a proxy takes no writes of replicas.
const NO_LOG: &str = "this registry is a proxy and has no log";

/// Serves `efd.registry.v1.ForwardService`.
#[derive(Debug)]
pub(super) struct Service {
    front: Arc<Front>,
    timeout: Duration,
}

impl Service {
    pub(super) fn new(front: Arc<Front>, config: &Config) -> Self {
        Self { front, timeout: config.grpc_limits.timeout.max(config.schemas.write_timeout) }
    }
}

#[tonic::async_trait]
impl ForwardService for Service {
    async fn forward(&self, call: Call<ForwardRequest>) -> Result<Response<ForwardResponse>, Status> {
        let authorization = authorization(call.metadata())?;
        let admitted = self.front.access.admit(authorization.as_ref());
        let ForwardRequest { method, target, body } = call.into_inner();
        let invalid = |what: &str| Status::invalid_argument(format!("{what} is not one of HTTP"));
        let method: Method = method.parse().map_err(|_| invalid("method"))?;
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let found = admitted.and_then(|caller| Ok((caller, route::Call::find(&method, path, query)?)));
        let result = match found {
            Ok((caller, call)) => {
                let request = Request { call, method, target, body: body.into(), authorization, caller };
                let answered =
                    tokio::time::timeout(self.timeout, self.front.answer_forwarded(&request)).await;
                answered.map_err(|_| Status::deadline_exceeded("the write took too long"))?
            }
            Err(error) => Err(error),
        };
        let reply = match result {
            Err(RegistryError::NotWriter) => {
                return Err(Status::failed_precondition("this replica does not write"));
            }
            Err(error @ (RegistryError::Fenced | RegistryError::WriteFailed(_))) => {
                return Err(Status::aborted(error.to_string()));
            }
            result => result.unwrap_or_else(|error| rest::error_reply(&error)),
        };
        Ok(Response::new(ForwardResponse {
            status: reply.status.as_u16().into(),
            body: reply.body.to_vec(),
            next_offset: self.front.own().map_or(0, |own| own.replicas.next_offset()),
            warning: reply.warning.unwrap_or_default(),
            retry_after: reply.retry_after.unwrap_or_default(),
        }))
    }

    async fn get_writer(&self, _: Call<GetWriterRequest>) -> Result<Response<GetWriterResponse>, Status> {
        let own = self.front.own().ok_or_else(|| Status::failed_precondition(NO_LOG))?;
        let (is_writer, writer) = (own.store.is_writer(), own.replicas.writer());
        Ok(Response::new(GetWriterResponse { is_writer, writer }))
    }
}
