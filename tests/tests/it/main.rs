//! Integration tests on real Kafka, real InfluxDB 1.x and 2.x, and the real binaries.

mod bad_input;
mod commands;
mod dead_letters;
mod demo;
mod main_job;
mod outages;
mod registry;
mod stop;
