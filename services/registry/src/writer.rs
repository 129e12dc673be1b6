//! The one task that writes the log, in transactions, while it is this replica's turn; see [`crate::store`] for the rules it keeps.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use efd_kafka::KafkaConfig;
use efd_service::{Backoff, Stop};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use tokio::sync::{mpsc, watch};

use crate::change::{Change, Outcome};
use crate::config::SchemasConfig;
use crate::error::RegistryError;
use crate::log::{self, Encoded, Record};
use crate::metrics::Metrics;
use crate::replica::election::Election;
use crate::state::State;
use crate::store::{RETRY, View, Write};
use crate::transaction::{self, Transactions};

pub(crate) use crate::transaction::Scanned;

/// Bound on saying in the log that this writer leaves; without it the others only notice later.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(2);

/// Takes changes from the queue and writes them.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) kafka: KafkaConfig,
    pub(crate) config: Arc<SchemasConfig>,
    pub(crate) metrics: Metrics,
    pub(crate) queue: mpsc::Receiver<Write>,
    pub(crate) view: watch::Receiver<View>,
    pub(crate) scanned: Scanned,
    pub(crate) election: Election,
    /// Whether this replica writes, for those who ask it.
    pub(crate) is_writer: watch::Sender<bool>,
    /// Changes of a group that was too long for the topic; each is written alone, which shows whose record it is.
    pub(crate) alone: VecDeque<Write>,
    pub(crate) stop: Stop,
}

type Answer = Result<Outcome, RegistryError>;

/// Why serving ended.
enum End {
    /// Nobody is left who could ask.
    Closed,
    /// A transaction failed; the producer must not be used again.
    Failed,
    /// A transaction failed because another replica takes over.
    Fenced,
    /// Another replica writes.
    Deposed,
}

impl Writer {
    /// Runs until nobody can send changes any more, or a stop is requested while Kafka is away.
    pub(crate) async fn run(mut self) {
        while let Some(transactions) = self.take_over().await {
            self.announce(true);
            let end = self.serve(&transactions).await;
            self.announce(false);
            if matches!(end, End::Closed) {
                self.leave(transactions).await;
                return;
            }
            // To drop a producer takes up to a second.
            drop(tokio::task::spawn_blocking(move || drop(transactions)));
            if matches!(end, End::Deposed | End::Fenced) {
                tracing::warn!("another replica takes over the writing of the schemas");
                self.election.other_has_taken_over().await;
            }
        }
    }

    fn announce(&self, is_writer: bool) {
        self.metrics.writer(is_writer);
        self.is_writer.send_replace(is_writer);
    }

    /// Lets another replica take over at once.
    async fn leave(&self, transactions: Arc<Transactions>) {
        let max_ids = self.view.borrow().state.max_ids();
        let noop = log::encode(&Record::Noop { max_ids, writer: Some("".into()) });
        let written =
            tokio::time::timeout(LEAVE_TIMEOUT, blocking(move || transactions.write(&[noop]))).await;
        if !matches!(written, Ok(Ok(_))) {
            tracing::warn!("the other replicas were not told that this one stops, they will notice");
        }
    }

    /// Becomes the writer, however long it takes; none when a stop came first.
    async fn take_over(&mut self) -> Option<Arc<Transactions>> {
        let stop = self.stop.clone();
        let mut backoff = Backoff::new(RETRY.0, RETRY.1);
        loop {
            if !self.wait_for_turn().await {
                return None;
            }
            let result = tokio::select! {
                () = stop.requested() => return None,
                result = self.try_take_over() => result,
            };
            let wait = backoff.next();
            let mut refused = None;
            match result {
                Ok(transactions) => return Some(transactions),
                Err(RegistryError::Fenced) => self.election.other_has_taken_over().await,
                Err(error) => {
                    tracing::warn!(%error, ?wait, "schemas cannot be written");
                    refused = Some(error).filter(|error| matches!(error, RegistryError::Refused(_)));
                }
            }
            tokio::select! {
                () = stop.requested() => return None,
                () = self.pause(wait, refused) => {}
            }
        }
    }

    /// Waits before the next try. While Kafka refuses for good, who sends a change hears so at once.
    async fn pause(&mut self, wait: Duration, refused: Option<RegistryError>) {
        let mut time_is_up = std::pin::pin!(tokio::time::sleep(wait));
        let Some(error) = refused else { return time_is_up.await };
        loop {
            let write = match self.alone.pop_front() {
                Some(write) => Some(write),
                None => tokio::select! {
                    biased;
                    () = &mut time_is_up => return,
                    Some(write) = self.queue.recv() => Some(write),
                },
            };
            if let Some(write) = write {
                // Whoever no longer waits for the answer needs none.
                let _ = write.reply.send(Err(error.clone()));
            }
        }
    }

    /// Waits until no other replica writes; false when nobody can send changes any more. Who sends one meanwhile is told to ask
    /// the writer.
    async fn wait_for_turn(&mut self) -> bool {
        let Self { election, queue, .. } = self;
        let mut vacant = std::pin::pin!(election.vacant());
        loop {
            tokio::select! {
                biased;
                () = &mut vacant => return true,
                write = queue.recv() => match write {
                    Some(write) => turn_away(write),
                    None => return false,
                },
            }
        }
    }

    async fn try_take_over(&mut self) -> Result<Arc<Transactions>, RegistryError> {
        if self.view.wait_for(|view| view.is_loaded).await.is_err() {
            return Err(RegistryError::Stopping);
        }
        let (kafka, config, scanned) = (self.kafka.clone(), self.config.clone(), self.scanned.clone());
        let (transactions, scanned) = blocking(move || {
            let transactions = Transactions::open(&kafka, &config)?;
            Ok((transactions, transaction::scan(&kafka, &config, scanned)?))
        })
        .await?;
        let mut known = (*self.view.borrow().state).clone();
        known.raise_max_ids(&scanned.max_ids);
        self.scanned = scanned;
        let max_ids = known.max_ids();
        let transactions = Arc::new(transactions);
        let record = Record::Noop { max_ids, writer: Some(self.election.me().clone()) };
        let (noop, producer) = (log::encode(&record), transactions.clone());
        let offset = blocking(move || producer.write(&[noop])).await?;
        self.read_back(offset).await?;
        tracing::info!(offset, "writing the schemas");
        Ok(transactions)
    }

    async fn serve(&mut self, transactions: &Arc<Transactions>) -> End {
        loop {
            let Self { election, queue, alone, config, .. } = &mut *self;
            let group = tokio::select! {
                biased;
                () = election.deposed() => None,
                group = next_group(queue, alone, config.write_group) => Some(group),
            };
            let Some(group) = group else {
                self.alone.drain(..).for_each(turn_away);
                while let Ok(write) = self.queue.try_recv() {
                    turn_away(write);
                }
                return End::Deposed;
            };
            let Some(group) = group else { return End::Closed };
            match self.write_group(transactions, group).await {
                Ok(()) => {}
                Err(RegistryError::Fenced) => return End::Fenced,
                Err(_) => return End::Failed,
            }
        }
    }

    /// Writes a group and answers it; an error says why the transaction failed.
    async fn write_group(
        &mut self,
        transactions: &Arc<Transactions>,
        group: Vec<Write>,
    ) -> Result<(), RegistryError> {
        let (changes, replies): (Vec<_>, Vec<_>) =
            group.into_iter().map(|write| (write.change, write.reply)).unzip();
        let state = self.view.borrow().state.clone();
        let (producer, longest) = (transactions.clone(), self.config.max_schema_bytes.as_u64());
        let planned = tokio::task::spawn_blocking(move || {
            let plan = plan_group(&state, &changes, longest);
            let started = Instant::now();
            let written = (!plan.records.is_empty()).then(|| producer.write(&plan.records));
            (plan.answers, written, started, changes)
        });
        let (answers, written, started, changes) = planned.await.map_err(|_| RegistryError::Stopping)?;
        if replies.len() > 1 && matches!(&written, Some(Err(error)) if is_too_large(error)) {
            self.alone
                .extend(changes.into_iter().zip(replies).map(|(change, reply)| Write { change, reply }));
            self.metrics.write(false, started.elapsed().as_secs_f64());
            return Err(RegistryError::TooLargeForTopic(self.config.topic.clone()));
        }
        let result = match written {
            None => Ok(()),
            Some(written) => self.confirm(written, started).await,
        };
        for (reply, answer) in replies.into_iter().zip(answers) {
            // Whoever no longer waits for the answer needs none.
            let _ = reply.send(result.clone().and(answer));
        }
        result
    }

    async fn confirm(&self, written: Result<i64, KafkaError>, started: Instant) -> Result<(), RegistryError> {
        let result = match written {
            Ok(offset) => self.read_back(offset).await,
            Err(error) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::OperationTimedOut) => {
                Err(RegistryError::WriteTimedOut(self.config.write_timeout.as_secs()))
            }
            Err(error) if is_too_large(&error) => {
                Err(RegistryError::TooLargeForTopic(self.config.topic.clone()))
            }
            Err(error) => Err(failure(&error)),
        };
        self.metrics.write(result.is_ok(), started.elapsed().as_secs_f64());
        if let Err(error) = &result {
            tracing::warn!(%error, "schemas not written");
        }
        result
    }

    /// Waits until the reader has applied the record at `offset`.
    async fn read_back(&self, offset: i64) -> Result<(), RegistryError> {
        let mut view = self.view.clone();
        let timeout = self.config.write_timeout;
        let seen = tokio::time::timeout(timeout, view.wait_for(|view| view.next_offset > offset)).await;
        match seen {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => Err(RegistryError::Stopping),
            Err(_) => Err(RegistryError::WriteTimedOut(timeout.as_secs())),
        }
    }
}

/// The changes that wait by now, without those whose client has given up; none when nobody can send any more.
async fn next_group(
    queue: &mut mpsc::Receiver<Write>,
    alone: &mut VecDeque<Write>,
    longest: usize,
) -> Option<Vec<Write>> {
    if let Some(write) = alone.pop_front() {
        return Some(vec![write]);
    }
    let mut group = vec![queue.recv().await?];
    while group.len() < longest
        && let Ok(next) = queue.try_recv()
    {
        group.push(next);
    }
    group.retain(|write| !write.reply.is_closed());
    Some(group)
}

/// Records of a group, and the answer to each change if they are written.
struct GroupPlan {
    records: Vec<Encoded>,
    answers: Vec<Answer>,
}

/// Plans each change on top of those before it. All answers hold only if the whole group is written, refusals too:
/// they may be due to a change before.
fn plan_group(state: &State, changes: &[Change], longest: u64) -> GroupPlan {
    let mut draft = state.clone();
    let mut plan = GroupPlan { records: Vec::new(), answers: Vec::new() };
    for change in changes {
        let answer = draft.plan(change).and_then(|(records, outcome)| {
            let encoded: Vec<Encoded> = records.iter().map(log::encode).collect();
            check_length(&encoded, longest)?;
            for record in &records {
                // A plan never gives an id to a second schema, which is all that could be refused.
                let _ = draft.apply(record);
            }
            plan.records.extend(encoded);
            Ok(outcome)
        });
        plan.answers.push(answer);
    }
    plan
}

/// Nothing was done; the sender looks again at who writes.
fn turn_away(write: Write) {
    // Whoever no longer waits for the answer needs none.
    let _ = write.reply.send(Err(RegistryError::NotWriter));
}

fn check_length(records: &[Encoded], longest: u64) -> Result<(), RegistryError> {
    let length = |(key, value): &Encoded| (key.len() + value.as_ref().map_or(0, Vec::len)) as u64;
    if records.iter().any(|record| length(record) > longest) {
        return Err(RegistryError::TooLarge(longest));
    }
    Ok(())
}

async fn blocking<T: Send + 'static>(
    call: impl FnOnce() -> Result<T, KafkaError> + Send + 'static,
) -> Result<T, RegistryError> {
    match tokio::task::spawn_blocking(call).await {
        Ok(result) => result.map_err(|error| failure(&error)),
        Err(_) => Err(RegistryError::Stopping),
    }
}

fn is_too_large(error: &KafkaError) -> bool {
    error.rdkafka_error_code() == Some(RDKafkaErrorCode::MessageSizeTooLarge)
}

fn failure(error: &KafkaError) -> RegistryError {
    use RDKafkaErrorCode as Code;
    match error.rdkafka_error_code() {
        Some(Code::Fenced | Code::ProducerFenced | Code::InvalidProducerEpoch) => RegistryError::Fenced,
        Some(
            Code::TopicAuthorizationFailed
            | Code::ClusterAuthorizationFailed
            | Code::TransactionalIdAuthorizationFailed
            | Code::InvalidTopic
            | Code::PolicyViolation,
        ) => RegistryError::Refused(error.to_string()),
        _ => RegistryError::WriteFailed(error.to_string()),
    }
}

#[cfg(test)]
#[path = "writer_tests.rs"]
mod tests;
