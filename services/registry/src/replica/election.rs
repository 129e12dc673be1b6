//! When to become the writer, and when to cease.
//!
//! Whoever the log names writes, as long as it answers. It is gone when it has not said so for `takeover_after`: then the others try to take
//! over, each after a wait of its own length; the transactional id lets one of them through at a time, and the last one that wrote its name into
//! the log is the writer. A writer that leaves in peace says so in the log, and is followed at once.
//!
//! A writer that was only slow, or that this replica alone cannot reach, is fenced and reads in the log that it is deposed. That
//! costs its clients a second try, never an id.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::config::ReplicasConfig;
use crate::replica::peer::{Dial, Peers};
use crate::store::View;

/// What the writing task asks about its turn.
#[derive(Debug)]
pub(crate) struct Election {
    me: Arc<str>,
    view: watch::Receiver<View>,
    peers: Arc<Peers>,
    config: ReplicasConfig,
    may_write: bool,
}

impl Election {
    /// An election in which the other replicas know this one as `me`; one that may not write never has its turn.
    pub(crate) fn new(
        me: Arc<str>,
        view: watch::Receiver<View>,
        (config, dial): (ReplicasConfig, Dial),
        may_write: bool,
    ) -> Self {
        // A connection of its own: a writer that is busy with forwarded writes is still there.
        Self { me, view, peers: Arc::new(Peers::new(dial)), config, may_write }
    }

    /// Address of this replica.
    pub(crate) fn me(&self) -> &Arc<str> {
        &self.me
    }

    /// Waits until the log was read and names no writer that is there.
    pub(crate) async fn vacant(&mut self) {
        if !self.may_write {
            std::future::pending::<()>().await;
        }
        if self.view.wait_for(|view| view.is_loaded).await.is_err() {
            return;
        }
        loop {
            let writer = self.view.borrow().state.writer().cloned();
            let Some(writer) = writer.filter(|writer| *writer != self.me) else { return };
            let mut view = self.view.clone();
            tokio::select! {
                () = self.gone(&writer) => {
                    tracing::warn!(%writer, "the writer of the schemas is gone, taking over");
                    return;
                }
                // Somebody was faster, or the writer left in peace.
                _ = view.wait_for(|view| view.state.writer() != Some(&writer)) => {}
            }
        }
    }

    /// Waits until the log names another writer.
    pub(crate) async fn deposed(&self) {
        let mut view = self.view.clone();
        // An error means that nobody reads the log any more; then nobody can be deposed.
        if view.wait_for(|view| view.state.writer() != Some(&self.me)).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Gives another replica that has fenced this one the time to write its name into the log.
    pub(crate) async fn other_has_taken_over(&self) {
        let mut view = self.view.clone();
        let is_other = |view: &View| view.state.writer().is_some_and(|writer| *writer != self.me);
        // If it does not, it is gone already, and this one tries again.
        let _ = tokio::time::timeout(self.config.takeover_after, view.wait_for(is_other)).await;
    }

    async fn gone(&self, writer: &Arc<str>) {
        let ReplicasConfig { probe_interval, takeover_after, .. } = self.config;
        // Replicas that miss the same writer must not all take over at once.
        let patience = takeover_after + takeover_after.mul_f64(rand::random_range(0.0..0.3));
        let mut seen = Instant::now();
        loop {
            let next = Instant::now() + probe_interval;
            if self.peers.is_writer(writer).await {
                seen = Instant::now();
            } else if seen.elapsed() >= patience {
                return;
            }
            tokio::time::sleep_until(next.max(Instant::now() + Duration::from_millis(10))).await;
        }
    }
}
