//! The list of components: `SALSubsystems.xml`, in the layout of today and in those of older releases.

use std::collections::HashMap;

use roxmltree::Node;

use crate::error::{InterfaceError, Place};
use crate::generics::AddedGenerics;
use crate::xml::{XmlFile, elements, text_of};

/// What the list says of one component.
#[derive(Debug)]
pub(crate) struct Subsystem {
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) indexed: bool,
    pub(crate) generics: AddedGenerics,
    /// Where its entry stands, for messages.
    pub(crate) at: Box<Place>,
}

/// All components of a release, in the order of the file.
#[derive(Debug)]
pub(crate) struct Subsystems {
    all: Vec<Subsystem>,
    by_name: HashMap<String, usize>,
}

impl Subsystems {
    /// Reads `SALSubsystems.xml`.
    pub(crate) fn parse(name: &str, text: &str) -> Result<Subsystems, InterfaceError> {
        let file = XmlFile::parse(name, text)?;
        let root = file.root(&["SALSubsystemSet", "SALSubsystems"])?;
        let mut subsystems = Subsystems { all: Vec::new(), by_name: HashMap::new() };
        for element in elements(root) {
            if !matches!(element.tag_name().name(), "SALSubsystem" | "Subsystem") {
                return Err(InterfaceError::UnexpectedElement {
                    at: file.place(element),
                    expected: "SALSubsystem",
                });
            }
            let subsystem = read_subsystem(&file, element)?;
            let index = subsystems.all.len();
            if subsystems.by_name.insert(subsystem.name.clone(), index).is_some() {
                return Err(InterfaceError::DuplicateComponent {
                    at: subsystem.at,
                    component: subsystem.name,
                });
            }
            subsystems.all.push(subsystem);
        }
        Ok(subsystems)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Subsystem> {
        self.all.iter()
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Subsystem> {
        self.by_name.get(name).and_then(|index| self.all.get(*index))
    }
}

fn read_subsystem<'a>(file: &XmlFile<'a>, element: Node<'_, 'a>) -> Result<Subsystem, InterfaceError> {
    // The name is part of paths and of Kafka topics.
    let name = file.required_name(element, "Name")?;
    Ok(Subsystem {
        description: text_of(element, "Description").unwrap_or_default().into_owned(),
        indexed: is_indexed(element),
        generics: added_generics(element),
        at: file.place(element),
        name,
    })
}

/// Today `IndexEnumeration` is `no`, `any` or a list. Older releases have `Enumeration`, empty for no.
fn is_indexed(element: Node<'_, '_>) -> bool {
    if let Some(indices) = text_of(element, "IndexEnumeration") {
        return indices.trim() != "no";
    }
    let indices = text_of(element, "Enumeration").unwrap_or_default();
    !matches!(indices.trim(), "" | "no")
}

/// Today `AddedGenerics` is a list on top of the mandatory ones. Older releases have `Generics`: yes, no or
/// the whole list.
fn added_generics(element: Node<'_, '_>) -> AddedGenerics {
    let list =
        |text: &str| text.split(',').map(str::trim).filter(|s| !s.is_empty()).map(str::to_owned).collect();
    let Some(generics) = text_of(element, "Generics") else {
        return AddedGenerics::Mandatory(list(&text_of(element, "AddedGenerics").unwrap_or_default()));
    };
    match generics.trim() {
        "yes" => AddedGenerics::All,
        "no" => AddedGenerics::Only(Vec::new()),
        names => AddedGenerics::Only(list(names)),
    }
}
