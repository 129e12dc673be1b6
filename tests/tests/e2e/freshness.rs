//! How old the newest point of each watched topic is, looked at all the time.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use efd::influxdb::{InfluxDbClient, InfluxDbConfig};

use crate::cluster::RELEASE;
use crate::outside::Outside;
use crate::tools::Forward;

/// Pause between two looks.
const LOOK: Duration = Duration::from_millis(200);
/// Topics that the load sends often; one of each component.
const WATCHED: [&str; 3] =
    ["lsst.sal.ATCamera.vacuum", "lsst.sal.MTM1M3.hardpointActuatorData", "lsst.sal.Test.scalars"];

/// A look every 200 ms, until it is dropped.
#[derive(Debug)]
pub struct Freshness {
    task: tokio::task::JoinHandle<()>,
    ages: Arc<Mutex<Ages>>,
}

#[derive(Debug, Default)]
struct Ages {
    /// Since it was last asked to forget.
    lately: Duration,
    ever: Duration,
}

impl Freshness {
    /// Begins to look.
    ///
    /// # Errors
    /// When InfluxDB cannot be reached, or does not have the watched topics yet.
    pub async fn watch(outside: &Outside) -> anyhow::Result<Self> {
        let ages = Arc::new(Mutex::new(Ages::default()));
        let mut watcher = Watcher { config: outside.influxdb(), way: None, ages: ages.clone() };
        watcher.look().await?;
        let task = tokio::spawn(async move {
            loop {
                // What cannot be seen is not fresh either: the next answer tells how old the points have become.
                let _ = watcher.look().await;
                tokio::time::sleep(LOOK).await;
            }
        });
        Ok(Self { task, ages })
    }

    /// Begins anew with the age of a step.
    pub fn forget(&self) {
        if let Ok(mut ages) = self.ages.lock() {
            ages.lately = Duration::ZERO;
        }
    }

    /// Greatest age since then; it counts for [`Self::oldest_ever`] too.
    pub fn oldest(&self) -> Duration {
        let Ok(mut ages) = self.ages.lock() else { return Duration::ZERO };
        ages.ever = ages.ever.max(ages.lately);
        ages.lately
    }

    /// Greatest age of all steps; between them the load may have changed hands.
    pub fn oldest_ever(&self) -> Duration {
        self.ages.lock().map(|ages| ages.ever).unwrap_or_default()
    }
}

impl Drop for Freshness {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Watcher {
    config: InfluxDbConfig,
    /// A way of its own, opened again when its pod was replaced.
    way: Option<Forward>,
    ages: Arc<Mutex<Ages>>,
}

impl Watcher {
    async fn look(&mut self) -> anyhow::Result<()> {
        if !self.way.as_mut().is_some_and(Forward::is_open) {
            let way = Forward::to(RELEASE, "service/efd-influxdb", 8086).await?;
            self.config.url = Some(way.url.clone());
            self.way = Some(way);
        }
        let from = WATCHED.map(|topic| format!("\"{topic}\"")).join(", ");
        let query = format!("SELECT last(private_seqNum) FROM {from} WHERE time > now() - 15m");
        let series = InfluxDbClient::new(&self.config)?.query(&query).await?;
        let newest = series.iter().filter_map(|series| series.values.first()?.first()?.as_i64());
        let now = i128::try_from(efd_tests::now_nanos())?;
        let ages: Vec<i128> = newest.map(|nanos| now - i128::from(nanos)).collect();
        anyhow::ensure!(ages.len() == WATCHED.len(), "InfluxDB has {} of {WATCHED:?}", ages.len());
        let oldest = ages.into_iter().max().and_then(|age| u64::try_from(age).ok()).unwrap_or_default();
        if let Ok(mut ages) = self.ages.lock() {
            ages.lately = ages.lately.max(Duration::from_nanos(oldest));
        }
        Ok(())
    }
}
