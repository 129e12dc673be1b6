//! Start-up, configuration, telemetry, admin server and signals, the same for every service.
//!
//! A service is `efd_service::main("efd-<name>", about, run)`. Start-up has a fixed order: command line,
//! settings (file, then environment, then checks), telemetry, admin server, signals, `run`. Everything `run`
//! needs of the process comes in its [`Context`]; everything that is set comes in its [`Settings`]. This
//! crate is the only one that reads the environment, and knows nothing of what the services do.
//!
//! On an error the process prints one line and ends: 64 for a bad command line, 78 for bad settings, 1 for
//! anything else, a panic included. SIGTERM and SIGINT ask `run` to finish; what has not finished within the
//! grace period is cut off (1).

mod access;
mod admin;
mod backoff;
mod chain;
mod config;
mod env;
pub mod http;
mod instance;
mod metrics;
mod readiness;
mod secret;
pub mod server;
mod start;
mod stop;
mod telemetry;

pub use access::Access;
pub use backoff::Backoff;
pub use chain::chain;
pub use config::{ConfigError, LogConfig, LogFormat, ServiceConfig, Settings, load, parse};
pub use env::Env;
pub use instance::{Context, Instance, StartError};
pub use readiness::{Latch, Readiness};
pub use secret::Secret;
pub use start::main;
pub use stop::Stop;
pub use telemetry::{MAX_LINKS, TelemetryError, TelemetryGuard, init_telemetry};
