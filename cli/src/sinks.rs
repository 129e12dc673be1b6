//! The sink workers as the command knows them: where each is, and which topics it owns.

use std::collections::BTreeMap;
use std::fmt;

use efd_schema::TopicSubname;
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// One sink worker. In a file it may be written as its address alone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SinkConfig {
    /// Address of its admin port.
    pub admin: String,
    /// Address of its gRPC port. Default port 9183 of the host of `admin`.
    pub grpc: Option<String>,
    /// SAL components whose topics it owns, as in its own settings. Default none: then `efd init` cannot tell.
    pub components: Vec<String>,
    /// Kafka topics that it owns besides, as in its own settings.
    pub topics: Vec<String>,
    /// Topics that it does not own nevertheless, as in its own settings.
    pub exclude: Vec<String>,
}

impl SinkConfig {
    /// It says what it owns.
    pub fn is_known(&self) -> bool {
        !self.components.is_empty() || !self.topics.is_empty()
    }

    /// Address of its gRPC port.
    pub fn grpc(&self) -> String {
        let (scheme, rest) = self.admin.split_once("://").unwrap_or(("http", &self.admin));
        let host = rest.rsplit_once(':').map_or(rest, |(host, _)| host);
        self.grpc.clone().unwrap_or_else(|| format!("{scheme}://{host}:9183"))
    }
}

/// Tells which workers own a topic, by the rules of the worker itself.
pub struct Owners(Vec<(String, efd_sink::Config)>);

impl Owners {
    /// Of these workers.
    pub fn new(sinks: &BTreeMap<String, SinkConfig>, topic_subname: &TopicSubname) -> Self {
        let worker = |(name, sink): (&String, &SinkConfig)| {
            let config = efd_sink::Config {
                components: sink.components.clone(),
                topics: sink.topics.clone(),
                exclude: sink.exclude.clone(),
                topic_subname: topic_subname.clone(),
                ..efd_sink::Config::default()
            };
            (name.clone(), config)
        };
        Self(sinks.iter().map(worker).collect())
    }

    /// The names of the workers that own a topic.
    pub fn of(&self, topic: &str) -> Vec<String> {
        self.0.iter().filter(|(_, config)| config.owns(topic)).map(|(name, _)| name.clone()).collect()
    }
}

impl<'de> Deserialize<'de> for SinkConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AddressOrSettings)
    }
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    admin: String,
    grpc: Option<String>,
    components: Vec<String>,
    topics: Vec<String>,
    exclude: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            admin: default_admin(),
            grpc: None,
            components: Vec::new(),
            topics: Vec::new(),
            exclude: Vec::new(),
        }
    }
}

/// The admin address of a worker on this machine.
pub fn default_admin() -> String {
    "http://localhost:9603".into()
}

struct AddressOrSettings;

impl<'de> Visitor<'de> for AddressOrSettings {
    type Value = SinkConfig;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the address of a sink's admin port, or its admin, grpc, components, topics and exclude")
    }

    fn visit_str<E>(self, address: &str) -> Result<SinkConfig, E> {
        Ok(SinkConfig { admin: address.to_owned(), ..SinkConfig::default() })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<SinkConfig, A::Error> {
        let Settings { admin, grpc, components, topics, exclude } =
            Settings::deserialize(MapAccessDeserializer::new(map))?;
        Ok(SinkConfig { admin, grpc, components, topics, exclude })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;

    fn sinks(yaml: &str) -> Result<BTreeMap<String, SinkConfig>, String> {
        let config = efd_service::parse::<Config>(yaml, "efd.yaml").map_err(|error| error.to_string())?;
        Ok(config.sinks)
    }

    #[test]
    fn an_address_alone_is_a_worker_that_does_not_say_what_it_owns() {
        let sinks = sinks("sinks: {main: \"http://sink:9603\"}").unwrap();
        assert_eq!(sinks["main"].admin, "http://sink:9603");
        assert!(!sinks["main"].is_known());
        assert_eq!(sinks["main"].grpc(), "http://sink:9183");
    }

    #[test]
    fn a_topic_may_have_one_owner_several_or_none() {
        let of = |exclude: &str| {
            let yaml = format!(
                "sinks:\n  a: {{admin: \"http://a:9603\", components: [MTM1M3], exclude: [{exclude}]}}\n  b: {{topics: \
                 [lsst.sal.MTM1M3.forces, '^lsst\\.sal\\.ESS\\.temp.*$']}}\n"
            );
            sinks(&yaml).unwrap()
        };
        assert_eq!(of("")["b"].admin, "http://localhost:9603");
        let owners = Owners::new(&of(""), &TopicSubname::default());
        assert_eq!(owners.of("lsst.sal.MTM1M3.forces"), ["a", "b"]);
        assert_eq!(owners.of("lsst.sal.MTM1M3.ackcmd"), ["a"]);
        assert_eq!(owners.of("lsst.sal.ESS.temperature"), ["b"]);
        assert!(owners.of("lsst.sal.MTM1M3TS.ackcmd").is_empty(), "names are exact");
        let split = Owners::new(&of("lsst.sal.MTM1M3.forces"), &TopicSubname::default());
        assert_eq!(split.of("lsst.sal.MTM1M3.forces"), ["b"]);
        assert_eq!(split.of("lsst.sal.MTM1M3.ackcmd"), ["a"]);
    }

    #[test]
    fn an_unknown_key_of_a_worker_is_refused() {
        let message = sinks("sinks:\n  main:\n    admn: x\n").unwrap_err();
        assert!(message.contains("admn"), "{message}");
    }

    #[test]
    fn what_is_printed_can_be_read_again() {
        let yaml = serde_saphyr::to_string(&Config::default()).unwrap();
        assert_eq!(sinks(&yaml).unwrap(), Config::default().sinks);
    }
}
