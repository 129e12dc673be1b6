//! The sink.
#![allow(dead_code)]
mod batch;
mod error;
mod metrics;
mod number;
mod plan;
mod point;
mod record;
mod time;
