//! One SAL topic and its names: in Kafka, in the registry, in InfluxDB.

use std::sync::Arc;

use crate::avro_file::FileSchema;
use crate::field::{Field, private_fields};
use crate::schema;

/// What a topic is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TopicKind {
    /// Asks a component to do something; its name begins with `command_`.
    Command,
    /// Says that something happened; its name begins with `logevent_`.
    Event,
    /// A sample of measured values.
    Telemetry,
    /// The answers to all commands of a component: `ackcmd`.
    Ack,
}

impl TopicKind {
    /// What a topic of this name is for; `ackcmd` aside, which no file defines.
    pub(crate) fn of(sal_name: &str) -> TopicKind {
        match sal_name.split_once('_') {
            Some(("command", _)) => TopicKind::Command,
            Some(("logevent", _)) => TopicKind::Event,
            _ => TopicKind::Telemetry,
        }
    }
}

/// One SAL topic of a component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    /// Component the topic belongs to, such as `MTM1M3`.
    pub component: Arc<str>,
    /// Name inside the component, such as `logevent_heartbeat`.
    pub sal_name: String,
    /// What it is for.
    pub kind: TopicKind,
    /// The component has instances, told apart by `salIndex`.
    pub indexed: bool,
    /// Text from the interface file, not trimmed; may span lines and be empty.
    pub description: String,
    /// The private fields, then those of the interface file in its order; the other way round where a camera's
    /// Avro file defines the topic.
    pub fields: Vec<Field>,
    /// The schema that a camera's Avro file gives; `None` where the schema is written from the fields.
    pub file_schema: Option<FileSchema>,
}

impl Topic {
    /// Puts the private fields before those of the interface file.
    pub(crate) fn assemble(component: &Arc<str>, indexed: bool, definition: Definition) -> Topic {
        let mut fields = private_fields(indexed);
        fields.extend(definition.fields);
        Topic {
            component: Arc::clone(component),
            sal_name: definition.sal_name,
            kind: definition.kind,
            indexed,
            description: definition.description,
            fields,
            file_schema: None,
        }
    }

    /// Kafka topic: `lsst.<subname>.<component>.<sal_name>`; `subname` is `sal` in production.
    pub fn kafka_name(&self, subname: &str) -> String {
        format!("lsst.{subname}.{}.{}", self.component, self.sal_name)
    }

    /// Subject of its schema in the registry: the Kafka topic and `-value`.
    pub fn subject(&self, subname: &str) -> String {
        format!("{}-value", self.kafka_name(subname))
    }

    /// Measurement in InfluxDB: namespace and name of the record, whatever the subname is.
    pub fn measurement(&self) -> String {
        format!("{}.{}", self.namespace(), self.sal_name)
    }

    pub(crate) fn namespace(&self) -> String {
        format!("lsst.sal.{}", self.component)
    }

    /// Key of its records, with the blanks that the Python publishers write; `""` for telemetry. For an
    /// indexed component an absent `index` counts as 0, the default of `salIndex`; for others it is ignored.
    pub fn key(&self, index: Option<i32>) -> String {
        let Topic { component, sal_name, .. } = self;
        if self.kind == TopicKind::Telemetry {
            return String::new();
        }
        if self.indexed {
            let index = index.unwrap_or_default();
            return format!(r#"{{ "name": "{component}", "index": {index}, "topic": "{sal_name}" }}"#);
        }
        format!(r#"{{ "name": "{component}", "topic": "{sal_name}" }}"#)
    }

    /// The Avro schema as SAL registers it: one line of ASCII, Python's separators.
    pub fn avro_schema(&self) -> String {
        match &self.file_schema {
            Some(file) => file.text().to_owned(),
            None => schema::one_line(self),
        }
    }

    /// The revision code that `private_revCode` carries: eight hexadecimal digits.
    pub fn rev_code(&self) -> String {
        match &self.file_schema {
            Some(file) => file.rev_code().to_owned(),
            None => schema::rev_code(self),
        }
    }

    /// Kafka keeps the last record of each key: true for events, so that late readers see the state.
    pub fn is_compacted(&self) -> bool {
        self.kind == TopicKind::Event
    }

    /// Partitions of the Kafka topic where telemetry shall have `telemetry`. All other kinds have one, because
    /// their order matters across publishers; 0 counts as 1.
    pub fn partitions(&self, telemetry: u16) -> u16 {
        match self.kind {
            TopicKind::Telemetry => telemetry.max(1),
            TopicKind::Command | TopicKind::Event | TopicKind::Ack => 1,
        }
    }
}

/// A topic as an interface file defines it: no private fields, and for a generic one no component yet.
#[derive(Debug, Clone)]
pub(crate) struct Definition {
    pub(crate) sal_name: String,
    pub(crate) kind: TopicKind,
    pub(crate) description: String,
    pub(crate) fields: Vec<Field>,
}
