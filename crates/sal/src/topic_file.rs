//! Topics as interface files define them: command, event and telemetry sets.

use std::collections::HashSet;

use roxmltree::Node;

use crate::enumeration::read_items;
use crate::error::InterfaceError;
use crate::field::{Field, FieldType, MAX_COUNT, UNITLESS, private_names};
use crate::topic::{Definition, TopicKind};
use crate::xml::{XmlFile, elements, is_name, text_of};

/// One of the three kinds of sets: the file, the root of its tree, the element of a topic.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TopicSet {
    pub(crate) kind: TopicKind,
    pub(crate) file_suffix: &'static str,
    pub(crate) set: &'static str,
    pub(crate) topic: &'static str,
}

/// The sets of a component, in the order of its topics.
pub(crate) const TOPIC_SETS: [TopicSet; 3] = [
    TopicSet {
        kind: TopicKind::Command,
        file_suffix: "_Commands.xml",
        set: "SALCommandSet",
        topic: "SALCommand",
    },
    TopicSet { kind: TopicKind::Event, file_suffix: "_Events.xml", set: "SALEventSet", topic: "SALEvent" },
    TopicSet {
        kind: TopicKind::Telemetry,
        file_suffix: "_Telemetry.xml",
        set: "SALTelemetrySet",
        topic: "SALTelemetry",
    },
];

impl TopicSet {
    /// Whether a SAL name is one of this kind.
    fn names(self, sal_name: &str) -> bool {
        match self.kind {
            TopicKind::Command => sal_name.starts_with("command_"),
            TopicKind::Event => sal_name.starts_with("logevent_"),
            _ => !sal_name.starts_with("command_") && !sal_name.starts_with("logevent_"),
        }
    }

    fn naming_rule(self) -> &'static str {
        match self.kind {
            TopicKind::Command => "name it <component>_command_<name>",
            TopicKind::Event => "name it <component>_logevent_<name>",
            _ => {
                "name it <component>_<name>, with a name that begins neither with command_ nor with logevent_"
            }
        }
    }
}

/// Calls `take` for each topic element of a set, in the order of the file.
pub(crate) fn each_topic<'d, 'a>(
    file: &XmlFile<'a>,
    set: Node<'d, 'a>,
    kind: TopicSet,
    mut take: impl FnMut(Node<'d, 'a>) -> Result<(), InterfaceError>,
) -> Result<(), InterfaceError> {
    for element in elements(set) {
        let name = element.tag_name().name();
        if name == kind.topic {
            take(element)?;
        } else if name.starts_with("SAL") {
            // Passing over a misspelt or misplaced topic would lose it in silence.
            return Err(InterfaceError::UnexpectedElement { at: file.place(element), expected: kind.topic });
        }
    }
    Ok(())
}

/// Reads one topic element. `indexed` says whether `salIndex` is taken.
pub(crate) fn read_topic<'a>(
    file: &XmlFile<'a>,
    element: Node<'_, 'a>,
    kind: TopicSet,
    indexed: bool,
) -> Result<Definition, InterfaceError> {
    let full_name = file.required(element, "EFDB_Topic")?;
    let Some((_, sal_name)) = full_name.split_once('_').filter(|(_, name)| kind.names(name)) else {
        return Err(InterfaceError::InvalidTopicName {
            at: file.place(element),
            topic: full_name,
            expected: kind.naming_rule(),
        });
    };
    if !is_name(sal_name) {
        return Err(InterfaceError::InvalidName { at: file.place(element), name: full_name });
    }
    let mut taken: HashSet<String> = private_names(indexed).map(str::to_owned).collect();
    let mut fields = Vec::new();
    for item in elements(element).filter(|child| child.tag_name().name() == "item") {
        let field = read_field(file, item, sal_name)?;
        if !taken.insert(field.name.clone()) {
            return Err(InterfaceError::DuplicateField {
                at: file.place(item),
                topic: sal_name.to_owned(),
                field: field.name,
            });
        }
        fields.push(field);
    }
    Ok(Definition {
        sal_name: sal_name.to_owned(),
        kind: kind.kind,
        description: text_of(element, "Description").unwrap_or_default().into_owned(),
        fields,
    })
}

fn read_field<'a>(file: &XmlFile<'a>, item: Node<'_, 'a>, topic: &str) -> Result<Field, InterfaceError> {
    let name = file.required_name(item, "EFDB_Name")?;
    let idl = file.required(item, "IDL_Type")?;
    let Some(ty) = FieldType::from_idl(&idl) else {
        return Err(InterfaceError::UnknownType {
            at: file.place(item),
            topic: topic.to_owned(),
            field: name,
            found: idl,
        });
    };
    let count_text = text_of(item, "Count").unwrap_or("1".into());
    let count = match count_text.trim().parse::<usize>() {
        Ok(count) if (1..=MAX_COUNT).contains(&count) => count,
        _ => {
            return Err(InterfaceError::InvalidCount {
                at: file.place(item),
                topic: topic.to_owned(),
                field: name,
                found: count_text.into_owned(),
            });
        }
    };
    Ok(Field {
        name,
        ty,
        // SAL has no arrays of strings and passes over the count.
        count: if ty == FieldType::String { 1 } else { count },
        range: FieldType::idl_range(&idl),
        units: text_of(item, "Units").unwrap_or(UNITLESS.into()).into_owned(),
        description: text_of(item, "Description").unwrap_or_default().into_owned(),
        is_private: false,
        null: None,
        enumeration: text_of(item, "Enumeration").map(|text| read_items(&text)).unwrap_or_default(),
    })
}
