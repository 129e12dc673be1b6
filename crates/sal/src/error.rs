//! What can be wrong with an interface: each message says where, what, and what to do.

use std::fmt;
use std::io;

use crate::field::{FieldType, MAX_COUNT};

/// Where in the interface files something is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// File, as a person would open it.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
    /// Name of the element that begins on this line.
    pub element: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: <{}>", self.file, self.line, self.element)
    }
}

/// Why a release or a component cannot be read. All of these need a person: none heals by trying again,
/// except [`InterfaceError::Read`] where the storage behind it may.
#[derive(Debug, thiserror::Error)]
pub enum InterfaceError {
    /// The folder is not a release in any known layout.
    #[error(
        "no SALSubsystems.xml in {root} (looked in {looked_in}); give the folder of a ts_xml checkout or the \
         one that holds SALSubsystems.xml"
    )]
    NotARelease {
        /// The folder that was given.
        root: String,
        /// The layouts that were tried.
        looked_in: String,
    },
    /// A file that every release has is not there.
    #[error("{file} is missing; a release has it beside SALSubsystems.xml")]
    MissingFile {
        /// The file that was looked for.
        file: String,
    },
    /// None of a component's three files is there.
    #[error(
        "component {component} has no interface file; {folder} should hold at least one of \
         {component}_Commands.xml, {component}_Events.xml, {component}_Telemetry.xml"
    )]
    NoTopicFiles {
        /// The component.
        component: String,
        /// Where its files should be.
        folder: String,
    },
    /// A file is there and cannot be read.
    #[error("cannot read {file}")]
    Read {
        /// The file.
        file: String,
        /// What the reader said.
        #[source]
        source: io::Error,
    },
    /// The text is not XML.
    #[error("{file}:{line}: not well-formed XML: {problem}; correct the file")]
    Malformed {
        /// The file.
        file: String,
        /// Line, from 1.
        line: u32,
        /// What the XML parser said.
        problem: String,
    },
    /// A camera's Avro file that gives no topic.
    #[error("{file}:{line}: {problem}")]
    InvalidAvroFile {
        /// The file.
        file: String,
        /// Line, from 1.
        line: u32,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// An element stands where another belongs.
    #[error("{at} stands where <{expected}> belongs; correct the element or move it to its own file")]
    UnexpectedElement {
        /// The element that was found.
        at: Box<Place>,
        /// The one that belongs there.
        expected: &'static str,
    },
    /// An element that must be there is absent or empty.
    #[error("{at} has no text in <{missing}>; add it")]
    MissingElement {
        /// The element that lacks it.
        at: Box<Place>,
        /// What it lacks.
        missing: &'static str,
    },
    /// A topic, field or component name that Avro and Kafka cannot carry.
    #[error("{at}: {name:?} is not a name; use letters, digits and underscores, beginning with a letter")]
    InvalidName {
        /// Where.
        at: Box<Place>,
        /// The text that was found.
        name: String,
    },
    /// A topic name that does not say what its element says.
    #[error("{at}: topic {topic:?} is not named as its kind is; {expected}")]
    InvalidTopicName {
        /// Where.
        at: Box<Place>,
        /// The text that was found.
        topic: String,
        /// How such a topic is named.
        expected: &'static str,
    },
    /// An `IDL_Type` that Kafka-era SAL does not have.
    #[error(
        "{at}: field {field} of {topic} has unknown type {found:?}; use one of {}",
        FieldType::idl_names()
    )]
    UnknownType {
        /// Where.
        at: Box<Place>,
        /// The SAL topic.
        topic: String,
        /// The field.
        field: String,
        /// The type that was found.
        found: String,
    },
    /// A `Count` that is not a usable number of elements.
    #[error("{at}: field {field} of {topic} has count {found:?}; give a whole number from 1 to {MAX_COUNT}")]
    InvalidCount {
        /// Where.
        at: Box<Place>,
        /// The SAL topic.
        topic: String,
        /// The field.
        field: String,
        /// The text that was found.
        found: String,
    },
    /// Two fields of a topic have the same name; private fields count.
    #[error("{at}: topic {topic} has a field {field} already; rename or remove one")]
    DuplicateField {
        /// Where the second one is.
        at: Box<Place>,
        /// The SAL topic.
        topic: String,
        /// The field.
        field: String,
    },
    /// Two topics of a component have the same name; generic topics and `ackcmd` count.
    #[error("{at}: component {component} has a topic {topic} already; rename or remove one")]
    DuplicateTopic {
        /// Where the second one is.
        at: Box<Place>,
        /// The component.
        component: String,
        /// The SAL topic.
        topic: String,
    },
    /// Two components have the same name.
    #[error("{at}: component {component} is listed already; remove one")]
    DuplicateComponent {
        /// Where the second one is.
        at: Box<Place>,
        /// The component.
        component: String,
    },
    /// An entry of `AddedGenerics` is neither a generic topic nor a category.
    #[error("{at}: component {component} adds unknown generic {entry:?}; use {near}")]
    UnknownGeneric {
        /// Where the list is.
        at: Box<Place>,
        /// The component.
        component: String,
        /// The entry.
        entry: String,
        /// Names it may have meant, or all categories.
        near: String,
    },
    /// The release does not list such a component.
    #[error("unknown component {component:?}: not in {file}; {hint}")]
    UnknownComponent {
        /// The name that was asked for.
        component: String,
        /// The list of components.
        file: String,
        /// Names it may have meant.
        hint: String,
    },
}
