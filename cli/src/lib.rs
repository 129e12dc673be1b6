//! The command people and scripts use: `efd interfaces`, `init`, `check`, `topics`, `schema`, `get`, `latest`, `window`, `packed`, `tail`,
//! `registry`, `sink`, `completeness`, `repair`, `dead-letters` and `demo`.
//!
//! It talks to the parts over their public interfaces: Kafka, the registry's REST, InfluxDB's HTTP, the gRPC of gateway and sinks and
//! the admin ports. Only `efd demo` runs the services themselves, in its own process. An error is one line on standard error and
//! a non-zero exit code: 1 for trouble found, 2 for a wrong command line, 78 for wrong settings.

mod check;
mod command;
mod completeness;
mod config;
mod dead_letters;
mod demo;
mod gateway;
mod get;
pub mod influxdb;
mod init;
mod interfaces;
mod latest;
mod metrics;
mod output;
mod packed;
mod plot;
mod progress;
mod range;
mod registry;
mod repair;
mod rows;
mod schema;
pub mod servers;
mod sink;
mod sinks;
mod tail;
mod time;
mod topics;
mod window;

pub use command::main;
pub use config::Config;
pub use gateway::GatewayAccess;
pub use metrics::Metrics;
pub use sinks::SinkConfig;
