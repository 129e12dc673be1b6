//! Generic topics: those of `SALGenerics.xml`, which components add by name or by category.

use std::collections::{HashMap, HashSet};

use crate::error::InterfaceError;
use crate::suggest::suggestions;
use crate::topic::Definition;
use crate::topic_file::{TOPIC_SETS, each_topic, read_topic};
use crate::xml::{XmlFile, elements, text_of};

/// Category that every component has without asking for it.
const MANDATORY: &str = "mandatory";

/// All generic topics of a release.
#[derive(Debug)]
pub(crate) struct Generics {
    topics: Vec<Definition>,
    by_name: HashMap<String, usize>,
    by_category: HashMap<String, Vec<usize>>,
}

/// Which generic topics a component adds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AddedGenerics {
    /// The category `mandatory`, and these names and categories.
    Mandatory(Vec<String>),
    /// Only these: releases before the categories spelled all names out.
    Only(Vec<String>),
    /// All there are: the oldest releases say yes or no.
    All,
}

impl Generics {
    /// Reads `SALGenerics.xml`.
    pub(crate) fn parse(name: &str, text: &str) -> Result<Generics, InterfaceError> {
        let file = XmlFile::parse(name, text)?;
        let root = file.root(&["SALObjects"])?;
        let mut generics =
            Generics { topics: Vec::new(), by_name: HashMap::new(), by_category: HashMap::new() };
        for set in elements(root) {
            let Some(kind) = TOPIC_SETS.into_iter().find(|kind| kind.set == set.tag_name().name()) else {
                continue;
            };
            each_topic(&file, set, kind, |element| {
                // A generic topic can come to an indexed component, so salIndex is taken.
                let topic = read_topic(&file, element, kind, true)?;
                let index = generics.topics.len();
                if generics.by_name.insert(topic.sal_name.clone(), index).is_some() {
                    return Err(InterfaceError::DuplicateTopic {
                        at: file.place(element),
                        component: "SALGeneric".to_owned(),
                        topic: topic.sal_name,
                    });
                }
                if let Some(category) = text_of(element, "Category") {
                    generics.by_category.entry(category.trim().to_owned()).or_default().push(index);
                }
                generics.topics.push(topic);
                Ok(())
            })?;
        }
        Ok(generics)
    }

    /// The topics a component adds, in the order of its list; a category gives its topics in the order of
    /// the file. A topic that comes twice is an error.
    pub(crate) fn expand(&self, added: &AddedGenerics) -> Result<Vec<&Definition>, ExpandError> {
        let mut found: Vec<usize> = Vec::new();
        match added {
            AddedGenerics::All => found.extend(0..self.topics.len()),
            AddedGenerics::Only(entries) => self.look_up(entries, &mut found)?,
            AddedGenerics::Mandatory(entries) => {
                found.extend(self.by_category.get(MANDATORY).into_iter().flatten());
                self.look_up(entries, &mut found)?;
            }
        }
        let mut taken = HashSet::new();
        let mut topics = Vec::new();
        for topic in found.into_iter().filter_map(|index| self.topics.get(index)) {
            if !taken.insert(&topic.sal_name) {
                return Err(ExpandError::Duplicate { topic: topic.sal_name.clone() });
            }
            topics.push(topic);
        }
        Ok(topics)
    }

    /// An entry with an underscore names a topic, any other a category.
    fn look_up(&self, entries: &[String], found: &mut Vec<usize>) -> Result<(), ExpandError> {
        for entry in entries {
            if let Some(index) = self.by_name.get(entry).filter(|_| entry.contains('_')) {
                found.push(*index);
            } else if let Some(indices) = self.by_category.get(entry) {
                found.extend(indices);
            } else {
                return Err(ExpandError::Unknown { entry: entry.clone(), near: self.near(entry) });
            }
        }
        Ok(())
    }

    fn near(&self, entry: &str) -> String {
        let names = self.by_name.keys().chain(self.by_category.keys()).map(String::as_str);
        let near = suggestions(entry, names);
        if !near.is_empty() {
            return near.join(" or ");
        }
        let mut categories: Vec<&str> = self.by_category.keys().map(String::as_str).collect();
        categories.sort_unstable();
        format!("a category ({}) or the name of a topic in SALGenerics.xml", categories.join(", "))
    }
}

/// Why a component's list of generics cannot be followed; the caller knows where it stands.
#[derive(Debug)]
pub(crate) enum ExpandError {
    Unknown { entry: String, near: String },
    Duplicate { topic: String },
}
