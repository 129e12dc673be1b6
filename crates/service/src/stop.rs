//! The request to stop, shared by all parts of one service.

use tokio_util::sync::CancellationToken;

/// Tells every part of a service to finish; clones share one state, which never goes back.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    token: CancellationToken,
}

impl Stop {
    /// A stop that nobody has requested yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks all holders to finish. Asking again changes nothing.
    pub fn request(&self) {
        self.token.cancel();
    }

    /// Whether a stop has been requested; for threads, which cannot await.
    pub fn is_requested(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Waits until a stop is requested. Cancel safe.
    pub async fn requested(&self) {
        self.token.cancelled().await;
    }
}
