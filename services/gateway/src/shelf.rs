//! What an answer is made of, between two of its parts. At a deadline it is taken away, also from a client that takes nothing: nobody asks
//! for the next part then.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio::task::JoinSet;

/// A place for one thing, which is empty while the thing is in use, and after the deadline.
#[derive(Debug)]
pub struct Shelf<T> {
    thing: Arc<Mutex<Option<T>>>,
    /// Ends with the shelf.
    _watch: JoinSet<()>,
}

impl<T: Send + 'static> Shelf<T> {
    /// Keeps `thing` until the deadline; without one, for ever.
    pub fn new(thing: T, deadline: Option<Instant>) -> Self {
        let thing = Arc::new(Mutex::new(Some(thing)));
        let mut watch = JoinSet::new();
        if deadline.is_some() {
            let thing = Arc::clone(&thing);
            watch.spawn(async move {
                until(deadline).await;
                drop(take(&thing));
            });
        }
        Self { thing, _watch: watch }
    }

    /// Takes the thing; none after the deadline.
    pub fn take(&self) -> Option<T> {
        take(&self.thing)
    }

    /// Puts it back.
    pub fn put(&self, thing: T) {
        *self.thing.lock().unwrap_or_else(PoisonError::into_inner) = Some(thing);
    }
}

fn take<T>(thing: &Mutex<Option<T>>) -> Option<T> {
    thing.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// Waits for a time; without one, for ever.
pub async fn until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time.into()).await,
        None => std::future::pending().await,
    }
}
