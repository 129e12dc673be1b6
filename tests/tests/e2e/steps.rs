//! Steps of the test: one line for each, with its time.

use std::io::Write as _;
use std::time::{Duration, Instant};

use crate::freshness::Freshness;

/// What was run so far.
#[derive(Debug)]
pub struct Steps {
    start: Instant,
    count: usize,
    failed: usize,
    /// Looks at the newest points meanwhile.
    pub freshness: Option<Freshness>,
}

impl Default for Steps {
    fn default() -> Self {
        Self { start: Instant::now(), count: 0, failed: 0, freshness: None }
    }
}

impl Steps {
    /// Runs a step, whose answer says what it found.
    ///
    /// # Errors
    /// When it fails: what comes after it would fail as well.
    pub async fn must(
        &mut self,
        name: &str,
        step: impl Future<Output = anyhow::Result<String>>,
    ) -> anyhow::Result<()> {
        if self.may(name, step).await { Ok(()) } else { anyhow::bail!("{name}") }
    }

    /// Runs a step that others do not stand on; whether it was good.
    pub async fn may(&mut self, name: &str, step: impl Future<Output = anyhow::Result<String>>) -> bool {
        if let Some(freshness) = &self.freshness {
            freshness.forget();
        }
        let start = Instant::now();
        let outcome = step.await;
        self.told(name, start.elapsed(), outcome)
    }

    /// Counts and prints a step that was run elsewhere.
    pub fn told(&mut self, name: &str, took: Duration, outcome: anyhow::Result<String>) -> bool {
        self.count += 1;
        let (word, mut found) = match &outcome {
            Ok(found) => ("ok    ", found.clone()),
            Err(error) => ("FAILED", format!("{error:#}")),
        };
        if let Some(freshness) = &self.freshness {
            found = format!("{found}; newest point at most {:.1} s old", freshness.oldest().as_secs_f64());
        }
        self.failed += usize::from(outcome.is_err());
        say(&format!("{word} {:6.1} s  {name}: {found}", took.as_secs_f64()));
        outcome.is_ok()
    }

    /// How many failed.
    pub fn failed(&self) -> usize {
        self.failed
    }

    /// The last line.
    pub fn summary(&self) -> String {
        let seconds = self.start.elapsed().as_secs_f64();
        format!("{} steps in {seconds:.0} s, {} failed", self.count, self.failed)
    }
}

/// Prints a line; nobody may be reading.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
