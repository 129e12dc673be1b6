//! The gRPC calls: check the request, ask, answer.

use std::sync::Arc;

use efd_proto::query::v1::query_service_server::QueryService;
use efd_proto::query::v1::{
    EstimateCostRequest, EstimateCostResponse, GetTopicRequest, GetTopicResponse, ListTopicsRequest,
    ListTopicsResponse, QueryAlignedRequest, QueryAlignedResponse, QueryLatestRequest, QueryLatestResponse,
    QueryPackedRequest, QueryPackedResponse, QueryRangeRequest, QueryRangeResponse, QueryWindowRequest,
    QueryWindowResponse, TailRequest, TailResponse,
};
use futures::stream::BoxStream;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request, Response, Status};
use tracing::{Instrument as _, Span, info_span};

use crate::answer::{Answer, Streaming, failed};
use crate::config::QueryConfig;
use crate::deadline;
use crate::error::QueryError;
use crate::influxdb::InfluxDb;
use crate::metrics::{Kind, Metrics};
use crate::range::RangeAnswer;
use crate::reading::Limits;
use crate::running::Running;
use crate::selection::Selector;
use crate::time_range::TimeRange;
use crate::topics::Topics;

/// A streamed answer.
type Stream<M> = BoxStream<'static, Result<M, Status>>;

/// Serves `efd.query.v1.QueryService`.
#[derive(Debug)]
pub struct Service {
    topics: Topics,
    selector: Selector,
    influxdb: InfluxDb,
    config: QueryConfig,
    metrics: Metrics,
    running: Arc<Semaphore>,
    cut: CancellationToken,
}

impl Service {
    /// A service over InfluxDB and the registry behind `topics`. Once `cut` is cancelled, running answers end.
    pub fn new(
        topics: Topics,
        influxdb: InfluxDb,
        config: &QueryConfig,
        metrics: Metrics,
        cut: CancellationToken,
    ) -> Self {
        let running = Arc::new(Semaphore::new(config.max_running.min(Semaphore::MAX_PERMITS)));
        let selector = Selector::new(topics.clone(), influxdb.clone(), config.clone());
        Self { topics, selector, influxdb, config: config.clone(), metrics, running, cut }
    }

    /// Streams the answer to a request that is checked by `start`.
    async fn stream<A: Answer>(
        &self,
        kind: Kind,
        (request, span): (Request<impl std::fmt::Debug>, Span),
        start: impl Future<Output = Result<A, QueryError>>,
    ) -> Result<Response<Stream<A::Message>>, Status> {
        let mut running = self.begin(kind);
        running.about(format_args!("{:?}", request.get_ref()));
        let deadline = deadline::of(request.metadata());
        let permit = Arc::clone(&self.running).try_acquire_owned();
        let permit =
            permit.map_err(|_| failed(&mut running, &QueryError::TooManyQueries(self.config.max_running)))?;
        let answer = start.instrument(span.clone()).await.map_err(|error| failed(&mut running, &error))?;
        Ok(Streaming { answer, running, span, _permit: permit, cut: self.cut.clone(), deadline }
            .into_response())
    }

    fn begin(&self, kind: Kind) -> Running {
        Running::begin(&self.metrics, kind, self.config.slow)
    }

    fn limits(&self) -> Limits {
        Limits::from(&self.config)
    }
}

#[tonic::async_trait]
impl QueryService for Service {
    type QueryRangeStream = Stream<QueryRangeResponse>;
    type QueryLatestStream = Stream<QueryLatestResponse>;
    type QueryWindowStream = Stream<QueryWindowResponse>;
    type QueryPackedStream = Stream<QueryPackedResponse>;
    type QueryAlignedStream = Stream<QueryAlignedResponse>;
    type TailStream = Stream<TailResponse>;

    async fn list_topics(
        &self,
        request: Request<ListTopicsRequest>,
    ) -> Result<Response<ListTopicsResponse>, Status> {
        let running = self.begin(Kind::ListTopics);
        let prefix = request.into_inner().prefix;
        let span = info_span!("gateway.list_topics", prefix);
        let outcome = self.topics.list(&prefix).instrument(span).await;
        answer(running, outcome.map(|topics| ListTopicsResponse { topics }))
    }

    async fn get_topic(
        &self,
        request: Request<GetTopicRequest>,
    ) -> Result<Response<GetTopicResponse>, Status> {
        let running = self.begin(Kind::GetTopic);
        let name = request.into_inner().name;
        let span = info_span!("gateway.get_topic", topic = name);
        let outcome = self.topics.find(&name).instrument(span).await;
        let response = outcome.map(|topic| GetTopicResponse { topic: Some(topic.describe()) });
        answer(running, response)
    }

    async fn query_range(
        &self,
        request: Request<QueryRangeRequest>,
    ) -> Result<Response<Self::QueryRangeStream>, Status> {
        let asked = request.get_ref().clone();
        let span = info_span!("gateway.query_range", selections = asked.selections.len());
        let start = async {
            let range = TimeRange::new(asked.range.as_ref())?;
            let chosen = self.selector.choose_all(asked.selections, 1).await?;
            Ok(RangeAnswer::new(self.influxdb.clone(), self.limits(), chosen, range))
        };
        self.stream(Kind::QueryRange, (request, span), start).await
    }

    async fn query_latest(
        &self,
        _request: Request<QueryLatestRequest>,
    ) -> Result<Response<Self::QueryLatestStream>, Status> {
        Err(Status::unimplemented("not served yet"))
    }

    async fn query_window(
        &self,
        _request: Request<QueryWindowRequest>,
    ) -> Result<Response<Self::QueryWindowStream>, Status> {
        Err(Status::unimplemented("not served yet"))
    }

    async fn query_packed(
        &self,
        _request: Request<QueryPackedRequest>,
    ) -> Result<Response<Self::QueryPackedStream>, Status> {
        Err(Status::unimplemented("not served yet"))
    }

    async fn query_aligned(
        &self,
        _request: Request<QueryAlignedRequest>,
    ) -> Result<Response<Self::QueryAlignedStream>, Status> {
        Err(Status::unimplemented("not served yet"))
    }

    async fn tail(&self, _request: Request<TailRequest>) -> Result<Response<Self::TailStream>, Status> {
        Err(Status::unimplemented("not served yet"))
    }

    async fn estimate_cost(
        &self,
        _request: Request<EstimateCostRequest>,
    ) -> Result<Response<EstimateCostResponse>, Status> {
        Err(Status::unimplemented("not served yet"))
    }
}

fn answer<T>(mut running: Running, outcome: Result<T, QueryError>) -> Result<Response<T>, Status> {
    match outcome {
        Ok(response) => {
            running.ends(Code::Ok);
            Ok(Response::new(response))
        }
        Err(error) => Err(failed(&mut running, &error)),
    }
}
