//! What a broker is told at its start: addresses, and what it demands of its clients.

use std::path::{Path, PathBuf};

use efd_kafka::KafkaConfig;
use efd_service::Secret;

/// Name under which the broker talks to itself where clients have to authenticate, and its password; nobody else can
/// reach the loopback interface.
const BROKER_USER: (&str, &str) = ("efd-broker", "efd-broker-password");

/// What the broker demands of its clients: SASL with SCRAM-SHA-512, over TLS or not.
#[derive(Debug, Clone)]
pub struct Security {
    /// The user that clients are.
    pub user: String,
    /// Its password.
    pub password: Secret,
    /// Certificates; none means no TLS.
    pub tls: Option<Certificates>,
}

/// Files in PEM form.
#[derive(Debug, Clone)]
pub struct Certificates {
    /// Private key (PKCS #8) and certificate of the broker, for `127.0.0.1`.
    pub keystore: PathBuf,
    /// The authority that signed it.
    pub authority: PathBuf,
}

impl Security {
    /// The protocol by Kafka's name.
    fn protocol(&self) -> &'static str {
        if self.tls.is_some() { "SASL_SSL" } else { "SASL_PLAINTEXT" }
    }

    /// Adds to a client's settings what this broker demands.
    pub fn apply(&self, config: &mut KafkaConfig) {
        config.security_protocol = Some(self.protocol().to_owned());
        config.sasl_mechanism = Some("SCRAM-SHA-512".to_owned());
        config.sasl_username = Some(self.user.clone());
        config.sasl_password = self.password.clone();
        let authority = self.tls.as_ref().map(|files| files.authority.to_string_lossy().into_owned());
        config.ssl_ca_location = authority;
    }

    /// Arguments of the storage tool that create the users.
    pub fn format_arguments(&self) -> Vec<String> {
        let (user, password) = BROKER_USER;
        [(self.user.as_str(), self.password.expose()), (user, password)]
            .into_iter()
            .flat_map(|user| ["--add-scram".to_owned(), scram(user)])
            .collect()
    }

    /// Settings of Kafka's own tools, as the broker's user.
    pub fn tool_properties(&self) -> String {
        let tls = self.tls.as_ref().map(truststore).unwrap_or_default();
        format!(
            "security.protocol={}
sasl.mechanism=SCRAM-SHA-512
sasl.jaas.config={}
{tls}",
            self.protocol(),
            login()
        )
    }

    fn broker_properties(&self) -> String {
        let tls = self.tls.as_ref().map_or_else(String::new, |files| {
            format!(
                "ssl.keystore.type=PEM\nssl.keystore.location={}\n{}",
                files.keystore.display(),
                truststore(files)
            )
        });
        format!(
            "sasl.enabled.mechanisms=SCRAM-SHA-512
sasl.mechanism.inter.broker.protocol=SCRAM-SHA-512
listener.name.client.scram-sha-512.sasl.jaas.config={}
{tls}",
            login()
        )
    }
}

/// A user as Kafka's tools take one.
fn scram((user, password): (&str, &str)) -> String {
    format!("SCRAM-SHA-512=[name={user},password={password}]")
}

fn login() -> String {
    let (user, password) = BROKER_USER;
    format!(
        "org.apache.kafka.common.security.scram.ScramLoginModule required username=\"{user}\" password=\"{password}\";"
    )
}

fn truststore(files: &Certificates) -> String {
    format!("ssl.truststore.type=PEM\nssl.truststore.location={}\n", files.authority.display())
}

/// The broker's settings: clients connect to `port`, the controller to itself.
pub fn server_properties(
    folder: &Path,
    (port, controller): (u16, u16),
    security: Option<&Security>,
) -> String {
    let data = folder.join("data");
    let protocol = security.map_or("PLAINTEXT", Security::protocol);
    let demands = security.map(Security::broker_properties).unwrap_or_default();
    format!(
        "process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
controller.listener.names=CONTROLLER
listeners=CLIENT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=CLIENT://127.0.0.1:{port}
inter.broker.listener.name=CLIENT
listener.security.protocol.map=CONTROLLER:PLAINTEXT,CLIENT:{protocol}
{demands}log.dirs={}
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
group.initial.rebalance.delay.ms=0
",
        data.display()
    )
}
