//! The harness of the integration tests: real Kafka, real InfluxDB and the real binaries, on free ports, in a folder of its own.
//!
//! Every test starts what it needs and everything is stopped when the test ends, also when it fails. Nothing waits for a
//! fixed time: [`eventually`] polls until a deadline.

mod answers;
mod clients;
mod collector;
mod command;
mod disk;
pub mod oracle;
mod protection;
pub mod proxy;
pub mod records;
pub mod release;
mod service;
mod stack;
pub mod stored;

use std::time::{Duration, Instant};

pub use answers::{Answered, time_range, timestamp};
pub use clients::{contracts, efd_client, efd_python, lsst_python, node, python, python_module};
pub use collector::{Collector, attribute, hex};
pub use command::{Output, efd};
pub use disk::Disk;
pub use efd::servers::{Generation, Signal};
pub use protection::{PASSWORD, Protection, Told, USER, certificates};
pub use release::write_release;
pub use service::{Service, binary};
pub use stack::{
    CLIENT_TOKEN, GATEWAY_TOKENS, Options, REGISTRY_TOKENS, Registry, Stack, WORKER, interfaces,
};

/// Bound on anything that a test waits for; far longer than anything takes, since machines are shared.
pub const DEADLINE: Duration = Duration::from_secs(180);

/// Pause between two looks.
const LOOK: Duration = Duration::from_millis(100);

/// Asks until the answer is yes.
///
/// # Errors
/// When it is not yes within [`DEADLINE`]; the error says what was waited for and the last answer.
pub async fn eventually<F, Fut>(what: &str, mut ask: F) -> anyhow::Result<()>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = anyhow::Result<bool>>,
{
    let deadline = Instant::now() + DEADLINE;
    loop {
        // Without the backtrace that an error's own text may have.
        let answer = ask().await.map_err(|error| format!("{error:#}"));
        if matches!(answer, Ok(true)) {
            return Ok(());
        }
        if Instant::now() > deadline {
            anyhow::bail!("waited {} s until {what}; last answer: {answer:?}", DEADLINE.as_secs());
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// The machine's clock as Unix nanoseconds.
pub fn now_nanos() -> u128 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_nanos()
}
