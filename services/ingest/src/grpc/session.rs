//! One stream of samples: takes them in order, and gives their results in the same order.
//!
//! The two halves run on their own, joined by a queue that is bounded: when results do not come, or the client does not
//! read them, no more is taken from the stream.

use std::sync::Arc;

use efd_proto::ingest::v1 as proto;
use efd_proto::ingest::v1::publish_result::Outcome as ProtoOutcome;
use efd_proto::ingest::v1::{PublishRequest, PublishResponse, PublishResult};
use efd_service::Stop;
use efd_service::server::credentials::Denied;
use opentelemetry::trace::SpanContext;
use tokio::sync::mpsc;
use tokio::sync::oneshot::{self, error::TryRecvError};
use tonic::{Code, Status, Streaming};

use crate::clock::Clock;
use crate::credentials::Caller;
use crate::grpc::catalogue::Catalogue;
use crate::grpc::convert::convert;
use crate::grpc::refusal::{CallError, Refusal};
use crate::grpc::writers::{Author, GivenTimes, Writers};
use crate::metrics::Metrics;
use crate::receipt::{Outcome, Receipt};
use crate::sample::{Sample, SampleTopic};
use crate::source::Source;

/// Results of one response, at most.
const RESULTS_AT_ONCE: usize = 512;

/// What every stream uses.
#[derive(Debug)]
pub struct Shared {
    /// Topics.
    pub catalogue: Catalogue,
    /// Who wrote before.
    pub writers: Writers,
    /// For stamps.
    pub clock: Clock,
    /// For refusals.
    pub metrics: Metrics,
}

/// The half that takes samples.
#[derive(Debug)]
pub struct Intake {
    /// What every stream uses.
    pub shared: Arc<Shared>,
    /// Who sends, or why it may not.
    pub caller: Result<Caller, Denied>,
    /// Who the samples are from.
    pub author: Author,
    /// The span that the client is in, if it said so.
    pub parent: Option<Arc<SpanContext>>,
    /// To the producer.
    pub queue: mpsc::Sender<Sample>,
}

/// A sample that was taken, or the end of the stream.
#[derive(Debug)]
pub enum Pending {
    /// Refused.
    Refused(Refusal),
    /// On its way to Kafka.
    Sent(Arc<SampleTopic>, oneshot::Receiver<Outcome>),
    /// The stream ends for this reason.
    End(Status),
}

impl Intake {
    /// Takes samples until the client has no more, goes away, or a stop is requested. No more than `pending` has room for
    /// wait for their results.
    pub async fn run(
        self,
        mut requests: Streaming<PublishRequest>,
        pending: mpsc::Sender<Pending>,
        stop: Stop,
    ) {
        let outcome = tokio::select! {
            outcome = self.take_all(&mut requests, &pending) => outcome,
            () = stop.requested() => Err(CallError::Stopping.into()),
            () = pending.closed() => return,
        };
        // The producer ends with the queue, and its last results with it.
        drop(self);
        if let Err(status) = outcome {
            if status.code() == Code::Internal {
                tracing::error!(error = status.message(), "a gRPC stream ends");
            }
            // Where nobody waits for results, nobody waits for the reason.
            let _ = pending.send(Pending::End(status)).await;
        }
    }

    async fn take_all(
        &self,
        requests: &mut Streaming<PublishRequest>,
        pending: &mpsc::Sender<Pending>,
    ) -> Result<(), Status> {
        while let Some(request) = requests.message().await? {
            for sample in request.samples {
                let Ok(room) = pending.reserve().await else { return Ok(()) };
                room.send(match self.take(sample).await? {
                    Ok((topic, outcome)) => Pending::Sent(topic, outcome),
                    Err(refusal) => Pending::Refused(refusal),
                });
            }
        }
        Ok(())
    }

    /// Checks one sample and puts it into the queue.
    async fn take(
        &self,
        sample: proto::Sample,
    ) -> Result<Result<(Arc<SampleTopic>, oneshot::Receiver<Outcome>), Refusal>, CallError> {
        let shared = &self.shared;
        let checked = self.check(&sample.topic).and_then(|topic| {
            let (values, given) = convert(topic, sample.fields)?;
            let times = GivenTimes::new(&given, &shared.clock)?;
            Ok((topic, values, given, times))
        });
        let (topic, values, given, times) = match checked {
            Ok(checked) => checked,
            Err(refusal) => {
                if let Some(reason) = refusal.reason() {
                    shared.metrics.refused(Source::Grpc, reason);
                }
                return Ok(Err(refusal));
            }
        };
        let room = self.queue.reserve().await.map_err(|_| CallError::Stopping)?;
        let now = shared.clock.now()?;
        // Stamped and queued in one: so the times of a topic increase with its offsets, however many streams there are.
        let Some(mut writers) = shared.writers.of(topic) else { return Err(CallError::Stopping) };
        let stamps = shared.writers.stamps((topic, &mut writers), &self.author, (given, times), now);
        let (receipt, outcome) = Receipt::new();
        let topic = topic.clone();
        room.send(Sample {
            topic: topic.clone(),
            stamps,
            values,
            source: Source::Grpc,
            receipt: Some(receipt),
            parent: self.parent.clone(),
        });
        Ok(Ok((topic, outcome)))
    }

    /// The topic, when the client may publish it.
    fn check(&self, name: &str) -> Result<&Arc<SampleTopic>, Refusal> {
        let caller = self.caller.as_ref().map_err(|denied| Refusal::Denied(*denied))?;
        let topic = self.shared.catalogue.find(name)?;
        if caller.may_write(&topic.kafka_name) {
            return Ok(topic);
        }
        Err(Refusal::Forbidden { credential: caller.name().to_owned(), topic: topic.topic.measurement() })
    }
}

/// The half that gives results.
#[derive(Debug)]
pub struct Results {
    pending: mpsc::Receiver<Pending>,
    /// Taken from the queue, not known yet.
    held: Option<Pending>,
    /// Why the stream ends, once all before it are given.
    end: Option<Status>,
    sequence: u64,
}

impl Results {
    /// The results of the samples behind `pending`.
    pub fn new(pending: mpsc::Receiver<Pending>) -> Self {
        Self { pending, held: None, end: None, sequence: 0 }
    }

    /// The next results, as many as are known; none at the end. Cancel safe only as the last call.
    pub async fn next(&mut self) -> Option<Result<PublishResponse, Status>> {
        if let Some(status) = self.end.take() {
            self.pending.close();
            return Some(Err(status));
        }
        let first = match self.held.take() {
            Some(held) => held,
            None => self.pending.recv().await?,
        };
        let mut results = Vec::new();
        match first.settled().await {
            Ok(outcome) => results.push(self.result(outcome)),
            Err(status) => {
                self.pending.close();
                return Some(Err(status));
            }
        }
        while results.len() < RESULTS_AT_ONCE
            && let Ok(mut next) = self.pending.try_recv()
        {
            match next.try_settled() {
                Some(Ok(outcome)) => results.push(self.result(outcome)),
                Some(Err(status)) => {
                    self.end = Some(status);
                    break;
                }
                None => {
                    self.held = Some(next);
                    break;
                }
            }
        }
        Some(Ok(PublishResponse { results }))
    }

    fn result(&mut self, outcome: ProtoOutcome) -> PublishResult {
        let sequence = self.sequence;
        self.sequence += 1;
        PublishResult { sequence, outcome: Some(outcome) }
    }
}

impl Pending {
    /// What became of it, once that is known.
    async fn settled(self) -> Result<ProtoOutcome, Status> {
        match self {
            Self::Refused(refusal) => Ok(refused(&refusal)),
            Self::Sent(topic, outcome) => {
                delivered(&topic, outcome.await.map_err(|_| Status::from(CallError::Stopping))?)
            }
            Self::End(status) => Err(status),
        }
    }

    /// What became of it, if that is known.
    fn try_settled(&mut self) -> Option<Result<ProtoOutcome, Status>> {
        Some(match self {
            Self::Refused(refusal) => Ok(refused(refusal)),
            Self::Sent(topic, outcome) => match outcome.try_recv() {
                Ok(outcome) => delivered(topic, outcome),
                Err(TryRecvError::Empty) => return None,
                Err(TryRecvError::Closed) => Err(CallError::Stopping.into()),
            },
            Self::End(status) => Err(status.clone()),
        })
    }
}

fn refused(refusal: &Refusal) -> ProtoOutcome {
    ProtoOutcome::Refusal(refusal.into())
}

fn delivered(topic: &SampleTopic, outcome: Outcome) -> Result<ProtoOutcome, Status> {
    Ok(match outcome {
        Ok(placed) => ProtoOutcome::Delivery(proto::Delivery {
            topic: topic.kafka_name.clone(),
            partition: placed.partition,
            offset: placed.offset,
        }),
        Err(reason) => refused(&Refusal::Undeliverable(reason)),
    })
}
