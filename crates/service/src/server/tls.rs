//! TLS of servers: one certificate for all of a service, read anew when its files change.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use serde::{Deserialize, Serialize};

use crate::{ConfigError, Stop, chain};

/// Certificate and key; both or none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsConfig {
    /// PEM file with the certificate and those that lead to its authority. None: no TLS.
    pub certificate_file: Option<PathBuf>,
    /// PEM file with its private key.
    pub key_file: Option<PathBuf>,
    /// Time between two looks whether the files have changed; connections that come afterwards get the new certificate.
    /// Default 30 s.
    #[serde(with = "humantime_serde")]
    pub reload_interval: Duration,
}

/// Why TLS cannot be offered.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file is not there or holds nothing of use.
    #[error("cannot use {} (setting {setting}): {reason}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// Where it was named.
        setting: &'static str,
        /// Why.
        reason: String,
    },
    /// Certificate and key do not go together.
    #[error("certificate and key cannot be used (settings tls.certificate_file, tls.key_file)")]
    Pair(#[source] rustls::Error),
}

/// Where certificate and key are.
#[derive(Debug, Clone)]
struct Files {
    certificate: PathBuf,
    key: PathBuf,
}

/// The texts of certificate and key.
type Pem = (Vec<u8>, Vec<u8>);

/// What servers show to clients.
#[derive(Debug)]
pub struct ServerCertificate {
    files: Files,
    reload_interval: Duration,
    /// What was in the files at the start.
    first: Pem,
    current: RwLock<Arc<CertifiedKey>>,
}

impl Default for TlsConfig {
    fn default() -> Self {
        Self { certificate_file: None, key_file: None, reload_interval: Duration::from_secs(30) }
    }
}

impl TlsConfig {
    /// One file without the other is a mistake.
    ///
    /// # Errors
    /// Names the one that is missing.
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.reload_interval.is_zero() {
            return Err(ConfigError::invalid("tls.reload_interval", "must be longer than 0"));
        }
        match (&self.certificate_file, &self.key_file) {
            (Some(_), None) => Err(ConfigError::invalid("tls.key_file", "must be set with certificate_file")),
            (None, Some(_)) => Err(ConfigError::invalid("tls.certificate_file", "must be set with key_file")),
            _ => Ok(()),
        }
    }
}

impl ServerCertificate {
    /// The certificate of the settings; none without TLS.
    ///
    /// # Errors
    /// When a file cannot be read, or the two do not go together.
    pub fn load(config: &TlsConfig) -> Result<Option<Arc<Self>>, TlsError> {
        let (Some(certificate), Some(key)) = (&config.certificate_file, &config.key_file) else {
            return Ok(None);
        };
        let files = Files { certificate: certificate.clone(), key: key.clone() };
        let first = files.read()?;
        let current = RwLock::new(Arc::new(files.certified(&first)?));
        Ok(Some(Arc::new(Self { files, reload_interval: config.reload_interval, first, current })))
    }

    /// What a server offers that speaks `protocol` above TLS, such as `http/1.1`.
    pub fn server(self: &Arc<Self>, protocol: &str) -> Arc<ServerConfig> {
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("ring supports the default protocol versions")
            .with_no_client_auth()
            .with_cert_resolver(self.clone());
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        Arc::new(config)
    }

    /// Takes what is in the files whenever that changes, until a stop is requested, and says to `changed` whether it is used.
    /// What cannot be used is told once, and the certificate stays as it is.
    pub async fn watch(self: Arc<Self>, changed: impl Fn(bool), stop: Stop) {
        let mut seen = Ok(self.first.clone());
        loop {
            tokio::select! {
                () = tokio::time::sleep(self.reload_interval) => {}
                () = stop.requested() => return,
            }
            let files = self.files.clone();
            let Ok(found) = tokio::task::spawn_blocking(move || files.read()).await else { return };
            let found = found.map_err(|error| chain(&error));
            if found == seen {
                continue;
            }
            let outcome = found.clone().and_then(|pem| self.take(&pem).map_err(|error| chain(&error)));
            changed(outcome.is_ok());
            match outcome {
                Ok(()) => tracing::info!(file = %self.files.certificate.display(), "certificate changed"),
                Err(error) => {
                    tracing::warn!(error, "the changed certificate is not used, the one before stays");
                }
            }
            seen = found;
        }
    }

    fn take(&self, pem: &Pem) -> Result<(), TlsError> {
        let certified = Arc::new(self.files.certified(pem)?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = certified;
        Ok(())
    }
}

impl ResolvesServerCert for ServerCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.read().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

impl Files {
    fn read(&self) -> Result<Pem, TlsError> {
        Ok((read(&self.certificate, "tls.certificate_file")?, read(&self.key, "tls.key_file")?))
    }

    fn certified(&self, (chain, key): &Pem) -> Result<CertifiedKey, TlsError> {
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(chain)
            .collect::<Result<_, _>>()
            .map_err(|error| malformed(&self.certificate, "tls.certificate_file", &error))?;
        if chain.is_empty() {
            return Err(malformed(
                &self.certificate,
                "tls.certificate_file",
                &"there is no certificate in it",
            ));
        }
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|error| malformed(&self.key, "tls.key_file", &error))?;
        CertifiedKey::from_der(chain, key, &provider()).map_err(TlsError::Pair)
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn read(file: &Path, setting: &'static str) -> Result<Vec<u8>, TlsError> {
    std::fs::read(file).map_err(|error| TlsError::File {
        file: file.to_owned(),
        setting,
        reason: error.to_string(),
    })
}

fn malformed(file: &Path, setting: &'static str, error: &dyn std::fmt::Display) -> TlsError {
    TlsError::File { file: file.to_owned(), setting, reason: error.to_string() }
}

#[cfg(test)]
#[path = "tls_tests.rs"]
mod tests;
