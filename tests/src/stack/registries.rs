//! Further registries beside the stack's own: replicas on its Kafka, proxies in front of it.

use std::path::PathBuf;

use efd::servers::free_port;
use serde_json::{Value, json};

use super::settings::merge;
use super::{Stack, local};
use crate::service::Service;

/// A registry with ports of its own.
#[derive(Debug)]
pub struct Registry {
    /// The process.
    pub service: Service,
    http: u16,
    grpc: u16,
    /// Where it speaks TLS.
    authority: Option<PathBuf>,
}

impl Registry {
    /// Address of its REST interface.
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme(), local(self.http))
    }

    /// Address of its gRPC server.
    pub fn grpc_url(&self) -> String {
        format!("{}://{}", self.scheme(), local(self.grpc))
    }

    /// Its certificate authority, where it speaks TLS.
    pub fn authority(&self) -> Option<&PathBuf> {
        self.authority.as_ref()
    }

    fn scheme(&self) -> &'static str {
        if self.authority.is_some() { "https" } else { "http" }
    }

    pub(super) fn port(&self) -> u16 {
        self.http
    }

    /// Whether it may write the log.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn is_writer(&self) -> anyhow::Result<bool> {
        Ok(self.service.metrics().await?.sum("efd_registry_writer", &[]) == 1.0)
    }
}

impl Stack {
    /// Starts a further registry on this stack's Kafka and does not wait; `label` names its folder, `settings` are merged over the
    /// usual ones.
    ///
    /// # Errors
    /// When its binary is missing.
    pub fn launch_another_registry(&self, label: &str, settings: &Value) -> anyhow::Result<Registry> {
        let (http, grpc, admin) = (free_port()?, free_port()?, free_port()?);
        let mut usual = json!({
            "service": {"admin": local(admin)},
            "http": local(http),
            "grpc": local(grpc),
            "kafka": self.kafka_settings(),
        });
        merge(&mut usual, settings);
        let environment = self.environment();
        let pairs: Vec<(&str, &str)> =
            environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let folder = self.folder().join(label);
        let service = Service::start("registry", &folder, &usual.to_string(), admin, &pairs)?;
        let authority = usual.pointer("/replicas/ca_file").and_then(Value::as_str).map(PathBuf::from);
        Ok(Registry { service, http, grpc, authority })
    }
}
