//! The gRPC calls: check the request, ask, answer.

use std::sync::Arc;

use efd_proto::query::v1::query_service_server::QueryService;
use efd_proto::query::v1::{
    GetTopicRequest, GetTopicResponse, ListTopicsRequest, ListTopicsResponse, QueryRangeRequest,
    QueryRangeResponse, Selection,
};
use efd_service::chain;
use futures::stream::{self, BoxStream, StreamExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request, Response, Status};
use tracing::Instrument as _;

use crate::config::QueryConfig;
use crate::error::QueryError;
use crate::influxdb::InfluxDb;
use crate::layout::FieldLayout;
use crate::metrics::{Kind, Metrics, Running};
use crate::range::{RangeAnswer, TopicRange};
use crate::time_range::TimeRange;
use crate::topics::Topics;

/// Serves `efd.query.v1.QueryService`.
#[derive(Debug)]
pub struct Service {
    topics: Topics,
    influxdb: InfluxDb,
    config: QueryConfig,
    metrics: Metrics,
    running: Arc<Semaphore>,
    cut: CancellationToken,
}

/// What lives as long as an answer is streamed.
#[derive(Debug)]
struct Streaming {
    answer: RangeAnswer,
    running: Running,
    span: tracing::Span,
    _permit: OwnedSemaphorePermit,
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
        Self { topics, influxdb, config: config.clone(), metrics, running, cut }
    }

    async fn start(
        &self,
        request: QueryRangeRequest,
    ) -> Result<(RangeAnswer, OwnedSemaphorePermit), QueryError> {
        let permit = Arc::clone(&self.running)
            .try_acquire_owned()
            .map_err(|_| QueryError::TooManyQueries(self.config.max_running))?;
        let range = TimeRange::new(request.start.as_ref(), request.end.as_ref())?;
        let count = request.selections.len();
        if count == 0 || count > self.config.max_selections {
            let problem = format!("1 to {} selections are needed, not {count}", self.config.max_selections);
            return Err(QueryError::InvalidArgument(problem));
        }
        let mut selections = Vec::with_capacity(count);
        for selection in request.selections {
            let fields = self.fields(&selection).await?;
            selections.push(TopicRange { topic: selection.topic, fields, range });
        }
        let answer =
            RangeAnswer::new(self.influxdb.clone(), self.config.clone(), self.cut.clone(), selections);
        Ok((answer, permit))
    }

    async fn fields(&self, selection: &Selection) -> Result<Vec<FieldLayout>, QueryError> {
        let Selection { topic, fields: names } = selection;
        let mut found = self.topics.find(topic).await?;
        let mut fields = found.layout.select(names, topic)?;
        if fields.iter().any(FieldLayout::lacks_length) {
            found.layout.find_lengths(&self.influxdb.field_keys(topic).await?);
            fields = found.layout.select(names, topic)?;
        }
        let columns: usize = fields.iter().map(|field| field.stored.len()).sum();
        if columns > self.config.max_columns {
            return Err(QueryError::InvalidArgument(format!(
                "{columns} columns of topic {topic} are more than query.max_columns ({}); name fewer fields",
                self.config.max_columns
            )));
        }
        Ok(fields)
    }
}

#[tonic::async_trait]
impl QueryService for Service {
    type QueryRangeStream = BoxStream<'static, Result<QueryRangeResponse, Status>>;

    async fn list_topics(
        &self,
        request: Request<ListTopicsRequest>,
    ) -> Result<Response<ListTopicsResponse>, Status> {
        let running = self.metrics.begin(Kind::ListTopics);
        let prefix = request.into_inner().prefix;
        let span = tracing::info_span!("gateway.list_topics", prefix);
        let outcome = self.topics.list(&prefix).instrument(span).await;
        answer(running, outcome.map(|topics| ListTopicsResponse { topics }))
    }

    async fn get_topic(
        &self,
        request: Request<GetTopicRequest>,
    ) -> Result<Response<GetTopicResponse>, Status> {
        let running = self.metrics.begin(Kind::GetTopic);
        let name = request.into_inner().name;
        let span = tracing::info_span!("gateway.get_topic", topic = name);
        let outcome = self.topics.find(&name).instrument(span).await;
        let response = outcome.map(|topic| GetTopicResponse { topic: Some(topic.describe()) });
        answer(running, response)
    }

    async fn query_range(
        &self,
        request: Request<QueryRangeRequest>,
    ) -> Result<Response<Self::QueryRangeStream>, Status> {
        let request = request.into_inner();
        let mut running = self.metrics.begin(Kind::QueryRange);
        let span = tracing::info_span!("gateway.query_range", selections = request.selections.len());
        let (answer, permit) = match self.start(request).instrument(span.clone()).await {
            Ok(started) => started,
            Err(error) => return Err(failed(&mut running, &error)),
        };
        let streaming = Streaming { answer, running, span, _permit: permit };
        Ok(Response::new(stream::try_unfold(streaming, next).boxed()))
    }
}

async fn next(mut streaming: Streaming) -> Result<Option<(QueryRangeResponse, Streaming)>, Status> {
    let Streaming { answer, running, span, .. } = &mut streaming;
    match answer.next().instrument(span.clone()).await {
        Ok(Some(part)) => {
            if part.rows > 0 {
                running.batch(part.rows, part.bytes);
            }
            Ok(Some((part.response, streaming)))
        }
        Ok(None) => {
            running.ends(Code::Ok);
            Ok(None)
        }
        Err(error) => Err(failed(running, &error)),
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

/// The status of a failed call. What the client did wrong is of no interest to an operator.
fn failed(running: &mut Running, error: &QueryError) -> Status {
    let code = error.code();
    running.ends(code);
    let (kind, error_text) = (running.kind().name(), chain(error));
    match code {
        Code::InvalidArgument | Code::NotFound => tracing::debug!(kind, error = error_text, "query refused"),
        _ => tracing::warn!(kind, code = ?code, error = error_text, "query failed"),
    }
    Status::from(error)
}
