//! The gRPC calls: check the request, ask, answer.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use efd_kafka::KafkaConfig;
use efd_proto::query::v1::query_service_server::QueryService;
use efd_proto::query::v1::{
    EstimateCostRequest, EstimateCostResponse, GetTopicRequest, GetTopicResponse, ListTopicsRequest,
    ListTopicsResponse, QueryAlignedRequest, QueryAlignedResponse, QueryLatestRequest, QueryLatestResponse,
    QueryPackedRequest, QueryPackedResponse, QueryRangeRequest, QueryRangeResponse, QueryWindowRequest,
    QueryWindowResponse, Selection, TailRequest, TailResponse,
};
use futures::stream::BoxStream;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request, Response, Status};
use tracing::{Instrument as _, info_span};

use crate::activity::Activity;
use crate::aligned::{self, AlignedAnswer};
use crate::answer::{Answer, Streaming, failed};
use crate::config::{Config, QueryConfig};
use crate::deadline;
use crate::error::QueryError;
use crate::estimate::Estimator;
use crate::followed::Followed;
use crate::influxdb::InfluxDb;
use crate::latest::{self, LatestAnswer};
use crate::live::Live;
use crate::metrics::{Kind, Metrics};
use crate::packed::{self, PackedAnswer};
use crate::range::RangeAnswer;
use crate::reading::Limits;
use crate::resume::Sum;
use crate::running::Running;
use crate::scale::{Conversion, Scale};
use crate::selection::Selector;
use crate::statistics::{Statistics, Window};
use crate::tail::{self, TailAnswer};
use crate::time_range::{TimeRange, nanoseconds, stored};
use crate::topics::Topics;
use crate::window::WindowAnswer;

/// A streamed answer.
type Stream<M> = BoxStream<'static, Result<M, Status>>;

/// Serves `efd.query.v1.QueryService`.
#[derive(Debug)]
pub struct Service {
    topics: Topics,
    selector: Selector,
    influxdb: InfluxDb,
    kafka: KafkaConfig,
    config: QueryConfig,
    metrics: Metrics,
    running: Arc<Semaphore>,
    cut: CancellationToken,
}

impl Service {
    /// A service over InfluxDB, Kafka, and the registry behind `topics`. Once `cut` is cancelled, running answers end.
    pub fn new(
        topics: Topics,
        influxdb: InfluxDb,
        config: &Config,
        metrics: Metrics,
        cut: CancellationToken,
    ) -> Self {
        let (kafka, config) = (config.kafka.clone(), config.query.clone());
        let running = Arc::new(Semaphore::new(config.max_running.min(Semaphore::MAX_PERMITS)));
        let selector = Selector::new(topics.clone(), influxdb.clone(), config.clone());
        Self { topics, selector, influxdb, kafka, config, metrics, running, cut }
    }

    /// Streams the answer to a request that `start` has checked.
    async fn stream<R, A, S>(
        &self,
        kind: Kind,
        request: Request<R>,
        start: impl FnOnce(R) -> S,
    ) -> Result<Response<Stream<A::Message>>, Status>
    where
        R: std::fmt::Debug,
        A: Answer,
        S: Future<Output = Result<A, QueryError>>,
    {
        let deadline = deadline::of(request.metadata());
        let request = request.into_inner();
        let mut running = self.begin(kind, &request);
        let span = info_span!("gateway.query", kind = kind.name());
        let permit = Arc::clone(&self.running).try_acquire_owned();
        let full = |_| failed(&mut running, &QueryError::TooManyQueries(self.config.max_running));
        let permit = permit.map_err(full)?;
        let started = start(request).instrument(span.clone()).await;
        let answer = started.map_err(|error| failed(&mut running, &error))?;
        let (answer, cut) = ((answer, permit), self.cut.clone());
        Ok(Streaming { answer, running, span, cut, deadline }.into_response())
    }

    /// Gives the whole answer to a request.
    async fn answer<R: std::fmt::Debug, T>(
        &self,
        kind: Kind,
        request: &R,
        outcome: impl Future<Output = Result<T, QueryError>>,
    ) -> Result<Response<T>, Status> {
        let mut running = self.begin(kind, request);
        let span = info_span!("gateway.query", kind = kind.name());
        match outcome.instrument(span).await {
            Ok(response) => {
                running.ends(Code::Ok);
                Ok(Response::new(response))
            }
            Err(error) => Err(failed(&mut running, &error)),
        }
    }

    fn begin(&self, kind: Kind, request: &impl std::fmt::Debug) -> Running {
        let mut running = Running::begin(&self.metrics, kind, self.config.slow);
        running.about(format_args!("{request:?}"));
        running
    }

    /// What every answer is made with.
    fn means(&self) -> (InfluxDb, Limits) {
        (self.influxdb.clone(), Limits::from(&self.config))
    }

    async fn list(&self, request: &ListTopicsRequest) -> Result<ListTopicsResponse, QueryError> {
        let mut topics = self.topics.list(&request.prefix, &request.contains).await?;
        if request.activity {
            let (influxdb, limits) = (&self.influxdb, Limits::from(&self.config));
            let activity = Activity { topics: &self.topics, influxdb, limits, now: now() };
            topics = activity.find(topics).await?;
        }
        Ok(ListTopicsResponse { topics })
    }

    async fn range(&self, request: QueryRangeRequest) -> Result<RangeAnswer, QueryError> {
        let range = TimeRange::new(request.range.as_ref())?;
        let sum = Sum::of(&request);
        let position = sum.position(&request.resume_token)?;
        let chosen = self.selector.choose_all(request.selections, 1).await?;
        let mut answer = RangeAnswer::new(self.means(), chosen, range, sum);
        position.into_iter().for_each(|position| answer.resume(position));
        Ok(answer)
    }

    async fn latest(&self, request: QueryLatestRequest) -> Result<LatestAnswer, QueryError> {
        let asked = latest::Asked::new(&request)?;
        let selection = required(request.selection)?;
        let chosen = self.selector.choose_where(selection, &request.conditions).await?;
        Ok(LatestAnswer::new(self.means(), chosen, asked, now()))
    }

    async fn window(&self, request: QueryWindowRequest) -> Result<WindowAnswer, QueryError> {
        let window = Window::new(&request, self.config.max_intervals)?;
        let takes_all: Vec<bool> = request.selections.iter().map(|asked| asked.fields.is_empty()).collect();
        let chosen = self.selector.choose_all(request.selections, 1).await?;
        let mut selections = Vec::with_capacity(chosen.len());
        for (mut chosen, takes_all) in chosen.into_iter().zip(takes_all) {
            let statistics = Statistics::new(&request.aggregates, &mut chosen, takes_all)?;
            self.selector.check_columns(statistics.columns(), &chosen.topic)?;
            selections.push((chosen, statistics));
        }
        Ok(WindowAnswer::new(self.means(), window, selections))
    }

    async fn packed(&self, request: QueryPackedRequest) -> Result<PackedAnswer, QueryError> {
        let asked = packed::Asked::new(&request)?;
        let mut selection = required(request.selection)?;
        selection.fields.insert(0, asked.reference.clone());
        let chosen = self.selector.choose(selection).await?;
        PackedAnswer::new(self.means(), chosen, asked)
    }

    async fn aligned(&self, request: QueryAlignedRequest) -> Result<AlignedAnswer, QueryError> {
        let range = TimeRange::new(request.range.as_ref())?;
        let tolerance = aligned::tolerance(request.tolerance.as_ref())?;
        let chosen = self.selector.choose_all(request.selections, 2).await?;
        Ok(AlignedAnswer::new(self.means(), chosen, range, tolerance))
    }

    async fn follow(&self, request: TailRequest) -> Result<TailAnswer, QueryError> {
        let answered = Conversion::new(Scale::Utc, request.scale().into());
        let since = match &request.since {
            None => None,
            Some(since) => Some(stored(nanoseconds("since", Some(since))?, answered)),
        };
        let indexes: Vec<_> = request.selections.iter().map(|asked| asked.sal_index).collect();
        let chosen = self.selector.choose_all(request.selections, 1).await?;
        let mut followed = Vec::with_capacity(chosen.len());
        for (number, (chosen, index)) in chosen.into_iter().zip(indexes).enumerate() {
            // A topic that was found has a subject.
            let kafka = self.topics.kafka_topic(&chosen.topic).unwrap_or_default();
            followed.push(Followed::new(number, chosen, kafka, index));
        }
        let kafka = Live::new(&self.kafka)?;
        let ends = kafka.ends(followed.iter().map(|followed| followed.kafka.clone()).collect()).await?;
        let overlap = i64::try_from(self.config.tail_overlap.as_nanos()).unwrap_or(i64::MAX);
        let asked = tail::Asked { since, answered, overlap, now: now() };
        let registry = self.topics.registry().clone();
        Ok(TailAnswer::new(self.means(), registry, (kafka, ends), followed, asked))
    }

    async fn estimate(&self, request: EstimateCostRequest) -> Result<EstimateCostResponse, QueryError> {
        let (range, _) = TimeRange::new(request.range.as_ref())?;
        let estimator = Estimator::new(self.means(), range, now());
        let mut topics = Vec::with_capacity(request.selections.len());
        for chosen in self.selector.choose_all(request.selections, 1).await? {
            topics.push(estimator.estimate(&chosen).await?);
        }
        Ok(EstimateCostResponse { topics })
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
        let request = request.into_inner();
        self.answer(Kind::ListTopics, &request, self.list(&request)).await
    }

    async fn get_topic(
        &self,
        request: Request<GetTopicRequest>,
    ) -> Result<Response<GetTopicResponse>, Status> {
        let request = request.into_inner();
        let found = async {
            let topic = self.topics.find(&request.name).await?;
            Ok(GetTopicResponse { topic: Some(topic.describe()) })
        };
        self.answer(Kind::GetTopic, &request, found).await
    }

    async fn estimate_cost(
        &self,
        request: Request<EstimateCostRequest>,
    ) -> Result<Response<EstimateCostResponse>, Status> {
        let request = request.into_inner();
        self.answer(Kind::EstimateCost, &request, self.estimate(request.clone())).await
    }

    async fn query_range(
        &self,
        request: Request<QueryRangeRequest>,
    ) -> Result<Response<Self::QueryRangeStream>, Status> {
        self.stream(Kind::QueryRange, request, |request| self.range(request)).await
    }

    async fn query_latest(
        &self,
        request: Request<QueryLatestRequest>,
    ) -> Result<Response<Self::QueryLatestStream>, Status> {
        self.stream(Kind::QueryLatest, request, |request| self.latest(request)).await
    }

    async fn query_window(
        &self,
        request: Request<QueryWindowRequest>,
    ) -> Result<Response<Self::QueryWindowStream>, Status> {
        self.stream(Kind::QueryWindow, request, |request| self.window(request)).await
    }

    async fn query_packed(
        &self,
        request: Request<QueryPackedRequest>,
    ) -> Result<Response<Self::QueryPackedStream>, Status> {
        self.stream(Kind::QueryPacked, request, |request| self.packed(request)).await
    }

    async fn query_aligned(
        &self,
        request: Request<QueryAlignedRequest>,
    ) -> Result<Response<Self::QueryAlignedStream>, Status> {
        self.stream(Kind::QueryAligned, request, |request| self.aligned(request)).await
    }

    async fn tail(&self, request: Request<TailRequest>) -> Result<Response<Self::TailStream>, Status> {
        self.stream(Kind::Tail, request, |request| self.follow(request)).await
    }
}

fn required(selection: Option<Selection>) -> Result<Selection, QueryError> {
    selection.ok_or_else(|| QueryError::InvalidArgument("selection is missing".to_owned()))
}

/// The machine's clock in Unix nanoseconds, by which the newest rows are looked for.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}
