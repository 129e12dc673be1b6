//! Integration tests on real Kafka, real InfluxDB 1.x and 2.x, and the real binaries.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

mod analyst_commands;
mod bad_input;
mod clients;
mod commands;
mod completeness;
mod dead_letter_commands;
mod dead_letters;
mod demo;
mod gateway_access;
mod gateway_calls;
mod gateway_cancel;
mod gateway_http;
mod gateway_refusals;
mod gateway_simulator;
mod gateway_tail;
mod grpc_source;
mod http_source;
mod init;
mod interfaces;
mod main_job;
mod outages;
mod parity;
mod python_client;
mod registry;
mod registry_clients;
mod registry_commands;
mod registry_grpc;
mod registry_log;
mod registry_openapi;
mod registry_proxy;
mod registry_replicas;
mod registry_sal;
mod registry_security;
mod repair;
mod replicas;
mod security;
mod simulator;
mod sink_commands;
mod stop;
mod text_source;
