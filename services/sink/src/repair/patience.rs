//! Asks again what Kafka or InfluxDB did not answer: one hiccup must not end a repair that runs for hours.

use std::fmt::Display;
use std::time::{Duration, Instant};

use efd_service::Backoff;

use crate::bounds::RetryConfig;

/// What fails for so long is given up.
const LIMIT: Duration = Duration::from_secs(60);

/// How often a question is put, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// Wait between two tries.
    pub retry: RetryConfig,
    /// From the first try on; a try that has begun is waited for.
    pub limit: Duration,
}

impl Patience {
    /// A minute.
    pub fn new(retry: RetryConfig) -> Self {
        Self { retry, limit: LIMIT }
    }

    /// The answer.
    ///
    /// # Errors
    /// One that does not heal, or the last of those that did not heal in time.
    pub async fn ask<T, E: Display, F: Future<Output = Result<T, E>>>(
        &self,
        heals: fn(&E) -> bool,
        question: impl Fn() -> F,
    ) -> Result<T, E> {
        let mut backoff = Backoff::new(self.retry.min, self.retry.max);
        let start = Instant::now();
        loop {
            match question().await {
                Err(error) if heals(&error) && start.elapsed() < self.limit => {
                    tracing::warn!(%error, "repair has no answer and asks again");
                }
                outcome => return outcome,
            }
            tokio::time::sleep(backoff.next()).await;
        }
    }
}
