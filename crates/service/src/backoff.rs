//! Waits between tries.

use std::time::Duration;

/// Random waits that grow: each is between `min` and a ceiling that doubles from twice `min` up to `max`. The
/// jitter spans that whole range, so that replicas that failed together do not come back together.
#[derive(Debug, Clone)]
pub struct Backoff {
    min: Duration,
    max: Duration,
    ceiling: Duration,
}

impl Backoff {
    /// Waits of at least `min` and at most `max`; a `max` below `min` counts as `min`.
    pub fn new(min: Duration, max: Duration) -> Self {
        Self { min, max: max.max(min), ceiling: min }
    }

    /// The wait before the next try.
    #[expect(clippy::should_implement_trait, reason = "it never ends, so an Option would only be in the way")]
    pub fn next(&mut self) -> Duration {
        self.ceiling = self.ceiling.saturating_mul(2).min(self.max);
        rand::random_range(self.min..=self.ceiling)
    }

    /// Starts again from `min`, after a success.
    pub fn reset(&mut self) {
        self.ceiling = self.min;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIN: Duration = Duration::from_millis(100);
    const MAX: Duration = Duration::from_secs(5);

    #[test]
    fn every_wait_is_between_min_and_a_ceiling_that_doubles_up_to_max() {
        let mut backoff = Backoff::new(MIN, MAX);
        for attempt in 1..200_u32 {
            let ceiling = MIN.saturating_mul(2_u32.saturating_pow(attempt)).min(MAX);
            let wait = backoff.next();
            assert!(
                wait >= MIN && wait <= ceiling,
                "try {attempt}: {wait:?} is not in {MIN:?}..={ceiling:?}"
            );
        }
    }

    #[test]
    fn waits_are_spread_over_the_whole_range() {
        let mut backoff = Backoff::new(MIN, MAX);
        let waits: Vec<Duration> = (0..1000).map(|_| backoff.next()).collect();
        assert!(waits.iter().any(|wait| *wait < MAX / 4));
        assert!(waits.iter().any(|wait| *wait > MAX / 4 * 3));
    }

    #[test]
    fn reset_starts_again_from_min() {
        let mut backoff = Backoff::new(MIN, MAX);
        for _ in 0..20 {
            backoff.next();
        }
        backoff.reset();
        assert!(backoff.next() <= MIN * 2);
    }

    #[test]
    fn impossible_bounds_do_not_panic() {
        assert_eq!(Backoff::new(MAX, MIN).next(), MAX);
        assert_eq!(Backoff::new(Duration::ZERO, Duration::ZERO).next(), Duration::ZERO);
        let mut longest = Backoff::new(Duration::MAX, Duration::MAX);
        assert_eq!(longest.next(), Duration::MAX);
    }
}
