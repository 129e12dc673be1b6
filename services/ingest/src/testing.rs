//! Topics for the tests of this crate, made by hand so that they do not depend on any interface file.

use std::sync::Arc;

use efd_sal::{Field, FieldType, Topic, TopicKind};

use crate::sample::SampleTopic;

/// `ATCamera.logevent_heartbeat`.
pub(crate) fn heartbeat() -> Topic {
    topic("ATCamera", "logevent_heartbeat", vec![field("heartbeat", FieldType::Boolean, 1)])
}

/// `Test.arrays`: ten arrays of five elements.
pub(crate) fn arrays() -> Topic {
    let types = [
        ("boolean0", FieldType::Boolean),
        ("byte0", FieldType::Int),
        ("short0", FieldType::Int),
        ("int0", FieldType::Int),
        ("long0", FieldType::Int),
        ("longLong0", FieldType::Long),
        ("unsignedShort0", FieldType::Int),
        ("unsignedInt0", FieldType::Long),
        ("float0", FieldType::Float),
        ("double0", FieldType::Double),
    ];
    topic("Test", "arrays", types.map(|(name, ty)| field(name, ty, 5)).to_vec())
}

/// `Test.scalars`: one field of each kind.
pub(crate) fn scalars() -> Topic {
    let types = [
        ("boolean0", FieldType::Boolean),
        ("int0", FieldType::Int),
        ("longLong0", FieldType::Long),
        ("float0", FieldType::Float),
        ("double0", FieldType::Double),
        ("string0", FieldType::String),
    ];
    topic("Test", "scalars", types.map(|(name, ty)| field(name, ty, 1)).to_vec())
}

/// A topic of `component`; `Test` is indexed, the others are not.
pub(crate) fn topic(component: &str, sal_name: &str, fields: Vec<Field>) -> Topic {
    let indexed = component == "Test";
    let private = [
        ("salIndex", FieldType::Int),
        ("private_sndStamp", FieldType::Double),
        ("private_rcvStamp", FieldType::Double),
        ("private_efdStamp", FieldType::Double),
        ("private_kafkaStamp", FieldType::Double),
        ("private_seqNum", FieldType::Int),
        ("private_revCode", FieldType::String),
        ("private_identity", FieldType::String),
        ("private_origin", FieldType::Int),
    ];
    let private = private
        .into_iter()
        .skip(usize::from(!indexed))
        .map(|(name, ty)| Field { is_private: true, ..field(name, ty, 1) });
    let kind = match sal_name.split_once('_') {
        Some(("logevent", _)) => TopicKind::Event,
        Some(("command", _)) => TopicKind::Command,
        _ => TopicKind::Telemetry,
    };
    Topic {
        component: component.into(),
        sal_name: sal_name.to_owned(),
        kind,
        indexed,
        description: String::new(),
        fields: private.chain(fields).collect(),
        file_schema: None,
    }
}

/// `ackcmd` of a component.
pub(crate) fn ackcmd(component: &str) -> Topic {
    let fields = [
        ("ack", FieldType::Int),
        ("error", FieldType::Int),
        ("result", FieldType::String),
        ("identity", FieldType::String),
        ("origin", FieldType::Int),
        ("cmdtype", FieldType::Int),
        ("timeout", FieldType::Double),
    ];
    let fields = fields.map(|(name, ty)| field(name, ty, 1)).to_vec();
    Topic { kind: TopicKind::Ack, ..topic(component, "ackcmd", fields) }
}

/// A field that is not private, unitless.
pub(crate) fn field(name: &str, ty: FieldType, count: usize) -> Field {
    Field::new(name, ty, count)
}

/// The topic as if it were the only one, with schema id 7.
pub(crate) fn sample_topic(topic: Topic) -> Arc<SampleTopic> {
    Arc::new(SampleTopic::new(0, 0, topic, "sal", 7))
}

/// Several topics as one list.
pub(crate) fn sample_topics(topics: impl IntoIterator<Item = Topic>) -> Vec<Arc<SampleTopic>> {
    let mut components: Vec<Arc<str>> = Vec::new();
    let mut list = Vec::new();
    for (id, topic) in topics.into_iter().enumerate() {
        if !components.contains(&topic.component) {
            components.push(topic.component.clone());
        }
        list.push(Arc::new(SampleTopic::new(id, components.len() - 1, topic, "sal", 7)));
    }
    list
}
