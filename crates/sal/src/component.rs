//! A component with all its topics.

use std::collections::HashSet;
use std::sync::Arc;

use crate::avro_file::AvroFile;
use crate::enumeration::{Enumeration, read_shared};
use crate::error::InterfaceError;
use crate::field::ack_fields;
use crate::generics::{ExpandError, Generics};
use crate::subsystems::Subsystem;
use crate::topic::{Definition, Topic, TopicKind};
use crate::topic_file::{TopicSet, each_topic, read_topic};
use crate::xml::{XmlFile, all_text, elements};

/// The topic that answers the commands of a component; it is in no interface file.
const ACKCMD: &str = "ackcmd";

/// One component of the control system, a CSC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Component {
    /// Name, such as `MTM1M3`.
    pub name: Arc<str>,
    /// Text from the list of components, not trimmed; may be empty.
    pub description: String,
    /// It has instances, told apart by `salIndex`.
    pub indexed: bool,
    /// Its topics in SAL's order: generic ones as the list of components orders them, then its own
    /// commands, events and telemetry in the order of their files, then `ackcmd`, then those of a camera's Avro
    /// files by name. An Avro file takes the place of a topic of the same name.
    pub topics: Vec<Topic>,
    /// Enumerations that its topics share, in the order of the files.
    pub enumerations: Vec<Enumeration>,
}

impl Component {
    /// The topic of that name, such as `logevent_heartbeat`.
    pub fn topic(&self, sal_name: &str) -> Option<&Topic> {
        self.topics.iter().find(|topic| topic.sal_name == sal_name)
    }
}

/// Collects the topics of one component, in order, and refuses a name that comes twice.
pub(crate) struct ComponentBuilder<'a> {
    subsystem: &'a Subsystem,
    component: Component,
    taken: HashSet<String>,
}

impl<'a> ComponentBuilder<'a> {
    /// Begins with the generic topics.
    pub(crate) fn new(subsystem: &'a Subsystem, generics: &Generics) -> Result<Self, InterfaceError> {
        let component = Component {
            name: Arc::from(subsystem.name.as_str()),
            description: subsystem.description.clone(),
            indexed: subsystem.indexed,
            topics: Vec::new(),
            enumerations: Vec::new(),
        };
        // An interface file cannot define ackcmd: SAL does.
        let taken = HashSet::from([ACKCMD.to_owned()]);
        let mut builder = ComponentBuilder { subsystem, component, taken };
        let added = generics.expand(&subsystem.generics).map_err(|error| builder.generics_error(error))?;
        for definition in added {
            builder.taken.insert(definition.sal_name.clone());
            builder.push(definition.clone());
        }
        Ok(builder)
    }

    /// Adds the topics of one of the component's files.
    pub(crate) fn add_file(&mut self, name: &str, text: &str, set: TopicSet) -> Result<(), InterfaceError> {
        let file = XmlFile::parse(name, text)?;
        let root = file.root(&[set.set])?;
        let shared = elements(root).filter(|element| element.tag_name().name() == "Enumeration");
        self.component.enumerations.extend(shared.filter_map(all_text).map(|text| read_shared(&text)));
        each_topic(&file, root, set, |element| {
            let definition = read_topic(&file, element, set, self.subsystem.indexed)?;
            if !self.taken.insert(definition.sal_name.clone()) {
                return Err(InterfaceError::DuplicateTopic {
                    at: file.place(element),
                    component: self.subsystem.name.clone(),
                    topic: definition.sal_name,
                });
            }
            self.push(definition);
            Ok(())
        })
    }

    /// Adds `ackcmd`, which comes behind the topics of all XML files.
    pub(crate) fn add_ackcmd(&mut self) {
        self.push(Definition {
            sal_name: ACKCMD.to_owned(),
            kind: TopicKind::Ack,
            description: "Command acknowledgement".to_owned(),
            fields: ack_fields(),
        });
    }

    /// Adds the topic of an Avro file, in place of one of the same name if there is one.
    pub(crate) fn add_avro_file(&mut self, file: &AvroFile<'_>) -> Result<(), InterfaceError> {
        let topic = file.topic(&self.component.name, self.component.indexed)?;
        match self.component.topics.iter_mut().find(|known| known.sal_name == topic.sal_name) {
            Some(known) => *known = topic,
            None => self.component.topics.push(topic),
        }
        Ok(())
    }

    pub(crate) fn finish(self) -> Component {
        self.component
    }

    fn push(&mut self, definition: Definition) {
        let topic = Topic::assemble(&self.component.name, self.subsystem.indexed, definition);
        self.component.topics.push(topic);
    }

    fn generics_error(&self, error: ExpandError) -> InterfaceError {
        let at = self.subsystem.at.clone();
        let component = self.subsystem.name.clone();
        match error {
            ExpandError::Unknown { entry, near } => {
                InterfaceError::UnknownGeneric { at, component, entry, near }
            }
            ExpandError::Duplicate { topic } => InterfaceError::DuplicateTopic { at, component, topic },
        }
    }
}
