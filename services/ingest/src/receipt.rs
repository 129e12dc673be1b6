//! What a source hears of one of its samples: where Kafka put it, or why it never will be there.

use std::sync::{Arc, Mutex, PoisonError};

use efd_kafka::Placed;
use tokio::sync::oneshot;

/// Why a sample will never be delivered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Undeliverable(pub String);

/// What became of a sample.
pub type Outcome = Result<Placed, Undeliverable>;

/// Goes with a sample to Kafka. Clones are one receipt: only the first outcome counts, because a record that is sent again
/// is placed twice. If all are dropped without an outcome, it is not known whether Kafka has the sample.
#[derive(Debug, Clone)]
pub struct Receipt(Arc<Mutex<Option<oneshot::Sender<Outcome>>>>);

impl Receipt {
    /// A receipt, and where its outcome comes.
    pub fn new() -> (Self, oneshot::Receiver<Outcome>) {
        let (sender, receiver) = oneshot::channel();
        (Self(Arc::new(Mutex::new(Some(sender)))), receiver)
    }

    /// Kafka has the sample.
    pub(crate) fn placed(&self, placed: Placed) {
        self.settle(Ok(placed));
    }

    /// Kafka will never have it.
    pub(crate) fn undeliverable(&self, reason: String) {
        self.settle(Err(Undeliverable(reason)));
    }

    fn settle(&self, outcome: Outcome) {
        let sender = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(sender) = sender {
            // A source that does not wait any more is no error.
            let _ = sender.send(outcome);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_outcome_counts() {
        let (receipt, mut outcome) = Receipt::new();
        let placed = Placed { partition: 1, offset: 7 };
        receipt.clone().placed(placed);
        receipt.undeliverable("too late".into());
        assert_eq!(outcome.try_recv(), Ok(Ok(placed)));
    }

    #[test]
    fn a_receipt_that_is_lost_tells_that_nothing_is_known() {
        let (receipt, mut outcome) = Receipt::new();
        drop(receipt);
        assert_eq!(outcome.try_recv(), Err(oneshot::error::TryRecvError::Closed));
    }
}
