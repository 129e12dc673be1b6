//! What Kafka demands of its clients in a test, and how services and commands learn what to say.

use std::path::Path;

use efd::servers::{Certificates, Security};
use efd_service::Secret;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};

/// The user that all clients of a test are.
pub const USER: &str = "efd-test";
/// Its password at the broker.
pub const PASSWORD: &str = "right-password";

/// What Kafka demands of its clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protection {
    /// Nothing.
    None,
    /// SASL with SCRAM-SHA-512.
    Scram,
    /// The same over TLS, with a certificate that only the test's own authority has signed.
    ScramOverTls,
}

/// How services and commands learn where Kafka is and who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// By the settings file, but for the password.
    BySettings,
    /// By the environment under our names alone, the password in a file.
    ByEfdNames,
    /// By the environment under the names that users of SAL know, alone; there is none for an authority.
    ByLsstNames,
}

impl Protection {
    /// What the broker is started with; certificates are made in `folder`.
    pub(crate) fn security(self, folder: &Path) -> anyhow::Result<Option<Security>> {
        let tls = match self {
            Self::None => return Ok(None),
            Self::Scram => None,
            Self::ScramOverTls => Some(certificates(folder)?),
        };
        Ok(Some(Security { user: USER.into(), password: Secret::from(PASSWORD), tls }))
    }

    fn protocol(self) -> &'static str {
        match self {
            Self::None => "PLAINTEXT",
            Self::Scram => "SASL_PLAINTEXT",
            Self::ScramOverTls => "SASL_SSL",
        }
    }

    /// The part `kafka` of a settings file.
    pub(crate) fn settings(self, told: Told, address: &str, folder: &Path) -> Value {
        match (told, self) {
            (Told::BySettings, Self::None) => json!({"bootstrap_servers": address}),
            (Told::BySettings, _) => {
                let authority = (self == Self::ScramOverTls).then(|| folder.join(AUTHORITY));
                json!({
                    "bootstrap_servers": address,
                    "security_protocol": self.protocol(),
                    "sasl_mechanism": "SCRAM-SHA-512",
                    "sasl_username": USER,
                    "ssl_ca_location": authority,
                })
            }
            _ => json!({}),
        }
    }

    /// What the environment says; `password` may be another than the broker's.
    pub(crate) fn environment(
        self,
        told: Told,
        address: &str,
        (password, folder): (&str, &Path),
    ) -> Vec<(&'static str, String)> {
        let path = |name: &str| folder.join(name).to_string_lossy().into_owned();
        match told {
            Told::BySettings if self == Self::None => vec![],
            Told::BySettings => vec![("EFD_KAFKA_SASL_PASSWORD", password.to_owned())],
            Told::ByEfdNames => vec![
                ("EFD_KAFKA_BOOTSTRAP_SERVERS", address.to_owned()),
                ("EFD_KAFKA_SECURITY_PROTOCOL", self.protocol().to_owned()),
                ("EFD_KAFKA_SASL_MECHANISM", "SCRAM-SHA-512".to_owned()),
                ("EFD_KAFKA_SASL_USERNAME", USER.to_owned()),
                ("EFD_KAFKA_SASL_PASSWORD_FILE", path(PASSWORD_FILE)),
                ("EFD_KAFKA_SSL_CA_LOCATION", path(AUTHORITY)),
            ],
            Told::ByLsstNames => vec![
                ("LSST_KAFKA_BROKER_ADDR", address.to_owned()),
                ("LSST_KAFKA_SECURITY_PROTOCOL", self.protocol().to_owned()),
                ("LSST_KAFKA_SECURITY_MECHANISM", "SCRAM-SHA-512".to_owned()),
                ("LSST_KAFKA_SECURITY_USERNAME", USER.to_owned()),
                ("LSST_KAFKA_SECURITY_PASSWORD", password.to_owned()),
            ],
        }
    }
}

/// File of the authority in the test's folder.
const AUTHORITY: &str = "authority.pem";
/// File of the password that services and commands are told.
const PASSWORD_FILE: &str = "kafka-password";

/// Writes the file of the password, as a mounted secret has it.
pub(crate) fn write_password(folder: &Path, password: &str) -> std::io::Result<()> {
    std::fs::write(folder.join(PASSWORD_FILE), format!("{password}\n"))
}

/// Makes an authority, and a certificate of its for the loopback interface, which stands in one file with its key.
///
/// # Errors
/// When the files cannot be written.
pub fn certificates(folder: &Path) -> anyhow::Result<Certificates> {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // With the same name as the broker's, that certificate would look as if it had signed itself.
    authority.distinguished_name.push(DnType::CommonName, "efd test authority");
    let authority_key = KeyPair::generate()?;
    let authority_pem = authority.self_signed(&authority_key)?.pem();
    let issuer = Issuer::new(authority, authority_key);
    let key = KeyPair::generate()?;
    let broker = CertificateParams::new(["127.0.0.1".to_owned(), "localhost".to_owned()])?;
    let signed = broker.signed_by(&key, &issuer)?;
    let files = Certificates { keystore: folder.join("broker.pem"), authority: folder.join(AUTHORITY) };
    std::fs::write(&files.keystore, format!("{}{}", key.serialize_pem(), signed.pem()))?;
    std::fs::write(&files.authority, authority_pem)?;
    Ok(files)
}
