//! The topics that can be published, by their names, and their descriptions.

use std::collections::HashMap;
use std::sync::Arc;

use efd_proto::ingest::v1 as proto;
use efd_sal::{Field, FieldType};

use crate::grpc::refusal::{Refusal, quoted};
use crate::sample::SampleTopic;

/// All topics; clones share them.
#[derive(Debug, Clone)]
pub struct Catalogue {
    topics: Arc<[Arc<SampleTopic>]>,
    /// Their names, in their order.
    names: Arc<[String]>,
    by_name: Arc<HashMap<String, usize>>,
}

impl Catalogue {
    /// A catalogue of these topics, which keeps their order.
    pub fn new(topics: &[Arc<SampleTopic>]) -> Self {
        let names: Arc<[String]> = topics.iter().map(|topic| topic.topic.measurement()).collect();
        let by_name = names.iter().cloned().enumerate().map(|(place, name)| (name, place)).collect();
        Self { topics: topics.into(), names, by_name: Arc::new(by_name) }
    }

    /// The topics in their order.
    pub fn topics(&self) -> &[Arc<SampleTopic>] {
        &self.topics
    }

    /// The topic of a name, `lsst.sal.<Component>.<sal_name>`.
    ///
    /// # Errors
    /// When there is none; the refusal offers near names.
    pub fn find(&self, name: &str) -> Result<&Arc<SampleTopic>, Refusal> {
        let place = self.by_name.get(name);
        place.and_then(|place| self.topics.get(*place)).ok_or_else(|| self.unknown(name))
    }

    /// The topics that names stand for, each once: one name is one topic, or with a dot at its end all that begin with it.
    ///
    /// # Errors
    /// A name that stands for none.
    pub fn matching(&self, names: &[String]) -> Result<Vec<Arc<SampleTopic>>, Refusal> {
        let mut found: Vec<Arc<SampleTopic>> = Vec::new();
        let mut is_found = vec![false; self.topics.len()];
        for name in names {
            let is_meant = |other: &String| other == name || name.ends_with('.') && other.starts_with(name);
            let places = self.names.iter().enumerate().filter(|(_, other)| is_meant(other));
            let mut is_known = false;
            for (place, _) in places {
                is_known = true;
                let is_new =
                    is_found.get_mut(place).is_some_and(|is_found| !std::mem::replace(is_found, true));
                found.extend(self.topics.get(place).filter(|_| is_new).cloned());
            }
            if !is_known {
                return Err(self.unknown(name));
            }
        }
        Ok(found)
    }

    fn unknown(&self, name: &str) -> Refusal {
        let name = quoted(name);
        // Only topics of the component, and where there are none the components: all names of a release would take too
        // long to compare for a client that goes on sending them.
        let component = name.rsplit_once('.').map_or(name, |(component, _)| component);
        let prefix = format!("{component}.");
        let names = self.names.iter().map(String::as_str);
        let siblings: Vec<&str> = names.clone().filter(|name| name.starts_with(&prefix)).collect();
        let hint = if siblings.is_empty() {
            let mut components: Vec<&str> =
                names.filter_map(|name| name.rsplit_once('.').map(|(component, _)| component)).collect();
            components.sort_unstable();
            components.dedup();
            efd_sal::hint(component, components)
        } else {
            efd_sal::hint(name, siblings)
        };
        Refusal::UnknownTopic { topic: name.to_owned(), hint }
    }
}

/// A topic as clients see it.
pub fn describe(topic: &SampleTopic) -> proto::Topic {
    let interface = &topic.topic;
    proto::Topic {
        name: interface.measurement(),
        kafka_topic: topic.kafka_name.clone(),
        schema_id: topic.plan.schema_id(),
        rev_code: topic.rev_code.clone(),
        description: interface.description.clone(),
        is_indexed: interface.indexed,
        fields: interface.fields.iter().map(describe_field).collect(),
    }
}

fn describe_field(field: &Field) -> proto::Field {
    let ty = match field.ty {
        FieldType::Boolean => proto::FieldType::Boolean,
        FieldType::Int => proto::FieldType::Int,
        FieldType::Long => proto::FieldType::Long,
        FieldType::Float => proto::FieldType::Float,
        FieldType::Double => proto::FieldType::Double,
        FieldType::String => proto::FieldType::String,
    };
    let items = field.enumeration.iter();
    proto::Field {
        name: field.name.clone(),
        r#type: ty.into(),
        array_length: field.is_array().then(|| u32::try_from(field.count).unwrap_or(u32::MAX)),
        unit: field.units.clone(),
        description: field.description.clone(),
        is_private: field.is_private,
        is_nullable: field.null.is_some(),
        minimum: field.range.as_ref().map(|range| *range.start()),
        maximum: field.range.as_ref().map(|range| *range.end()),
        enumeration: items
            .map(|item| proto::EnumItem { name: item.name.clone(), value: item.value })
            .collect(),
    }
}
