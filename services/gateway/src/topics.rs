//! Which topics there are, and what they are: measurements of InfluxDB and subjects of the schema registry.

use std::collections::BTreeMap;
use std::sync::Arc;

use efd_proto::query::v1::{Topic, TopicSummary};
use efd_schema::{RecordSchema, RegistryClient, RegistryErrorKind};

use crate::credentials::Caller;
use crate::error::QueryError;
use crate::influxdb::InfluxDb;
use crate::layout::Layout;

/// Kafka allows no longer name of a topic, and measurements are named like topics.
const MAX_NAME: usize = 249;

/// How the names of SAL topics begin.
const SAL: &str = "lsst.sal.";

/// How the names of a SAL topic's schemas end.
const VALUE: &str = "-value";

/// Finds topics.
#[derive(Debug, Clone)]
pub struct Topics {
    registry: RegistryClient,
    influxdb: InfluxDb,
    subnames: Subnames,
}

/// A topic with its latest schema.
#[derive(Debug, Clone)]
pub struct FoundTopic {
    /// Name.
    pub name: String,
    /// Where its fields stand in InfluxDB.
    pub layout: Layout,
    description: String,
    schema_id: u32,
    schema_version: u32,
    schema: Arc<str>,
}

/// Translates between topics, which are named as measurements, and subjects, which are named after Kafka topics (pure).
#[derive(Debug, Clone)]
struct Subnames {
    /// How Kafka topics of SAL begin, `lsst.<subname>.`.
    prefix: String,
}

impl Topics {
    /// Topics of one InfluxDB and one registry, whose SAL subjects carry `subname`.
    pub fn new(registry: RegistryClient, influxdb: InfluxDb, subname: &str) -> Self {
        Self { registry, influxdb, subnames: Subnames::new(subname) }
    }

    /// All topics that the caller may read, whose names begin with `prefix` and contain `part`, whatever its case, in the order of their names.
    ///
    /// # Errors
    /// When InfluxDB or the registry does not answer.
    pub async fn list(&self, prefix: &str, part: &str) -> Result<Vec<TopicSummary>, QueryError> {
        let caller = Caller::current()?;
        let (measurements, subjects) =
            tokio::try_join!(async { Ok::<_, QueryError>(self.influxdb.measurements().await?) }, async {
                self.registry.subjects().await.map_err(QueryError::Registry)
            })?;
        let mut topics = self.subnames.join(measurements, &subjects, prefix);
        let part = part.to_lowercase();
        topics.retain(|topic| caller.may_read(&topic.name) && topic.name.to_lowercase().contains(&part));
        Ok(topics)
    }

    /// The Kafka topic of a topic.
    pub fn kafka_topic(&self, name: &str) -> Option<String> {
        self.subnames.subject(name)?.strip_suffix(VALUE).map(str::to_owned)
    }

    /// The registry with the schemas.
    pub fn registry(&self) -> &RegistryClient {
        &self.registry
    }

    /// The topic of this name.
    ///
    /// # Errors
    /// `ForbiddenTopic` when the caller may not read it, `UnknownTopic` when the registry has no schema of it; near names are given.
    pub async fn find(&self, name: &str) -> Result<FoundTopic, QueryError> {
        if name.is_empty() || name.len() > MAX_NAME {
            let problem = format!("the name of a topic has 1 to {MAX_NAME} bytes, not {}", name.len());
            return Err(QueryError::InvalidArgument(problem));
        }
        let caller = Caller::current()?;
        caller.check_topic(name)?;
        let Some(subject) = self.subnames.subject(name) else {
            return Err(self.unknown(name, &caller).await);
        };
        let version = match self.registry.latest(&subject).await {
            Ok(version) => version,
            Err(error) if error.kind() == RegistryErrorKind::NotFound => {
                return Err(self.unknown(name, &caller).await);
            }
            Err(error) => return Err(QueryError::Registry(error)),
        };
        let schema = RecordSchema::parse(&version.schema)
            .map_err(|source| QueryError::Schema { topic: name.to_owned(), source })?;
        Ok(FoundTopic {
            name: name.to_owned(),
            layout: Layout::new(&schema),
            description: schema.description.unwrap_or_default(),
            schema_id: version.id,
            schema_version: version.version,
            schema: version.schema.into(),
        })
    }

    /// Why there is no such topic: data without schema, or a wrong name.
    async fn unknown(&self, name: &str, caller: &Caller) -> QueryError {
        let subjects = match self.registry.subjects().await {
            Ok(subjects) => subjects,
            Err(error) => return QueryError::Registry(error),
        };
        // The hint is not worth an error of its own.
        let measurements = self.influxdb.measurements().await.unwrap_or_default();
        let has_data = measurements.iter().any(|measurement| measurement == name);
        let hint = if let Some(subject) = self.subnames.subject(name).filter(|_| has_data) {
            format!(
                " with a schema: InfluxDB has data of it, but the registry has no subject {subject}; register its schema"
            )
        } else {
            let mut known = self.subnames.join(measurements, &subjects, "");
            known.retain(|topic| caller.may_read(&topic.name));
            near_topics(name, &known)
        };
        QueryError::UnknownTopic { topic: name.to_owned(), hint }
    }
}

/// Names are long and begin alike, so those of the same component are compared by their last part; only where none is near, whole
/// names are compared.
fn near_topics(name: &str, known: &[TopicSummary]) -> String {
    let component = name.rfind('.').map_or(0, |dot| dot + 1);
    let (head, tail) = name.split_at(component);
    let siblings = known.iter().filter_map(|topic| topic.name.strip_prefix(head));
    let near_tails = efd_sal::suggestions(tail, siblings);
    if near_tails.is_empty() {
        return efd_sal::hint(name, known.iter().map(|topic| topic.name.as_str()));
    }
    efd_sal::did_you_mean(&near_tails.iter().map(|tail| format!("{head}{tail}")).collect::<Vec<_>>())
}

impl FoundTopic {
    /// What is told of it.
    pub fn describe(&self) -> Topic {
        Topic {
            name: self.name.clone(),
            description: self.description.clone(),
            fields: self.layout.describe().collect(),
            schema_id: self.schema_id,
            schema_version: self.schema_version,
            schema: self.schema.to_string(),
        }
    }
}

impl Subnames {
    fn new(subname: &str) -> Self {
        Self { prefix: format!("lsst.{subname}.") }
    }

    /// The subject that has the schemas of a topic; none for the name of one of SAL's Kafka topics, which is no topic's.
    fn subject(&self, topic: &str) -> Option<String> {
        match topic.strip_prefix(SAL) {
            Some(rest) => Some(format!("{}{rest}{VALUE}", self.prefix)),
            None if topic.starts_with(&self.prefix) => None,
            None => Some(format!("{topic}{VALUE}")),
        }
    }

    /// The topic that a subject has the schemas of; none for a subject of keys, or of another naming.
    fn topic(&self, subject: &str) -> Option<String> {
        let topic = subject.strip_suffix(VALUE)?;
        match topic.strip_prefix(&self.prefix) {
            Some(rest) => Some(format!("{SAL}{rest}")),
            // It is SAL's under another subname, so its name here would mean another topic.
            None if topic.starts_with(SAL) => None,
            None => Some(topic.to_owned()),
        }
    }

    fn join(&self, measurements: Vec<String>, subjects: &[String], prefix: &str) -> Vec<TopicSummary> {
        let with_data = measurements.into_iter().map(|name| (name, true));
        let with_schema = subjects.iter().filter_map(|subject| Some((self.topic(subject)?, false)));
        let mut topics: BTreeMap<String, TopicSummary> = BTreeMap::new();
        for (name, is_measurement) in
            with_data.chain(with_schema).filter(|(name, _)| name.starts_with(prefix))
        {
            let topic = topics.entry(name).or_default();
            topic.has_data |= is_measurement;
            topic.has_schema |= !is_measurement;
        }
        topics.into_iter().map(|(name, topic)| TopicSummary { name, ..topic }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_is_named_as_its_measurement_and_found_by_its_kafka_topic() {
        let sal = Subnames::new("sal");
        assert_eq!(sal.subject("lsst.sal.X.y").as_deref(), Some("lsst.sal.X.y-value"));
        assert_eq!(sal.topic("lsst.sal.X.y-value").as_deref(), Some("lsst.sal.X.y"));
        let lab = Subnames::new("lab");
        assert_eq!(lab.subject("lsst.sal.X.y").as_deref(), Some("lsst.lab.X.y-value"));
        assert_eq!(lab.subject("lsst.lab.X.y"), None);
        assert_eq!(lab.subject("lsst.cp.z").as_deref(), Some("lsst.cp.z-value"));
        assert_eq!(lab.topic("lsst.lab.X.y-value").as_deref(), Some("lsst.sal.X.y"));
        assert_eq!(lab.topic("lsst.sal.X.y-value"), None);
        assert_eq!(lab.topic("lsst.cp.z-value").as_deref(), Some("lsst.cp.z"));
        assert_eq!(lab.topic("lsst.lab.X.y-key"), None);
    }

    #[test]
    fn near_topics_are_those_of_the_same_component_first() {
        let known = ["lsst.sal.ATCamera.vacuum", "lsst.sal.ATCamera.ats", "lsst.sal.MTCamera.vacuum"];
        let known = known.map(|name| TopicSummary { name: name.into(), ..TopicSummary::default() });
        assert_eq!(
            near_topics("lsst.sal.ATCamera.vacum", &known),
            "; did you mean lsst.sal.ATCamera.vacuum?"
        );
        let hint = near_topics("lsst.sal.ATCamra.vacuum", &known);
        assert!(hint.starts_with("; did you mean lsst.sal.ATCamera.vacuum,"), "{hint}");
        assert_eq!(near_topics("x", &known), "");
    }

    #[test]
    fn topics_are_what_either_side_knows_in_order() {
        let measurements = ["lsst.sal.X.b", "lsst.sal.X.a", "other"].map(str::to_owned).to_vec();
        let subjects = ["lsst.sal.X.c-value", "lsst.sal.X.b-value", "lsst.sal.X.b-key"].map(str::to_owned);
        let topics = Subnames::new("sal").join(measurements, &subjects, "lsst.sal.X.");
        let found: Vec<_> =
            topics.iter().map(|topic| (topic.name.as_str(), topic.has_data, topic.has_schema)).collect();
        let expected =
            [("lsst.sal.X.a", true, false), ("lsst.sal.X.b", true, true), ("lsst.sal.X.c", false, true)];
        assert_eq!(found, expected);
    }
}
