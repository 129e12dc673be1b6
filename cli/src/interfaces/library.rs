//! All components of a release, and how long it took to read them.

use std::path::Path;
use std::time::{Duration, Instant};

use efd_ingest::interfaces;
use efd_sal::{Component, Field, InterfaceError, Topic, TopicKind};

/// A release as far as it can be read.
#[derive(Debug)]
pub struct Library {
    /// Components in the order of the list.
    pub components: Vec<Component>,
    /// Components that are listed and have no interface file here.
    pub absent: Vec<String>,
    /// Why other components cannot be read.
    pub errors: Vec<InterfaceError>,
    /// Time to read and parse all files.
    pub took: Duration,
}

impl Library {
    /// Reads every component; one that is wrong does not keep the others from being read.
    pub fn load(folder: &Path) -> anyhow::Result<Library> {
        let start = Instant::now();
        let release = interfaces::open(folder)?;
        let (mut components, mut absent, mut errors) = (Vec::new(), Vec::new(), Vec::new());
        for name in release.names() {
            match release.component(name) {
                Ok(component) => components.push(component),
                Err(InterfaceError::NoTopicFiles { component, .. }) => absent.push(component),
                Err(error) => errors.push(error),
            }
        }
        Ok(Library { components, absent, errors, took: start.elapsed() })
    }

    /// As [`Library::load`], where any wrong component is an error.
    pub fn load_right(folder: &Path) -> anyhow::Result<Library> {
        let mut library = Self::load(folder)?;
        match library.errors.pop() {
            Some(error) => Err(error.into()),
            None => Ok(library),
        }
    }

    /// All topics.
    pub fn topics(&self) -> impl Iterator<Item = &Topic> {
        self.components.iter().flat_map(|component| &component.topics)
    }
}

/// How much there is of each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sizes {
    pub commands: usize,
    pub events: usize,
    pub telemetry: usize,
    /// With `ackcmd`.
    pub topics: usize,
    /// Without the private ones.
    pub fields: usize,
    /// Fields once arrays are taken apart.
    pub values: usize,
}

impl Sizes {
    /// Counts topics, generic ones and `ackcmd` among them.
    pub fn of<'a>(topics: impl IntoIterator<Item = &'a Topic>) -> Sizes {
        let mut sizes = Sizes::default();
        for topic in topics {
            match topic.kind {
                TopicKind::Command => sizes.commands += 1,
                TopicKind::Event => sizes.events += 1,
                TopicKind::Telemetry => sizes.telemetry += 1,
                TopicKind::Ack => {}
            }
            sizes.topics += 1;
            for field in own_fields(topic) {
                sizes.fields += 1;
                sizes.values += field.count;
            }
        }
        sizes
    }
}

/// The fields that an interface file gives, without the private ones.
pub fn own_fields(topic: &Topic) -> impl Iterator<Item = &Field> {
    topic.fields.iter().filter(|field| !field.is_private)
}

/// `double`, `double[5]`, or `double or null`.
pub fn type_name(field: &Field) -> String {
    let name = field.ty.avro_name();
    let name = if field.is_array() { format!("{name}[{}]", field.count) } else { name.to_owned() };
    if field.null.is_some() { name + " or null" } else { name }
}

/// What a topic is for, in one word.
pub fn kind_name(kind: TopicKind) -> &'static str {
    match kind {
        TopicKind::Command => "command",
        TopicKind::Event => "event",
        TopicKind::Telemetry => "telemetry",
        TopicKind::Ack => "ack",
    }
}
