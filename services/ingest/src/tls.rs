//! TLS of the sources that listen on the network: one certificate for all of them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use efd_service::ConfigError;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde::{Deserialize, Serialize};

/// Certificate and key; both or none. Read once, at start.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsConfig {
    /// PEM file with the certificate and those that lead to its authority. None: no TLS.
    pub certificate_file: Option<PathBuf>,
    /// PEM file with its private key.
    pub key_file: Option<PathBuf>,
}

/// The texts of certificate and key.
pub type Pem = (Vec<u8>, Vec<u8>);

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

impl TlsConfig {
    /// One file without the other is a mistake.
    ///
    /// # Errors
    /// Names the one that is missing.
    pub fn check(&self) -> Result<(), ConfigError> {
        match (&self.certificate_file, &self.key_file) {
            (Some(_), None) => Err(ConfigError::invalid("tls.key_file", "must be set with certificate_file")),
            (None, Some(_)) => Err(ConfigError::invalid("tls.certificate_file", "must be set with key_file")),
            _ => Ok(()),
        }
    }

    /// The texts of certificate and key; none without TLS.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn pem(&self) -> Result<Option<Pem>, TlsError> {
        let (Some(certificate), Some(key)) = (&self.certificate_file, &self.key_file) else {
            return Ok(None);
        };
        Ok(Some((read(certificate, "tls.certificate_file")?, read(key, "tls.key_file")?)))
    }

    /// What a server offers, with the protocols above TLS, such as `http/1.1`; none without TLS.
    ///
    /// # Errors
    /// When a file cannot be read, or the two do not go together.
    pub fn server(&self, protocols: &[&str]) -> Result<Option<Arc<ServerConfig>>, TlsError> {
        let (Some((chain, key)), Some(certificate_file), Some(key_file)) =
            (self.pem()?, &self.certificate_file, &self.key_file)
        else {
            return Ok(None);
        };
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&chain)
            .collect::<Result<_, _>>()
            .map_err(|error| malformed(certificate_file, "tls.certificate_file", &error))?;
        let key = PrivateKeyDer::from_pem_slice(&key)
            .map_err(|error| malformed(key_file, "tls.key_file", &error))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
            .map_err(TlsError::Pair)?;
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        Ok(Some(Arc::new(config)))
    }
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
mod tests {
    use super::*;

    fn files(folder: &Path) -> TlsConfig {
        let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let config = TlsConfig {
            certificate_file: Some(folder.join("tls.crt")),
            key_file: Some(folder.join("tls.key")),
        };
        std::fs::write(folder.join("tls.crt"), pair.cert.pem()).unwrap();
        std::fs::write(folder.join("tls.key"), pair.signing_key.serialize_pem()).unwrap();
        config
    }

    #[test]
    fn certificate_and_key_make_a_server() {
        let folder = tempfile::tempdir().unwrap();
        let server = files(folder.path()).server(&["http/1.1"]).unwrap().unwrap();
        assert_eq!(server.alpn_protocols, [b"http/1.1"]);
        assert!(TlsConfig::default().server(&[]).unwrap().is_none());
    }

    #[test]
    fn what_cannot_be_used_is_refused_with_file_and_setting() {
        let folder = tempfile::tempdir().unwrap();
        let config = files(folder.path());
        std::fs::write(folder.path().join("tls.key"), "no key").unwrap();
        let message = config.server(&[]).unwrap_err().to_string();
        assert!(message.contains("tls.key_file") && message.contains("tls.key ("), "{message}");
        let other = tempfile::tempdir().unwrap();
        let mixed = TlsConfig { key_file: files(other.path()).key_file, ..files(folder.path()) };
        assert!(matches!(mixed.server(&[]).unwrap_err(), TlsError::Pair(_)));
        let half = TlsConfig { key_file: None, ..config };
        assert!(half.check().unwrap_err().to_string().contains("tls.key_file"));
    }
}
