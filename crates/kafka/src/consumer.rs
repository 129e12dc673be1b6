//! A consumer on a thread of its own.
//!
//! `StreamConsumer` is known to stall for good (rust-rdkafka issues 665, 840 and 848), so a `BaseConsumer` is polled by
//! an operating-system thread, and what it reads goes to a handler on that thread.

use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use efd_service::Stop;
use rdkafka::consumer::{BaseConsumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::message::BorrowedMessage;
use tokio::sync::oneshot;

/// What happens with each record; runs on the poll thread and must not block for longer than a poll may be late
/// (`max.poll.interval.ms`). Any call may end the thread with `ControlFlow::Break`.
pub trait PollHandler: Send + 'static {
    /// The context of the consumer, which hears of rebalances.
    type Context: ConsumerContext + 'static;

    /// A record was read.
    fn record(
        &mut self,
        consumer: &BaseConsumer<Self::Context>,
        record: &BorrowedMessage<'_>,
    ) -> ControlFlow<()>;

    /// Called after every poll, also when nothing was read.
    fn tick(&mut self, consumer: &BaseConsumer<Self::Context>) -> ControlFlow<()>;

    /// The poll failed; librdkafka itself reconnects, so most errors are only worth telling.
    fn error(&mut self, error: &KafkaError) -> ControlFlow<()>;
}

/// A running poll thread.
#[derive(Debug)]
pub struct ConsumerThread<H> {
    done: oneshot::Receiver<H>,
}

impl<H: PollHandler> ConsumerThread<H> {
    /// Starts the thread; it ends when `stop` is requested or the handler says so. `poll` bounds the wait for a record,
    /// so also the time between two ticks.
    ///
    /// # Errors
    /// When the operating system gives no thread.
    pub fn spawn(
        name: &str,
        consumer: Arc<BaseConsumer<H::Context>>,
        mut handler: H,
        stop: Stop,
        poll: Duration,
    ) -> io::Result<Self> {
        let (sender, done) = oneshot::channel();
        std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            while !stop.is_requested() {
                let flow = match consumer.poll(poll) {
                    Some(Ok(record)) => handler.record(&consumer, &record),
                    Some(Err(error)) => handler.error(&error),
                    None => ControlFlow::Continue(()),
                };
                if flow.is_break() || handler.tick(&consumer).is_break() {
                    break;
                }
            }
            drop(consumer);
            // Nobody waits any more when the receiver is gone.
            let _ = sender.send(handler);
        })?;
        Ok(Self { done })
    }

    /// Waits for the thread's end and gives the handler back; `None` when the thread panicked.
    pub async fn joined(self) -> Option<H> {
        self.done.await.ok()
    }
}
