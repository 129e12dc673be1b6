//! How many queries InfluxDB works on at once, and how many wait for their turn.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::config::HttpConfig;
use super::error::HttpError;

/// The places there are.
#[derive(Debug)]
pub struct Room {
    places: Arc<Semaphore>,
    max_running: usize,
    waiting: AtomicUsize,
    max_waiting: usize,
    max_wait: Duration,
}

/// Counts one that waits.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Room {
    /// As large as the settings say.
    pub fn new(config: &HttpConfig) -> Self {
        let max_running = config.max_running.min(Semaphore::MAX_PERMITS);
        Self {
            places: Arc::new(Semaphore::new(max_running)),
            max_running,
            waiting: AtomicUsize::new(0),
            max_waiting: config.max_waiting,
            max_wait: config.max_wait,
        }
    }

    /// A place, after waiting for it where others wait no longer than allowed.
    ///
    /// # Errors
    /// `Busy`.
    pub async fn enter(&self) -> Result<OwnedSemaphorePermit, HttpError> {
        if let Ok(place) = self.places.clone().try_acquire_owned() {
            return Ok(place);
        }
        let before = self.waiting.fetch_add(1, Ordering::Relaxed);
        let _waiting = Waiting(&self.waiting);
        if before >= self.max_waiting {
            return Err(HttpError::Busy(self.max_running));
        }
        let place = tokio::time::timeout(self.max_wait, self.places.clone().acquire_owned()).await;
        // The semaphore is never closed.
        place.ok().and_then(Result::ok).ok_or(HttpError::Busy(self.max_running))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(max_waiting: usize, max_wait: Duration) -> Room {
        Room::new(&HttpConfig { max_running: 1, max_waiting, max_wait, ..HttpConfig::default() })
    }

    #[tokio::test]
    async fn one_that_finds_no_place_waits_for_it_and_then_gives_up() {
        let room = room(8, Duration::from_secs(60));
        let place = room.enter().await.unwrap();
        let (second, ()) = tokio::join!(room.enter(), async { drop(place) });
        let _second = second.unwrap();
        let room = self::room(8, Duration::from_millis(20));
        let _place = room.enter().await.unwrap();
        assert!(matches!(room.enter().await, Err(HttpError::Busy(1))));
        assert_eq!(room.waiting.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn no_more_wait_than_may() {
        let room = room(0, Duration::from_secs(60));
        let _place = room.enter().await.unwrap();
        assert!(matches!(room.enter().await, Err(HttpError::Busy(1))));
    }
}
