//! The sources that deliver their records themselves, HTTP and text: they run beside the queue of samples.

use std::time::Duration;

use anyhow::Context as _;
use efd_service::{Context, Latch, Stop};
use tokio::task::JoinHandle;

use crate::config::Config;
use crate::source::Surroundings;
use crate::{http, text};

/// What the readiness endpoint waits for: for each enabled source that it listens or reads. Made before anything else is
/// ready, so that the service never seems to be.
#[derive(Debug)]
pub(crate) struct Awaited {
    http: Option<Latch>,
    text: Option<Latch>,
}

impl Awaited {
    /// Of the sources that are enabled.
    pub(crate) fn new(config: &Config, ctx: &Context) -> Self {
        let latch = |is_enabled: bool, name| is_enabled.then(|| ctx.ready.latch(name));
        Self { http: latch(config.http.enabled, "http"), text: latch(config.text.enabled, "text") }
    }
}

/// The running sources, if any is enabled.
#[derive(Debug)]
pub(crate) struct DirectSources {
    task: Option<JoinHandle<anyhow::Result<()>>>,
    stop: Stop,
}

impl DirectSources {
    /// Starts those that are enabled; after a stop they finish what is under way, within `finish_within`.
    pub(crate) fn start(
        (config, ctx): (&Config, &Context),
        awaited: Awaited,
        around: Surroundings,
        finish_within: Duration,
    ) -> Self {
        let stop = ctx.stop.clone();
        let Awaited { http, text } = awaited;
        if http.is_none() && text.is_none() {
            return Self { task: None, stop };
        }
        let (config, ctx) = (config.clone(), ctx.clone());
        let run = async move {
            let http = async {
                let Some(latch) = http else { return Ok(()) };
                http::run((&config, &ctx), latch, &around, finish_within).await
            };
            let text = async {
                let Some(latch) = text else { return Ok(()) };
                text::run((&config, &ctx), latch, around.clone(), finish_within).await
            };
            tokio::try_join!(http, text)?;
            Ok(())
        };
        Self { task: Some(tokio::spawn(run)), stop }
    }

    /// Whether any is enabled.
    pub(crate) fn is_open(&self) -> bool {
        self.task.is_some()
    }

    /// Waits until one of them fails, for ever if none does.
    pub(crate) async fn failed(&mut self) -> anyhow::Error {
        if let Some(task) = &mut self.task {
            let ended = ended(task).await;
            self.task = None;
            if let Err(error) = ended {
                return error;
            }
        }
        std::future::pending().await
    }

    /// Waits for their end after a stop; without one, cuts them off.
    pub(crate) async fn finish(self) -> anyhow::Result<()> {
        let Some(mut task) = self.task else { return Ok(()) };
        if !self.stop.is_requested() {
            task.abort();
            return Ok(());
        }
        ended(&mut task).await
    }
}

async fn ended(task: &mut JoinHandle<anyhow::Result<()>>) -> anyhow::Result<()> {
    task.await.context("a source ended unexpectedly")?
}
