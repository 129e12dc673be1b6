//! The calls: check the request, look, answer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use efd_kafka::{Admin, AdminError, ErrorKind, GroupLag, TopicInfo};
use efd_proto::sink::v1::sink_service_server::SinkService;
use efd_proto::sink::v1::{
    CompletenessRequest, CompletenessResponse, DestinationStatus, PlanRequest, PlanResponse,
    PlannedDestination, RepairRequest, RepairResponse, StatusRequest, StatusResponse,
};
use futures::FutureExt as _;
use futures::stream::{self, BoxStream, StreamExt as _};
use rdkafka::error::KafkaError;
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request, Response, Status};

use super::owned::component;
use crate::completeness::{Keeper, report};
use crate::config::Config;
use crate::lag;
use crate::metrics::Metrics;
use crate::repair::{Order, Repair, RepairError};
use crate::schemas::Schemas;

/// Responses on their way to a client.
const RESPONSES: usize = 4;
/// A repair waits so long for the place of one that ends.
const REPAIR_WAIT: Duration = Duration::from_secs(2);

/// Serves `efd.sink.v1.SinkService`.
pub struct Service {
    shared: Arc<Shared>,
}

/// What the calls look at.
pub struct Shared {
    config: Config,
    metrics: Arc<Metrics>,
    /// One for each destination.
    schemas: Vec<Schemas>,
    /// One for each destination; none without an account.
    keepers: Vec<Arc<Keeper>>,
    admin: Admin,
    repairing: Arc<Semaphore>,
    cut: CancellationToken,
}

impl Service {
    /// A service over the parts of a running sink. Once `cut` is cancelled, running answers end.
    ///
    /// # Errors
    /// When a setting is not one librdkafka takes.
    pub fn new(
        config: &Config,
        metrics: Arc<Metrics>,
        schemas: Vec<Schemas>,
        keepers: Vec<Arc<Keeper>>,
        cut: CancellationToken,
    ) -> Result<Self, KafkaError> {
        let admin = Admin::new(&config.kafka, &format!("{}-grpc", config.group(0)))?;
        let repairing = Arc::new(Semaphore::new(1));
        let config = config.clone();
        Ok(Self { shared: Arc::new(Shared { config, metrics, schemas, keepers, admin, repairing, cut }) })
    }
}

impl Shared {
    async fn owned(&self) -> Result<Vec<TopicInfo>, Status> {
        let mut topics = self.admin.topics().await.map_err(|error| unavailable(&error))?;
        topics.retain(|topic| self.config.owns(&topic.name));
        Ok(topics)
    }

    async fn lag(&self, group: &str, topics: &[TopicInfo]) -> Result<Vec<GroupLag>, Status> {
        lag::of_group(&self.admin, &self.config.retry, (group, topics))
            .await
            .map_err(|error| unavailable(&error))
    }

    fn destination(&self, name: &str) -> Result<usize, Status> {
        let place = self.config.destinations.iter().position(|one| one.name == name);
        match place {
            Some(place) => Ok(place),
            None if name.is_empty() => Ok(0),
            None => {
                Err(Status::not_found(format!("worker {} has no destination {name}", self.config.worker)))
            }
        }
    }

    async fn destination_status(
        &self,
        place: usize,
        owned: &[TopicInfo],
    ) -> Result<DestinationStatus, Status> {
        let Some(settings) = self.config.destinations.get(place) else {
            return Ok(DestinationStatus::default());
        };
        let group = self.config.group(place);
        let lags = self.lag(&group, owned).await?;
        let lag_records = lags.iter().map(|lag| u64::try_from(lag.records).unwrap_or_default()).sum();
        let health = self.metrics.health(&settings.name);
        let behind = health.newest().filter(|_| lag_records > 0).map_or(Duration::ZERO, |newest| {
            let newest = Duration::from_nanos(u64::try_from(newest).unwrap_or_default());
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            now.saturating_sub(newest)
        });
        let (at, last_error) = health.last_trouble().unzip();
        Ok(DestinationStatus {
            name: settings.name.clone(),
            connected: health.is_connected(),
            lag_records,
            lag: prost_types::Duration::try_from(behind).ok(),
            in_flight_bytes: health.in_flight(),
            last_error: last_error.unwrap_or_default(),
            last_error_time: at.map(prost_types::Timestamp::from),
            dead_letters: 0,
            points_written: health.points(),
            group,
        })
    }

    /// Records in the dead-letter topics of the owned topics.
    async fn dead_letters(&self, owned: &[TopicInfo]) -> Result<u64, Status> {
        let all = self.admin.topics().await.map_err(|error| unavailable(&error))?;
        let is_ours = |name: &str| {
            name.strip_suffix(".dlq").is_some_and(|source| owned.iter().any(|topic| topic.name == source))
        };
        let letters: Vec<TopicInfo> = all.into_iter().filter(|topic| is_ours(&topic.name)).collect();
        // A group that never committed is behind by all records.
        let lags = self.lag("efd-sink-count", &letters).await?;
        Ok(lags.iter().map(|lag| u64::try_from(lag.records).unwrap_or_default()).sum())
    }

    async fn completeness(&self, request: CompletenessRequest) -> Result<Vec<CompletenessResponse>, Status> {
        let place = self.destination(&request.destination)?;
        let range = report::Range {
            start: request.start.as_ref().map(report::micros),
            end: request.end.as_ref().map(report::micros),
        };
        check_range(range.start, range.end)?;
        let keeper = self.keepers.get(place).ok_or_else(|| {
            Status::failed_precondition(
                "the worker keeps no account: its setting completeness.enabled is false",
            )
        })?;
        let mut owned = self.owned().await?;
        let subname = self.config.topic_subname.get();
        owned.retain(|topic| {
            request.components.is_empty()
                || component(subname, &topic.name)
                    .is_some_and(|name| request.components.iter().any(|wanted| wanted == name))
        });
        let mut ends: report::Extents = BTreeMap::new();
        // A group that never committed says which record is the oldest: the end without the records behind.
        for lag in self.lag("efd-sink-count", &owned).await? {
            let of_topic = ends.entry(lag.partition.topic.to_string()).or_default();
            of_topic.insert(lag.partition.partition, (lag.end - lag.records, lag.end));
        }
        let view = keeper.view().await.map_err(|error| Status::unavailable(format!("kafka: {error}")))?;
        Ok(ends.iter().flat_map(|(topic, ends)| report::topic(&view, topic, ends, &range)).collect())
    }

    async fn order(&self, request: &RepairRequest) -> Result<Order, Status> {
        let (start, end) =
            (request.start.as_ref().map(report::micros), request.end.as_ref().map(report::micros));
        check_range(start, end)?;
        let owned = self.owned().await?;
        let foreign = request.topics.iter().find(|name| !owned.iter().any(|topic| topic.name == **name));
        if let Some(topic) = foreign {
            let worker = &self.config.worker;
            return Err(Status::invalid_argument(format!("worker {worker} does not own topic {topic}")));
        }
        let subname = self.config.topic_subname.get();
        let is_chosen = |name: &str| {
            (request.topics.is_empty() && request.components.is_empty())
                || request.topics.iter().any(|topic| topic == name)
                || component(subname, name).is_some_and(|of| request.components.iter().any(|one| one == of))
        };
        Ok(Order {
            topics: owned.into_iter().map(|topic| topic.name).filter(|name| is_chosen(name)).collect(),
            start,
            end,
            destination: self.destination(&request.destination)?,
            dry_run: request.dry_run,
            everything: request.everything,
            rate: request.rate,
        })
    }
}

#[tonic::async_trait]
impl SinkService for Service {
    type CompletenessStream = BoxStream<'static, Result<CompletenessResponse, Status>>;
    type RepairStream = BoxStream<'static, Result<RepairResponse, Status>>;

    async fn plan(&self, _: Request<PlanRequest>) -> Result<Response<PlanResponse>, Status> {
        let config = &self.shared.config;
        let owned = self.shared.owned().await?;
        let destination = |(place, one): (usize, &crate::DestinationConfig)| PlannedDestination {
            name: one.name.clone(),
            group: config.group(place),
            url: one.url().to_owned(),
        };
        Ok(Response::new(PlanResponse {
            worker: config.worker.clone(),
            components: config.components.clone(),
            topics: config.topics.clone(),
            owned_topics: owned.into_iter().map(|topic| topic.name).collect(),
            destinations: config.destinations.iter().enumerate().map(destination).collect(),
            topic_subname: config.topic_subname.get().to_owned(),
        }))
    }

    async fn status(&self, _: Request<StatusRequest>) -> Result<Response<StatusResponse>, Status> {
        let shared = &self.shared;
        let owned = shared.owned().await?;
        let dead_letters = shared.dead_letters(&owned).await?;
        let mut destinations = Vec::new();
        for place in 0..shared.config.destinations.len() {
            let status = shared.destination_status(place, &owned).await?;
            destinations.push(DestinationStatus { dead_letters, ..status });
        }
        Ok(Response::new(StatusResponse { worker: shared.config.worker.clone(), destinations }))
    }

    async fn completeness(
        &self,
        request: Request<CompletenessRequest>,
    ) -> Result<Response<Self::CompletenessStream>, Status> {
        let responses = self.shared.completeness(request.into_inner()).await?;
        Ok(Response::new(stream::iter(responses.into_iter().map(Ok)).boxed()))
    }

    async fn repair(&self, request: Request<RepairRequest>) -> Result<Response<Self::RepairStream>, Status> {
        let shared = self.shared.clone();
        // A client that has heard the end of one repair may ask for the next before the first has given its place back.
        let permit = tokio::time::timeout(REPAIR_WAIT, Arc::clone(&shared.repairing).acquire_owned())
            .await
            .ok()
            .and_then(Result::ok)
            .ok_or_else(|| Status::resource_exhausted("another repair runs in this replica; wait for it"))?;
        let order = shared.order(&request.into_inner()).await?;
        let (sender, receiver) = mpsc::channel(RESPONSES);
        tokio::spawn(async move {
            let _permit = permit;
            let client = sender.clone();
            tokio::select! {
                () = repair(&shared, order, sender) => {}
                () = client.closed() => tracing::info!("repair ends, because its client went away"),
                () = shared.cut.cancelled() => {
                    let _ = client.send(Err(Status::unavailable("the sink stops; repair again later"))).await;
                }
            }
        });
        let responses = stream::unfold(receiver, |mut receiver| async move {
            receiver.recv().await.map(|response| (response, receiver))
        });
        Ok(Response::new(responses.boxed()))
    }
}

async fn repair(shared: &Shared, order: Order, sender: mpsc::Sender<Result<RepairResponse, Status>>) {
    tracing::info!(topics = order.topics.len(), dry_run = order.dry_run, "repair begins");
    let mut tell = |response: RepairResponse| {
        let sender = sender.clone();
        async move { sender.send(Ok(response)).await.is_ok() }.boxed()
    };
    // The order names a destination that there is.
    let Some(schemas) = shared.schemas.get(order.destination).cloned() else { return };
    let outcome = match Repair::new(&shared.config, schemas, order) {
        Ok(repair) => repair.run(&mut tell).await,
        Err(error) => Err(error),
    };
    if let Err(error) = outcome {
        tracing::warn!(%error, "repair failed");
        let _ = sender.send(Err(refusal(&error))).await;
    }
}

fn check_range(start: Option<i64>, end: Option<i64>) -> Result<(), Status> {
    match (start, end) {
        (Some(start), Some(end)) if start > end => {
            Err(Status::invalid_argument("the range ends before it begins"))
        }
        _ => Ok(()),
    }
}

fn refusal(error: &RepairError) -> Status {
    Status::new(code(error), error.to_string())
}

fn code(error: &RepairError) -> Code {
    match error {
        RepairError::Kafka(_) => Code::Unavailable,
        RepairError::Admin(error) => unavailable(error).code(),
        RepairError::Present(error) if error.heals() => Code::Unavailable,
        RepairError::Present(_) | RepairError::Destination(_) => Code::FailedPrecondition,
        RepairError::Gone => Code::Cancelled,
        RepairError::Interrupted { cause, .. } => code(cause),
    }
}

fn unavailable(error: &AdminError) -> Status {
    match error.kind() {
        ErrorKind::Transient => Status::unavailable(error.to_string()),
        _ => Status::internal(error.to_string()),
    }
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service").field("worker", &self.shared.config.worker).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repair::PresentError;

    #[test]
    fn a_repair_that_was_interrupted_by_what_may_heal_is_unavailable() {
        let failed = || RepairError::Present(PresentError::Failed("503".into()));
        let refused = || RepairError::Present(PresentError::Refused("401".into()));
        let late = |cause| RepairError::Interrupted { cause: Box::new(cause), done: 7, total: 9, written: 2 };
        let table = [
            (failed(), Code::Unavailable),
            (late(failed()), Code::Unavailable),
            (refused(), Code::FailedPrecondition),
            (late(refused()), Code::FailedPrecondition),
            (late(RepairError::Kafka(KafkaError::Canceled)), Code::Unavailable),
        ];
        for (error, code) in table {
            assert_eq!(refusal(&error).code(), code, "{error}");
        }
        let status = refusal(&late(failed()));
        assert!(status.message().contains("503; 7 of 9 offsets done, 2 points written: "), "{status}");
    }
}
