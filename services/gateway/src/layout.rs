//! Where the fields of a topic stand in InfluxDB: the mirror of how the sink writes them (pure).
//!
//! A scalar keeps its name, the elements of an array `a` are `a0`, `a1`, … Two fields may claim the same name, for example an array
//! `temp` and a scalar `temp1`. The field declared first has it; what the later one recorded under that name was not stored.

use std::collections::HashSet;

use efd_proto::query::v1::{Field, FieldType};
use efd_schema::{RecordSchema, Type};

use crate::error::QueryError;

/// InfluxDB's name for the time of a point; a field of this name cannot be stored.
const TIME: &str = "time";

/// The field with the time of a SAL record, which InfluxDB has as time of the row, too.
const SEND_TIME: &str = "private_efdStamp";

/// Longest array whose length is found from stored names; a stray name with a huge index must not become a huge array.
const MAX_FOUND: u32 = 65_536;

/// A topic's fields and their stored names.
#[derive(Debug, Clone)]
pub struct Layout {
    fields: Vec<FieldLayout>,
    /// Stored names that belong to a field.
    names: HashSet<String>,
}

/// One field and its place in InfluxDB.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldLayout {
    /// What the schema says of it.
    pub field: Field,
    /// For each element (a scalar has one), whether it is stored.
    pub stored: Vec<bool>,
}

impl Layout {
    /// The layout of a schema's records. An array whose length the schema does not state has no elements yet, see
    /// [`Layout::find_lengths`].
    pub fn new(schema: &RecordSchema) -> Self {
        let mut names = HashSet::from([TIME.to_owned()]);
        let mut claim = |name: String| names.insert(name);
        let fields = schema
            .fields
            .iter()
            .map(|declared| {
                let field = field(declared);
                let stored = match field.array_length {
                    None => vec![claim(field.name.clone())],
                    Some(length) => (0..length).map(|index| claim(element(&field.name, index))).collect(),
                };
                FieldLayout { field, stored }
            })
            .collect();
        Self { fields, names }
    }

    /// The fields in the order of the schema.
    pub fn fields(&self) -> impl Iterator<Item = &Field> {
        self.fields.iter().map(|layout| &layout.field)
    }

    /// The fields with the names that they are stored under.
    pub fn describe(&self) -> impl Iterator<Item = Field> {
        self.fields
            .iter()
            .map(|layout| Field { stored_names: layout.columns().collect(), ..layout.field.clone() })
    }

    /// Type of what is stored under this name: a scalar, or an element of an array.
    pub fn stored_type(&self, name: &str) -> Option<FieldType> {
        let holds = |layout: &&FieldLayout| match layout.field.array_length {
            None => layout.field.name == name && layout.stored == [true],
            Some(_) => element_index(&layout.field.name, name)
                .is_some_and(|index| layout.stored.get(index as usize) == Some(&true)),
        };
        self.fields.iter().find(holds).map(|layout| layout.field.r#type())
    }

    /// A stored name that every row has, as far as the schema tells: when SAL sent it, else the first scalar, else the first element.
    pub fn witness(&self) -> Option<String> {
        let scalar = |wanted: Option<&str>| {
            self.fields.iter().find(|layout| {
                let is_wanted = wanted.is_none_or(|name| layout.field.name == name);
                is_wanted && layout.field.array_length.is_none() && layout.stored == [true]
            })
        };
        let first = || self.fields.iter().find(|layout| layout.stored.contains(&true));
        let layout = scalar(Some(SEND_TIME)).or_else(|| scalar(None)).or_else(first)?;
        layout.columns().next()
    }

    /// Takes the lengths that the schema does not state from the names that are stored.
    pub fn find_lengths(&mut self, stored_names: &[String]) {
        for layout in self.fields.iter_mut().filter(|layout| layout.lacks_length()) {
            let index = |name: &String| element_index(&layout.field.name, name);
            let free = stored_names.iter().filter(|name| !self.names.contains(*name));
            let indexes: HashSet<u32> = free.filter_map(index).filter(|index| *index < MAX_FOUND).collect();
            let length = indexes.iter().max().map_or(0, |last| last + 1);
            layout.field.array_length = Some(length);
            layout.stored = (0..length).map(|index| indexes.contains(&index)).collect();
        }
    }

    /// The fields of the given names in their order; all in the order of the schema where there are none.
    ///
    /// # Errors
    /// `InvalidArgument` when a name is unknown or comes twice.
    pub fn select(&self, names: &[String], topic: &str) -> Result<Vec<FieldLayout>, QueryError> {
        if names.is_empty() {
            return Ok(self.fields.clone());
        }
        let mut seen = HashSet::new();
        names
            .iter()
            .map(|name| {
                if !seen.insert(name) {
                    return Err(QueryError::InvalidArgument(format!("field {name} is named twice")));
                }
                self.fields.iter().find(|layout| layout.field.name == *name).cloned().ok_or_else(|| {
                    let known = self.fields().map(|field| field.name.as_str());
                    QueryError::InvalidArgument(format!(
                        "topic {topic} has no field {name}{}",
                        efd_sal::hint(name, known)
                    ))
                })
            })
            .collect()
    }
}

impl FieldLayout {
    /// Whether it is an array whose length is not known.
    pub fn lacks_length(&self) -> bool {
        self.field.array_length == Some(0)
    }

    /// Names of the columns that hold it, in order.
    pub fn columns(&self) -> impl Iterator<Item = String> {
        let stored = self.stored.iter().zip(0_u32..).filter(|(stored, _)| **stored);
        stored.map(|(_, index)| match self.field.array_length {
            None => self.field.name.clone(),
            Some(_) => element(&self.field.name, index),
        })
    }
}

fn field(declared: &efd_schema::Field) -> Field {
    let (ty, is_array) = match strip_null(&declared.ty) {
        Type::Array(items) => (strip_null(items), true),
        scalar => (scalar, false),
    };
    let length = declared.length.and_then(|length| u32::try_from(length).ok()).unwrap_or(0);
    Field {
        name: declared.name.clone(),
        r#type: field_type(ty).into(),
        unit: declared.units.clone().unwrap_or_default(),
        description: declared.description.clone().unwrap_or_default(),
        array_length: is_array.then_some(length),
        symbols: symbols(ty),
        ..Field::default()
    }
}

fn strip_null(ty: &Type) -> &Type {
    match ty {
        Type::Nullable { inner, .. } => inner,
        other => other,
    }
}

fn symbols(ty: &Type) -> Vec<String> {
    match ty {
        Type::Enum(symbols) => symbols.clone(),
        _ => Vec::new(),
    }
}

fn field_type(ty: &Type) -> FieldType {
    match ty {
        Type::Boolean => FieldType::Boolean,
        Type::Int => FieldType::Int,
        Type::Long => FieldType::Long,
        Type::Float => FieldType::Float,
        Type::Double => FieldType::Double,
        Type::String => FieldType::String,
        Type::Bytes | Type::Fixed(_) => FieldType::Bytes,
        Type::Enum(_) => FieldType::Enum,
        // An array of arrays, or a union in a union: the sink refuses such a schema, so nothing of it is stored.
        Type::Array(_) | Type::Nullable { .. } => FieldType::Unspecified,
    }
}

fn element(name: &str, index: u32) -> String {
    format!("{name}{index}")
}

/// The index that [`element`] put behind `name`, if `stored` is such a name.
fn element_index(name: &str, stored: &str) -> Option<u32> {
    let digits = stored.strip_prefix(name)?;
    let is_canonical = digits == "0" || !digits.starts_with(['0', '+']);
    digits.parse().ok().filter(|_| is_canonical)
}

#[cfg(test)]
#[path = "layout_tests.rs"]
mod tests;
