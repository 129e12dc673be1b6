//! Whether a service may be given work.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::Stop;

/// Ready means: at least one latch was taken, all latches are released, and no stop is requested.
///
/// `run` takes its latches before it first waits, one for each thing it cannot work without, and releases
/// each when that thing works. Until the first latch is taken the service is still starting, and not ready.
#[derive(Debug, Clone)]
pub struct Readiness {
    latches: Arc<Mutex<Vec<State>>>,
    stop: Stop,
}

#[derive(Debug)]
struct State {
    name: String,
    released: bool,
}

/// Holds readiness back until it is released. Dropping it releases nothing: the part that held it has failed.
#[derive(Debug)]
#[must_use = "a latch that is dropped keeps the service unready for ever"]
pub struct Latch {
    latches: Arc<Mutex<Vec<State>>>,
    index: usize,
}

impl Readiness {
    /// Unready until latches are taken and released, and again once `stop` is requested.
    pub fn new(stop: Stop) -> Self {
        Self { latches: Arc::default(), stop }
    }

    /// Takes a latch. `name` says what is waited for; `/readyz` shows it.
    pub fn latch(&self, name: impl Into<String>) -> Latch {
        let mut latches = lock(&self.latches);
        let index = latches.len();
        latches.push(State { name: name.into(), released: false });
        Latch { latches: Arc::clone(&self.latches), index }
    }

    /// Whether the service may be given work.
    pub fn is_ready(&self) -> bool {
        self.waiting().is_empty()
    }

    /// What is waited for; empty when ready. `start` stands for latches not taken yet, `stop` for a requested
    /// stop.
    pub fn waiting(&self) -> Vec<String> {
        if self.stop.is_requested() {
            return vec!["stop".to_owned()];
        }
        let latches = lock(&self.latches);
        if latches.is_empty() {
            return vec!["start".to_owned()];
        }
        latches.iter().filter(|latch| !latch.released).map(|latch| latch.name.clone()).collect()
    }
}

impl Latch {
    /// What was waited for works.
    pub fn release(self) {
        if let Some(state) = lock(&self.latches).get_mut(self.index) {
            state.released = true;
        }
    }
}

fn lock(latches: &Mutex<Vec<State>>) -> MutexGuard<'_, Vec<State>> {
    latches.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_ready_when_all_its_latches_are_released() {
        let ready = Readiness::new(Stop::new());
        assert_eq!(ready.waiting(), ["start"]);
        let kafka = ready.latch("kafka");
        let registry = ready.latch("registry");
        assert_eq!(ready.waiting(), ["kafka", "registry"]);
        kafka.release();
        assert_eq!(ready.waiting(), ["registry"]);
        registry.release();
        assert!(ready.is_ready());
    }

    #[test]
    fn a_latch_dropped_by_a_failed_part_keeps_the_service_unready() {
        let ready = Readiness::new(Stop::new());
        drop(ready.latch("kafka"));
        assert!(!ready.is_ready());
    }

    #[test]
    fn latches_of_one_name_are_released_one_by_one() {
        let ready = Readiness::new(Stop::new());
        let first = ready.latch("destination");
        let second = ready.latch("destination");
        second.release();
        assert_eq!(ready.waiting(), ["destination"]);
        first.release();
        assert!(ready.is_ready());
    }

    #[test]
    fn a_requested_stop_ends_readiness() {
        let stop = Stop::new();
        let ready = Readiness::new(stop.clone());
        ready.latch("kafka").release();
        assert!(ready.is_ready());
        stop.request();
        assert_eq!(ready.waiting(), ["stop"]);
    }
}
