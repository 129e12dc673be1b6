//! What InfluxDB or SAL cannot take in a schema, found before its first record is written. Pure.
//!
//! InfluxDB stores each value of a record as a field of a measurement and refuses points whose field has another type than before;
//! it has no arrays, so `a` becomes `a0`, `a1`, … and may meet a field of that name. SAL needs its private fields: without
//! `private_efdStamp` a record has no time. A subject that ends in `-key` is none of InfluxDB's business.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use apache_avro::Schema;
use efd_sal::{ClashKind, FieldType, StoredType, clashes, private_fields};
use efd_schema::{RecordSchema, Type};
use serde::{Deserialize, Serialize};

/// Elements of an array that are looked at; SAL's longest has some thousand.
const MAX_ELEMENTS: usize = 10_000;

/// Findings that are told; an answer's header is no place for a thousand.
const MAX_TOLD: usize = 10;

/// What to do with a schema that InfluxDB or SAL cannot take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    /// Not even look.
    #[default]
    Off,
    /// Register it, and say so in the answer and in the log.
    Warn,
    /// Refuse it.
    Refuse,
}

/// Policies for subjects by the beginning of their names; of several that fit the longest counts, and of none `off`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Policies(BTreeMap<String, Policy>);

impl Default for Policies {
    fn default() -> Self {
        Self(BTreeMap::from([("lsst.".to_owned(), Policy::Warn)]))
    }
}

impl Policies {
    /// The policy for a subject.
    pub fn of(&self, subject: &str) -> Policy {
        if subject.ends_with("-key") {
            return Policy::Off;
        }
        let fitting = self.0.iter().filter(|(prefix, _)| subject.starts_with(prefix.as_str()));
        fitting.max_by_key(|(prefix, _)| prefix.len()).map_or(Policy::Off, |(_, policy)| *policy)
    }
}

/// One thing that InfluxDB or SAL cannot take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// A value would change its type.
    TypeChange {
        /// Field of the new schema.
        field: String,
        /// Name of the value, which differs from the field's where that is an array.
        stored: String,
        /// Type in the earlier version.
        before: StoredType,
        /// Type now.
        after: StoredType,
        /// The earlier version.
        version: u32,
    },
    /// Two fields are stored under the same name.
    SameName {
        /// The array.
        array: String,
        /// The other field.
        other: String,
        /// The first of the names.
        stored: String,
    },
    /// Private fields are not there.
    NoPrivateFields(Vec<String>),
    /// A private field is of another type than SAL's.
    PrivateFieldType {
        /// Field.
        field: String,
        /// Type that it should be stored as.
        expected: StoredType,
    },
    /// There is no such type in InfluxDB.
    NotStorable(String),
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TypeChange { field, stored, before, after, version } => write!(
                f,
                "field {field}: InfluxDB has {stored} as {} since version {version} and would refuse it as {}; give the field another name",
                before.name(),
                after.name()
            ),
            Self::SameName { array, other, stored } => write!(
                f,
                "fields {array} and {other}: both are stored as {stored}, and the values of one are lost; rename one of them"
            ),
            Self::NoPrivateFields(fields) => {
                write!(f, "fields {}: missing, and every SAL topic has them", fields.join(", "))
            }
            Self::PrivateFieldType { field, expected } => {
                write!(f, "field {field}: SAL's is stored as {}", expected.name())
            }
            Self::NotStorable(reason) => write!(f, "{reason}, so InfluxDB cannot store it"),
        }
    }
}

/// Looks at a schema. `earlier` are the versions of its subject; those of another record name are of another measurement, and do
/// not matter.
pub fn findings(new: &Schema, earlier: &[(u32, Schema)]) -> Vec<Finding> {
    let record = match RecordSchema::of(new, &[]) {
        Ok(record) => record,
        Err(error) => return vec![Finding::NotStorable(error.to_string())],
    };
    let fields: Vec<Value> = record.fields.iter().map(Value::new).collect();
    let mut findings = type_changes(&record.name, &fields, earlier);
    findings.extend(same_names(&fields));
    findings.extend(private(&fields));
    findings
}

/// The findings in one line, of many only the first ones.
pub fn told(findings: &[Finding]) -> String {
    let mut told: Vec<String> = findings.iter().take(MAX_TOLD).map(ToString::to_string).collect();
    if findings.len() > MAX_TOLD {
        told.push(format!("and {} more", findings.len() - MAX_TOLD));
    }
    told.join("; ")
}

/// A field as InfluxDB sees it.
#[derive(Debug)]
struct Value {
    name: String,
    ty: FieldType,
    /// Elements of an array, as far as the schema says; none for a scalar.
    elements: Option<usize>,
}

impl Value {
    fn new(field: &efd_schema::Field) -> Self {
        let mut ty = &field.ty;
        let mut elements = None;
        loop {
            match ty {
                Type::Nullable { inner, .. } => ty = inner,
                Type::Array(items) => {
                    elements = Some(field.length.unwrap_or(1).clamp(1, MAX_ELEMENTS));
                    ty = items;
                }
                _ => break,
            }
        }
        Self { name: field.name.clone(), ty: field_type(ty), elements }
    }

    fn stored_names(&self) -> Vec<String> {
        match self.elements {
            Some(count) => (0..count).map(|index| format!("{}{index}", self.name)).collect(),
            None => vec![self.name.clone()],
        }
    }
}

fn field_type(ty: &Type) -> FieldType {
    match ty {
        Type::Boolean => FieldType::Boolean,
        Type::Int => FieldType::Int,
        Type::Long => FieldType::Long,
        Type::Float => FieldType::Float,
        Type::Double => FieldType::Double,
        // What is not a number is stored as text.
        _ => FieldType::String,
    }
}

/// Each field that changes its type once, against the latest version that has it differently.
fn type_changes(record: &str, fields: &[Value], earlier: &[(u32, Schema)]) -> Vec<Finding> {
    let mut known: HashMap<String, Vec<(u32, StoredType)>> = HashMap::new();
    for (version, schema) in earlier {
        let Some(old) = RecordSchema::of(schema, &[]).ok().filter(|old| old.name == record) else { continue };
        for value in old.fields.iter().map(Value::new) {
            for name in value.stored_names() {
                known.entry(name).or_default().push((*version, value.ty.stored()));
            }
        }
    }
    let mut changes = Vec::new();
    for field in fields {
        let after = field.ty.stored();
        let change = field.stored_names().into_iter().find_map(|stored| {
            let other =
                known.get(&stored)?.iter().filter(|(_, before)| *before != after).max_by_key(|it| it.0)?;
            Some(Finding::TypeChange {
                field: field.name.clone(),
                stored,
                before: other.1,
                after,
                version: other.0,
            })
        });
        changes.extend(change);
    }
    changes
}

fn same_names(fields: &[Value]) -> Vec<Finding> {
    let of_sal: Vec<efd_sal::Field> = fields
        .iter()
        // An array of unknown length has at least a second element to somebody.
        .map(|field| {
            efd_sal::Field::new(&field.name, field.ty, field.elements.map_or(1, |count| count.max(2)))
        })
        .collect();
    let collisions =
        clashes(&of_sal).into_iter().filter(|clash| matches!(clash.kind, ClashKind::Collision { .. }));
    collisions
        .filter_map(|clash| {
            let stored = clash.names.into_iter().next()?;
            Some(Finding::SameName { array: clash.array, other: clash.other, stored })
        })
        .collect()
}

fn private(fields: &[Value]) -> Vec<Finding> {
    let (mut missing, mut findings) = (Vec::new(), Vec::new());
    for wanted in private_fields(false) {
        let found = fields.iter().find(|field| field.name == wanted.name);
        match found {
            None => missing.push(wanted.name),
            Some(field) if field.elements.is_some() || field.ty.stored() != wanted.ty.stored() => {
                let expected = wanted.ty.stored();
                findings.push(Finding::PrivateFieldType { field: wanted.name, expected });
            }
            Some(_) => {}
        }
    }
    if !missing.is_empty() {
        findings.insert(0, Finding::NoPrivateFields(missing));
    }
    findings
}

#[cfg(test)]
#[path = "sal_tests.rs"]
mod tests;
