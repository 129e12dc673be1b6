//! What one release changes against another. Pure: compares components that are loaded.

use std::collections::HashMap;

use efd_sal::{Clash, Component, Field, StoredType, Topic, clashes};

use super::library::type_name;

/// All changes of a release.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ReleaseChange {
    /// New components with the number of their topics.
    pub added: Vec<(String, usize)>,
    /// Components that are gone, with the number of their topics.
    pub removed: Vec<(String, usize)>,
    /// Components that are in both and differ.
    pub changed: Vec<ComponentChange>,
}

/// Changes of a component.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ComponentChange {
    /// Its name.
    pub name: String,
    /// It became indexed, or is so no longer.
    pub indexed: Option<bool>,
    /// Names of new topics.
    pub added: Vec<String>,
    /// Names of topics that are gone.
    pub removed: Vec<String>,
    /// Topics that are in both and have another schema.
    pub changed: Vec<TopicChange>,
}

/// Changes of a topic.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct TopicChange {
    /// Its SAL name.
    pub name: String,
    /// New fields.
    pub added: Vec<Field>,
    /// Fields that are gone.
    pub removed: Vec<Field>,
    /// Fields that changed: name, and what changed.
    pub changed: Vec<(String, Vec<String>)>,
    /// Names whose type in InfluxDB changes.
    pub conflicts: Vec<Conflict>,
    /// Fields that cannot be told apart and could before.
    pub clashes: Vec<Clash>,
}

impl TopicChange {
    /// Only descriptions or the order of fields changed: a new schema and revCode, and the same points.
    pub fn is_same_points(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }
}

/// Names in InfluxDB that change their type: points of the new type are refused in a shard that has the old one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// The names, all of one field of the new release.
    pub names: Vec<String>,
    /// Type in the old release.
    pub old: StoredType,
    /// Type in the new one.
    pub new: StoredType,
}

/// Compares two releases, in the order of the new one.
pub fn compare(old: &[Component], new: &[Component]) -> ReleaseChange {
    let find = |list: &'_ [Component], name: &str| list.iter().position(|component| *component.name == *name);
    let mut change = ReleaseChange::default();
    for component in old {
        if find(new, &component.name).is_none() {
            change.removed.push((component.name.to_string(), component.topics.len()));
        }
    }
    for component in new {
        match find(old, &component.name).and_then(|place| old.get(place)) {
            None => change.added.push((component.name.to_string(), component.topics.len())),
            Some(before) => change.changed.extend(compare_components(before, component)),
        }
    }
    change
}

fn compare_components(old: &Component, new: &Component) -> Option<ComponentChange> {
    let (before, after) = (by_name(&old.topics), by_name(&new.topics));
    let mut change = ComponentChange {
        name: new.name.to_string(),
        indexed: (old.indexed != new.indexed).then_some(new.indexed),
        ..ComponentChange::default()
    };
    let names = |topics: &[Topic], other: &HashMap<&str, &Topic>| -> Vec<String> {
        let only_here = topics.iter().filter(|topic| !other.contains_key(topic.sal_name.as_str()));
        only_here.map(|topic| topic.sal_name.clone()).collect()
    };
    change.added = names(&new.topics, &before);
    change.removed = names(&old.topics, &after);
    for topic in &new.topics {
        if let Some(before) = before.get(topic.sal_name.as_str()) {
            change.changed.extend(compare_topics(before, topic));
        }
    }
    let is_same = change.indexed.is_none()
        && change.added.is_empty()
        && change.removed.is_empty()
        && change.changed.is_empty();
    (!is_same).then_some(change)
}

fn by_name(topics: &[Topic]) -> HashMap<&str, &Topic> {
    topics.iter().map(|topic| (topic.sal_name.as_str(), topic)).collect()
}

fn compare_topics(old: &Topic, new: &Topic) -> Option<TopicChange> {
    // Texts and order are part of the schema, so equal fields are not enough.
    if old.avro_schema() == new.avro_schema() {
        return None;
    }
    let before: HashMap<&str, &Field> = old.fields.iter().map(|field| (field.name.as_str(), field)).collect();
    let after: HashMap<&str, &Field> = new.fields.iter().map(|field| (field.name.as_str(), field)).collect();
    let mut change = TopicChange { name: new.sal_name.clone(), ..TopicChange::default() };
    for field in &new.fields {
        match before.get(field.name.as_str()) {
            None => change.added.push(field.clone()),
            Some(old) => {
                let changes = field_changes(old, field);
                if !changes.is_empty() {
                    change.changed.push((field.name.clone(), changes));
                }
            }
        }
    }
    change.removed =
        old.fields.iter().filter(|field| !after.contains_key(field.name.as_str())).cloned().collect();
    if !change.is_same_points() {
        change.conflicts = conflicts(&old.fields, &new.fields);
        let known = clashes(&old.fields);
        change.clashes = clashes(&new.fields).into_iter().filter(|clash| !known.contains(clash)).collect();
    }
    Some(change)
}

fn field_changes(old: &Field, new: &Field) -> Vec<String> {
    let mut changes = Vec::new();
    if type_name(old) != type_name(new) {
        changes.push(format!("{} -> {}", type_name(old), type_name(new)));
    }
    if old.units != new.units {
        changes.push(format!("unit {} -> {}", old.units, new.units));
    }
    if old.enumeration != new.enumeration {
        changes.push("names of its values".to_owned());
    }
    changes
}

/// Names that both releases store with different types, whichever field they are of.
fn conflicts(old: &[Field], new: &[Field]) -> Vec<Conflict> {
    let before = stored(old);
    let mut conflicts: Vec<Conflict> = Vec::new();
    let mut taken = HashMap::new();
    for field in new {
        let is_new_field = conflicts.len();
        for name in field.stored_names() {
            // Of two fields with one name the first is stored.
            if taken.insert(name.clone(), ()).is_some() {
                continue;
            }
            let Some(ty) = before.get(&name).copied().filter(|ty| *ty != field.ty.stored()) else {
                continue;
            };
            match conflicts
                .get_mut(is_new_field..)
                .and_then(|of_field| of_field.iter_mut().find(|c| c.old == ty))
            {
                Some(conflict) => conflict.names.push(name),
                None => conflicts.push(Conflict { names: vec![name], old: ty, new: field.ty.stored() }),
            }
        }
    }
    conflicts
}

fn stored(fields: &[Field]) -> HashMap<String, StoredType> {
    let mut types = HashMap::new();
    for field in fields {
        for name in field.stored_names() {
            types.entry(name).or_insert(field.ty.stored());
        }
    }
    types
}

#[cfg(test)]
mod tests {
    use efd_sal::{FieldType, TopicKind};

    use super::*;

    fn field(name: &str, ty: FieldType, count: usize) -> Field {
        Field::new(name, ty, count)
    }

    fn component(name: &str, topics: &[(&str, Vec<Field>)]) -> Component {
        let topic = |(sal_name, fields): &(&str, Vec<Field>)| Topic {
            component: name.into(),
            sal_name: (*sal_name).to_owned(),
            kind: TopicKind::Telemetry,
            indexed: false,
            description: String::new(),
            fields: fields.clone(),
            file_schema: None,
        };
        Component {
            name: name.into(),
            description: String::new(),
            indexed: false,
            topics: topics.iter().map(topic).collect(),
            enumerations: Vec::new(),
        }
    }

    fn topic_change(old: Vec<Field>, new: Vec<Field>) -> TopicChange {
        let change = compare(&[component("Dome", &[("a", old)])], &[component("Dome", &[("a", new)])]);
        change.changed.into_iter().flat_map(|component| component.changed).next().unwrap_or_default()
    }

    fn summary(conflicts: &[Conflict]) -> Vec<(String, &str, &str)> {
        conflicts.iter().map(|c| (c.names.join(" "), c.old.name(), c.new.name())).collect()
    }

    #[test]
    fn components_and_topics_come_and_go() {
        let x = || vec![field("x", FieldType::Int, 1)];
        let old = [component("Gone", &[("a", x())]), component("Dome", &[("a", x()), ("b", x())])];
        let new = [component("Dome", &[("b", x()), ("c", x())]), component("New", &[("a", x()), ("b", x())])];
        let change = compare(&old, &new);
        assert_eq!(change.removed, [("Gone".to_owned(), 1)]);
        assert_eq!(change.added, [("New".to_owned(), 2)]);
        assert_eq!(change.changed.len(), 1);
        assert_eq!(
            (change.changed[0].added.as_slice(), change.changed[0].removed.as_slice()),
            (["c".to_owned()].as_slice(), ["a".to_owned()].as_slice())
        );
        assert_eq!(compare(&old, &old), ReleaseChange::default());
    }

    #[test]
    fn a_change_that_influxdb_takes_is_no_conflict() {
        let change = topic_change(
            vec![
                field("i", FieldType::Int, 1),
                field("f", FieldType::Float, 2),
                field("gone", FieldType::Int, 1),
            ],
            vec![
                field("i", FieldType::Long, 1),
                field("f", FieldType::Double, 3),
                field("new", FieldType::Int, 1),
            ],
        );
        assert_eq!(change.added.len(), 1);
        assert_eq!(change.removed.len(), 1);
        assert_eq!(
            change.changed,
            [
                ("i".to_owned(), vec!["int -> long".to_owned()]),
                ("f".to_owned(), vec!["float[2] -> double[3]".to_owned()])
            ]
        );
        assert!(change.conflicts.is_empty());
    }

    #[test]
    fn a_type_that_influxdb_cannot_take_in_one_shard_is_a_conflict() {
        let change = topic_change(
            vec![field("i", FieldType::Int, 1), field("a", FieldType::Boolean, 3)],
            vec![field("i", FieldType::Double, 1), field("a", FieldType::Int, 2)],
        );
        assert_eq!(
            summary(&change.conflicts),
            [("i".into(), "integer", "float"), ("a0 a1".into(), "boolean", "integer")]
        );
    }

    #[test]
    fn a_name_may_change_its_type_from_field_to_field() {
        let old = vec![field("a0", FieldType::Int, 1), field("a1", FieldType::String, 1)];
        let change = topic_change(old, vec![field("a", FieldType::Double, 3)]);
        assert_eq!(
            summary(&change.conflicts),
            [("a0".into(), "integer", "float"), ("a1".into(), "string", "float")]
        );
    }

    #[test]
    fn only_a_clash_that_was_not_there_is_new() {
        let clash = || vec![field("a", FieldType::Int, 3), field("a1", FieldType::Int, 1)];
        let mut more = clash();
        more.push(field("b", FieldType::Int, 1));
        assert!(topic_change(clash(), more).clashes.is_empty());
        let change = topic_change(vec![field("a", FieldType::Int, 3)], clash());
        assert_eq!(change.clashes.len(), 1);
        assert!(change.conflicts.is_empty());
    }

    #[test]
    fn texts_and_order_change_the_schema_and_not_the_points() {
        let described = Field { description: "new".into(), ..field("a", FieldType::Int, 1) };
        let change = topic_change(vec![field("a", FieldType::Int, 1)], vec![described]);
        assert!(change.is_same_points() && change.name == "a");
        let unit = Field { units: "m".into(), ..field("a", FieldType::Int, 1) };
        let change = topic_change(vec![field("a", FieldType::Int, 1)], vec![unit]);
        assert_eq!(change.changed, [("a".to_owned(), vec!["unit unitless -> m".to_owned()])]);
    }
}
