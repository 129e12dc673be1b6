//! What services that listen on the network share: who may call, TLS, and how many connections there may be.

pub mod connections;
pub mod credentials;
pub mod grpc;
pub mod tls;
pub mod tls_listener;
