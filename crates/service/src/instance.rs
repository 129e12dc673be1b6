//! One service inside a process.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use opentelemetry::metrics::Meter;
use thiserror::Error;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::admin::{self, Shown};
use crate::metrics::Metrics;
use crate::{Readiness, Stop};

/// How long a client of the admin server may keep its connection busy at the end.
const ADMIN_GRACE: Duration = Duration::from_millis(500);

/// What a service's `run` has of its process.
#[derive(Debug, Clone)]
pub struct Context {
    /// Name of the service, such as `efd-sink`.
    pub name: &'static str,
    /// The request to finish.
    pub stop: Stop,
    /// Whether the service may be given work.
    pub ready: Readiness,
    /// Makes instruments. Counters are named without `_total`; unit `s` adds `_seconds`, `By` adds `_bytes`.
    /// Histograms of these two units have fixed buckets: 0.1 ms to 60 s, 256 B to 64 MiB.
    pub meter: Meter,
}

/// Why a service could not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The admin server has no port.
    #[error("admin server cannot listen on {address} (setting service.admin)")]
    Listen {
        /// Where it wanted to listen.
        address: SocketAddr,
        /// Why it cannot.
        source: io::Error,
    },
    /// Metrics cannot be set up.
    #[error("cannot set up metrics")]
    Metrics(#[from] opentelemetry_sdk::error::OTelSdkError),
}

/// One service in this process: its stop, readiness, metrics, and the admin server that shows them. Several
/// live side by side.
#[derive(Debug)]
pub struct Instance {
    context: Context,
    admin_addr: SocketAddr,
    admin_task: JoinHandle<()>,
    admin_stop: DropGuard,
}

impl Instance {
    /// Starts the admin server on `admin` (port 0: any free one). Must be called inside a Tokio runtime.
    ///
    /// # Errors
    /// When the address is in use or not ours.
    pub fn start(name: &'static str, admin: SocketAddr) -> Result<Self, StartError> {
        let stop = Stop::new();
        let ready = Readiness::new(stop.clone());
        let metrics = Metrics::new()?;
        let meter = metrics.meter(name);
        let admin_stop = CancellationToken::new();
        let server = admin::serve(admin, Shown { ready: ready.clone(), metrics }, admin_stop.clone())?;
        Ok(Self {
            context: Context { name, stop, ready, meter },
            admin_addr: server.address,
            admin_task: server.task,
            admin_stop: admin_stop.drop_guard(),
        })
    }

    /// What `run` gets.
    pub fn context(&self) -> Context {
        self.context.clone()
    }

    /// Where the admin server listens.
    pub fn admin_addr(&self) -> SocketAddr {
        self.admin_addr
    }

    /// Requests a stop and ends the admin server. Await `run` first: until here the admin server says what it
    /// waits for.
    pub async fn shutdown(self) {
        self.context.stop.request();
        drop(self.admin_stop);
        let abort = self.admin_task.abort_handle();
        if tokio::time::timeout(ADMIN_GRACE, self.admin_task).await.is_err() {
            abort.abort();
        }
    }
}

#[cfg(test)]
#[path = "instance_tests.rs"]
mod tests;
