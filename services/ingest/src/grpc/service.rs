//! The gRPC calls: check who calls, take samples, answer.

use std::sync::Arc;

use efd_proto::ingest::v1::ingest_service_server::IngestService;
use efd_proto::ingest::v1::{DescribeTopicsRequest, DescribeTopicsResponse, PublishRequest, PublishResponse};
use efd_service::Stop;
use efd_service::server::credentials::Denied;
use futures::stream::{self, BoxStream, StreamExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status, Streaming};

use crate::credentials::{Access, Caller};
use crate::grpc::catalogue::describe;
use crate::grpc::config::GrpcConfig;
use crate::grpc::refusal::{CallError, Refusal};
use crate::grpc::session::{Intake, Results, Shared};
use crate::grpc::writers::Author;
use crate::metrics;
use crate::sample::{Sample, SampleTopic};
use crate::trace;

/// Topics that one call may ask for by name; each is looked for among all.
const MAX_NAMES: usize = 1000;

/// Serves `efd.ingest.v1.IngestService`.
#[derive(Debug)]
pub struct Service {
    shared: Arc<Shared>,
    access: Access,
    /// What `private_identity` says without credentials.
    identity: Option<Arc<str>>,
    /// Weak, so that the queue can end while clients are still connected.
    queue: mpsc::WeakSender<Sample>,
    streams: Arc<Semaphore>,
    config: GrpcConfig,
    stop: Stop,
}

/// What lives as long as the results of a stream are given.
struct Open {
    results: Results,
    _stream: metrics::Open,
    _permit: OwnedSemaphorePermit,
}

impl Service {
    /// A service that puts samples into `queue` until `stop` is requested.
    pub fn new(
        shared: Shared,
        config: &GrpcConfig,
        who: (Access, Option<&str>),
        queue: mpsc::WeakSender<Sample>,
        stop: Stop,
    ) -> Self {
        let (access, identity) = who;
        Self {
            shared: Arc::new(shared),
            access,
            identity: identity.map(Arc::from),
            queue,
            streams: Arc::new(Semaphore::new(config.max_streams)),
            config: config.clone(),
            stop,
        }
    }

    fn caller(&self, metadata: &MetadataMap) -> Result<Caller, Denied> {
        // What is no text is no known credential either.
        let authorization = metadata.get("authorization").map(|value| value.to_str().unwrap_or_default());
        self.access.caller(authorization)
    }

    fn author(&self, caller: &Result<Caller, Denied>) -> Author {
        match caller {
            Ok(caller) if !self.access.is_open() => {
                let name: Arc<str> = Arc::from(caller.name());
                Author { credential: name.clone(), identity: Some(name) }
            }
            _ => Author { credential: Arc::default(), identity: self.identity.clone() },
        }
    }

    fn open(&self, request: Request<Streaming<PublishRequest>>) -> Result<Open, CallError> {
        let max_streams = self.config.max_streams;
        let permit = Arc::clone(&self.streams)
            .try_acquire_owned()
            .map_err(|_| CallError::TooManyStreams(max_streams))?;
        let queue = self.queue.upgrade().ok_or(CallError::Stopping)?;
        let caller = self.caller(request.metadata());
        if let Err(denied) = &caller {
            tracing::debug!(error = %denied, "samples will be refused");
        }
        let author = self.author(&caller);
        let (sender, pending) = mpsc::channel(self.config.max_pending_samples);
        let parent = trace::parent(request.metadata().as_ref()).map(Arc::new);
        let intake = Intake { shared: self.shared.clone(), caller, author, parent, queue };
        tokio::spawn(intake.run(request.into_inner(), sender, self.stop.clone()));
        let stream = self.shared.metrics.open_stream();
        Ok(Open { results: Results::new(pending), _stream: stream, _permit: permit })
    }

    fn wanted(&self, names: &[String]) -> Result<Vec<Arc<SampleTopic>>, CallError> {
        let catalogue = &self.shared.catalogue;
        if names.is_empty() {
            return Ok(catalogue.topics().to_vec());
        }
        if names.len() > MAX_NAMES {
            return Err(CallError::TooManyNames(names.len(), MAX_NAMES));
        }
        Ok(catalogue.matching(names)?)
    }
}

#[tonic::async_trait]
impl IngestService for Service {
    type PublishStream = BoxStream<'static, Result<PublishResponse, Status>>;
    type DescribeTopicsStream = BoxStream<'static, Result<DescribeTopicsResponse, Status>>;

    async fn publish(
        &self,
        request: Request<Streaming<PublishRequest>>,
    ) -> Result<Response<Self::PublishStream>, Status> {
        let open = self.open(request)?;
        let results = stream::unfold(open, |mut open| async move {
            let next = open.results.next().await?;
            Some((next, open))
        });
        Ok(Response::new(results.boxed()))
    }

    async fn describe_topics(
        &self,
        request: Request<DescribeTopicsRequest>,
    ) -> Result<Response<Self::DescribeTopicsStream>, Status> {
        self.caller(request.metadata()).map_err(|denied| CallError::from(Refusal::Denied(denied)))?;
        let topics = self.wanted(&request.into_inner().topics)?;
        let described =
            stream::iter(topics).map(|topic| Ok(DescribeTopicsResponse { topic: Some(describe(&topic)) }));
        Ok(Response::new(described.boxed()))
    }
}
