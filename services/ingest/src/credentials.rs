//! Who may send to the sources that listen on the network, and to which topics.

use std::sync::Arc;

use efd_service::Secret;
use efd_service::server::credentials::{Credential as _, Denied, Guard};
use serde::{Deserialize, Serialize};

/// One who may send.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Credential {
    /// Name, for the log, for `Basic`, and for the variable with the token: `EFD_INGEST_TOKEN_<NAME>` or
    /// `EFD_INGEST_TOKEN_<NAME>_FILE`, in capitals, `-` as `_`. Letters, digits, `-` and `_`.
    pub name: String,
    /// Beginnings of the Kafka topics that it may write to. Empty: all that the source takes.
    pub prefixes: Vec<String>,
    /// Token; only from the environment.
    pub token: Secret,
}

impl efd_service::server::credentials::Credential for Credential {
    const VARIABLE: &'static str = "EFD_INGEST_TOKEN_";

    fn name(&self) -> &str {
        &self.name
    }

    fn prefixes(&self) -> &[String] {
        &self.prefixes
    }

    fn token(&self) -> &Secret {
        &self.token
    }

    fn token_mut(&mut self) -> &mut Secret {
        &mut self.token
    }
}

/// Knows all credentials; clones share them.
#[derive(Debug, Clone)]
pub struct Access(Guard<Credential>);

/// One whose credentials were found good, or anybody where none are asked for.
#[derive(Debug, Clone)]
pub struct Caller(Option<Arc<Credential>>);

impl Access {
    /// Of these credentials; none: everybody may send.
    pub fn new(credentials: &[Credential]) -> Self {
        Self(Guard::new(credentials.to_vec()))
    }

    /// Whether a caller has to show nothing.
    pub fn is_open(&self) -> bool {
        self.0.is_open()
    }

    /// Who the caller is, from the header `Authorization` (in gRPC the metadata `authorization`).
    ///
    /// # Errors
    /// When credentials are asked for, and none or unknown ones are shown.
    pub fn caller(&self, authorization: Option<&str>) -> Result<Caller, Denied> {
        self.0.caller(authorization).map(Caller)
    }
}

impl Caller {
    /// Name of its credential; `anonymous` where none are asked for.
    pub fn name(&self) -> &str {
        self.0.as_ref().map_or("anonymous", |credential| &credential.name)
    }

    /// Beginnings of the Kafka topics that it may write to; empty: all that the source takes.
    pub fn prefixes(&self) -> &[String] {
        self.0.as_ref().map_or(&[], |credential| &credential.prefixes)
    }

    /// Whether it may write to a Kafka topic.
    pub fn may_write(&self, topic: &str) -> bool {
        self.0.as_ref().is_none_or(|credential| credential.covers(topic))
    }
}
