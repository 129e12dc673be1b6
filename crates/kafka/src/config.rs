//! Settings of a Kafka client, under librdkafka's own names with dots turned to underscores.

use std::collections::BTreeMap;

use efd_service::{ConfigError, Env, Secret};
use rdkafka::ClientConfig;
use serde::{Deserialize, Deserializer, Serialize, de};

use crate::{QuietContext, Told};

/// Where a Kafka cluster is and how to authenticate to it.
///
/// Unset fields are filled in from the names that users of SAL know (`LSST_KAFKA_BROKER_ADDR`,
/// `LSST_KAFKA_SECURITY_*`), then from the defaults given here.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KafkaConfig {
    /// Brokers, `host:port`, comma separated. Default `localhost:9092`.
    pub bootstrap_servers: Option<String>,
    /// `PLAINTEXT`, `SSL`, `SASL_PLAINTEXT` or `SASL_SSL`. Default `PLAINTEXT`, with a user name `SASL_PLAINTEXT`.
    pub security_protocol: Option<String>,
    /// `SCRAM-SHA-512`, `SCRAM-SHA-256` or `PLAIN`. Default `SCRAM-SHA-512` when a user name is set.
    pub sasl_mechanism: Option<String>,
    /// User name; none means no authentication.
    pub sasl_username: Option<String>,
    /// Password; only from the environment (`EFD_KAFKA_SASL_PASSWORD` or `EFD_KAFKA_SASL_PASSWORD_FILE`).
    pub sasl_password: Secret,
    /// File with the certificate authorities that the brokers' certificates are checked against.
    pub ssl_ca_location: Option<String>,
    /// Any further librdkafka setting but a secret, dots written as underscores, for example `fetch_max_bytes: "1000000"`.
    #[serde(deserialize_with = "options")]
    pub options: BTreeMap<String, String>,
    /// When the last refusal was told; no setting, but what all clients of one service share.
    #[serde(skip)]
    pub told: Told,
}

impl KafkaConfig {
    /// The brokers to ask first.
    pub fn bootstrap_servers(&self) -> &str {
        self.bootstrap_servers.as_deref().unwrap_or("localhost:9092")
    }

    /// Lets `EFD_KAFKA_*` override the file and `LSST_KAFKA_*` fill in what both left unset.
    ///
    /// # Errors
    /// When a secret's file cannot be read, or what is needed to authenticate is not there.
    pub fn overlay(&mut self, env: &Env) -> Result<(), ConfigError> {
        pick(&mut self.bootstrap_servers, env, "EFD_KAFKA_BOOTSTRAP_SERVERS", "LSST_KAFKA_BROKER_ADDR");
        pick(&mut self.sasl_username, env, "EFD_KAFKA_SASL_USERNAME", "LSST_KAFKA_SECURITY_USERNAME");
        // As SAL does, which looks at these two only when there is a user.
        let lsst = |name| if self.sasl_username.is_some() { name } else { "" };
        let (protocol, mechanism) =
            (lsst("LSST_KAFKA_SECURITY_PROTOCOL"), lsst("LSST_KAFKA_SECURITY_MECHANISM"));
        pick(&mut self.security_protocol, env, "EFD_KAFKA_SECURITY_PROTOCOL", protocol);
        pick(&mut self.sasl_mechanism, env, "EFD_KAFKA_SASL_MECHANISM", mechanism);
        if let Some(file) = env.get("EFD_KAFKA_SSL_CA_LOCATION") {
            self.ssl_ca_location = Some(file.to_owned());
        }
        for name in ["EFD_KAFKA_SASL_PASSWORD", "LSST_KAFKA_SECURITY_PASSWORD"] {
            if self.sasl_password.is_empty()
                && let Some(secret) = env.secret(name)?
            {
                self.sasl_password = secret;
            }
        }
        self.check_credentials()
    }

    /// librdkafka would say that it has no GSSAPI, or nothing before the first connection.
    fn check_credentials(&self) -> Result<(), ConfigError> {
        let protocol = self.protocol().unwrap_or_default();
        let is_sasl = protocol.to_ascii_uppercase().starts_with("SASL_");
        let by_hand = self.options.keys().any(|key| key.starts_with("sasl"));
        if is_sasl && self.sasl_username.is_none() && !by_hand {
            let problem = format!("must be set, because kafka.security_protocol is {protocol}");
            return Err(ConfigError::invalid("kafka.sasl_username", problem));
        }
        if let Some(user) = &self.sasl_username
            && self.sasl_password.is_empty()
            && !by_hand
        {
            let problem = format!("must hold the password of kafka.sasl_username {user}");
            return Err(ConfigError::invalid("EFD_KAFKA_SASL_PASSWORD", problem));
        }
        Ok(())
    }

    fn protocol(&self) -> Option<&str> {
        self.security_protocol.as_deref().or(self.sasl_username.as_ref().map(|_| "SASL_PLAINTEXT"))
    }

    /// The context of a client with these settings.
    pub fn context(&self) -> QuietContext {
        QuietContext::new(self.sasl_username.as_deref(), self.told.clone())
    }

    /// A librdkafka configuration with these settings and `client.id` set; the caller adds what its role needs.
    pub fn client(&self, client_id: &str) -> ClientConfig {
        let mut client = ClientConfig::new();
        client.set("bootstrap.servers", self.bootstrap_servers()).set("client.id", client_id);
        // Default 10 s; a broker that comes back is found sooner.
        client.set("reconnect.backoff.max.ms", "2000");
        if let Some(protocol) = self.protocol() {
            client.set("security.protocol", protocol);
        }
        if let Some(user) = &self.sasl_username {
            client.set("sasl.mechanism", self.sasl_mechanism.as_deref().unwrap_or("SCRAM-SHA-512"));
            client.set("sasl.username", user).set("sasl.password", self.sasl_password.expose());
        }
        if let Some(ca) = &self.ssl_ca_location {
            client.set("ssl.ca.location", ca);
        }
        for (name, value) in &self.options {
            client.set(name.replace('_', "."), value);
        }
        client
    }
}

/// Refuses secrets, which would be printed with the other settings.
fn options<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    let options: BTreeMap<String, String> = BTreeMap::deserialize(deserializer)?;
    let is_secret = |name: &&String| {
        let name = name.replace('.', "_");
        ["password", "passphrase", "secret", "key_pem"].iter().any(|part| name.contains(part))
    };
    match options.keys().find(is_secret) {
        Some(name) => Err(de::Error::custom(format!("{name} is a secret, which no settings file may hold"))),
        None => Ok(options),
    }
}

/// `first` overrides what the file says; `fallback` only fills in.
fn pick(setting: &mut Option<String>, env: &Env, first: &str, fallback: &str) {
    if let Some(value) = env.get(first) {
        *setting = Some(value.to_owned());
    } else if setting.is_none() {
        *setting = env.get(fallback).map(str::to_owned);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_environment_overrides_the_file_and_lsst_names_only_fill_in() {
        let env = Env::from_pairs([
            ("EFD_KAFKA_BOOTSTRAP_SERVERS", "a:1"),
            ("LSST_KAFKA_BROKER_ADDR", "b:2"),
            ("LSST_KAFKA_SECURITY_USERNAME", "ts-salkafka"),
            ("LSST_KAFKA_SECURITY_PASSWORD", "pw"),
        ]);
        let mut config = KafkaConfig {
            bootstrap_servers: Some("file:9".into()),
            sasl_username: Some("from-file".into()),
            ..KafkaConfig::default()
        };
        config.overlay(&env).unwrap();
        assert_eq!(config.bootstrap_servers(), "a:1");
        let client = config.client("test");
        assert_eq!(client.get("sasl.username"), Some("from-file"));
        assert_eq!(client.get("sasl.password"), Some("pw"));
        assert_eq!(client.get("sasl.mechanism"), Some("SCRAM-SHA-512"));
        assert_eq!(client.get("security.protocol"), Some("SASL_PLAINTEXT"));
        assert!(!format!("{config:?}").contains("pw"));
    }

    #[test]
    fn credentials_that_are_not_whole_are_refused_by_name() {
        let cases = [
            (vec![("EFD_KAFKA_SECURITY_PROTOCOL", "SASL_SSL")], "kafka.sasl_username"),
            (vec![("EFD_KAFKA_SASL_USERNAME", "efd")], "EFD_KAFKA_SASL_PASSWORD"),
        ];
        for (env, setting) in cases {
            let error = KafkaConfig::default().overlay(&Env::from_pairs(env)).unwrap_err();
            assert!(error.to_string().contains(setting), "{error}");
        }
        let mut config = KafkaConfig { security_protocol: Some("sasl_ssl".into()), ..KafkaConfig::default() };
        config.options.insert("sasl_mechanism".into(), "OAUTHBEARER".into());
        config.overlay(&Env::default()).unwrap();
        // SAL's names without a user mean no security.
        let mut config = KafkaConfig::default();
        config.overlay(&Env::from_pairs([("LSST_KAFKA_SECURITY_PROTOCOL", "SASL_PLAINTEXT")])).unwrap();
        assert_eq!(config.client("x").get("security.protocol"), None);
        let tls = [("EFD_KAFKA_SECURITY_PROTOCOL", "SSL"), ("EFD_KAFKA_SSL_CA_LOCATION", "/ca.pem")];
        let mut config = KafkaConfig::default();
        config.overlay(&Env::from_pairs(tls)).unwrap();
        assert_eq!(config.client("x").get("ssl.ca.location"), Some("/ca.pem"));
    }

    #[test]
    fn a_secret_among_the_options_is_refused_by_name() {
        for name in ["sasl_password", "ssl.key.password", "ssl_key_pem", "sasl_oauthbearer_client_secret"] {
            let error = serde_json::from_value::<KafkaConfig>(json!({"options": {name: "pw"}})).unwrap_err();
            assert!(error.to_string().starts_with(name), "{error}");
        }
        let options = json!({"options": {"ssl_key_location": "/tls/key"}});
        serde_json::from_value::<KafkaConfig>(options).unwrap();
    }

    #[test]
    fn options_reach_librdkafka_with_dots() {
        let mut config = KafkaConfig::default();
        config.options.insert("fetch_max_bytes".into(), "1000".into());
        assert_eq!(config.client("x").get("fetch.max.bytes"), Some("1000"));
        assert_eq!(config.client("x").get("bootstrap.servers"), Some("localhost:9092"));
    }
}
