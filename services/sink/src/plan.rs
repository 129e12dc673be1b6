//! A schema compiled into the steps that turn a record into a line: field by field, keys already escaped.
//!
//! Scalars keep their name, elements of an array get their index behind it (`force0`, `force1`). Two fields may then claim the
//! same name, for example an array `temp` and a scalar `temp1`. That is found here, once per schema: the field declared
//! first keeps the name, and the later one is decoded but not written.

use efd_sal::StoredType;
use efd_schema::{RecordSchema, SchemaRef};
use thiserror::Error;

use crate::compiler::{Compiler, escape_into};
use crate::field_types::Stored;
use crate::mapping::MappingConfig;
use crate::private::PrivateField;

/// Keys up to this length are copied with a fixed size, which is faster; see [`Plan::keys`].
pub const FAST_KEY: usize = 32;

/// Why no point can be made with a schema.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PlanError {
    /// A field holds what a point cannot.
    #[error("field {0}: an array of arrays, or items without bytes, cannot become fields of a point")]
    Unsupported(String),
    /// The field with the time is missing or of another type.
    #[error("the schema has no field {0} of type double, int or long, so its records have no time")]
    NoTime(String),
    /// The names of all fields together pass 4 GiB.
    #[error("the names of the fields are too long")]
    TooLarge,
}

/// What the bytes of a value are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// One byte.
    Boolean,
    /// Varint within 32 bits.
    Int,
    /// Varint.
    Long,
    /// Four bytes; written as the double of the same value.
    Float,
    /// Four bytes; written as short as possible.
    ShortFloat,
    /// Eight bytes.
    Double,
    /// Eight bytes that also are the time of the point.
    Time,
    /// `string` and `bytes`: a length and that many bytes.
    Text,
    /// This many bytes.
    Fixed(usize),
    /// Index into these symbols.
    Enum(Box<[Box<str>]>),
}

impl Kind {
    /// How InfluxDB stores it.
    pub fn stored(&self) -> StoredType {
        match self {
            Self::Boolean => StoredType::Boolean,
            Self::Int | Self::Long => StoredType::Integer,
            Self::Float | Self::ShortFloat | Self::Double | Self::Time => StoredType::Float,
            Self::Text | Self::Fixed(_) | Self::Enum(_) => StoredType::String,
        }
    }
}

/// Where a prepared key stands in [`Plan::keys`]. Length 0: another field has the name, the value is not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Key {
    /// First byte.
    pub start: u32,
    /// Bytes, comma and equal sign included.
    pub len: u32,
}

/// How often the value comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shape {
    /// Once.
    One(Key),
    /// As an Avro array.
    Many(Box<Elements>),
}

/// The names of an array's elements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Elements {
    /// Escaped name of the array, behind its comma; the index and `=` follow.
    pub base: Box<[u8]>,
    /// Keys of the first elements, as many as the schema's default has.
    pub keys: Box<[Key]>,
    /// Which branch is null, where each item is a union.
    pub item_null: Option<u8>,
}

/// One field of the record, in the order of its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Op {
    /// Type of the value, or of each item.
    pub kind: Kind,
    /// Which branch is null, where the field is a union.
    pub null_branch: Option<u8>,
    /// One value or many.
    pub shape: Shape,
    /// What its value is besides.
    pub notes: Option<Box<Notes>>,
}

/// What the value of a scalar field is, besides a field of the point.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Notes {
    /// A private field.
    pub private: Option<PrivateField>,
    /// The time of the point, as an integer.
    pub is_time: bool,
    /// Tags, each escaped with comma and equal sign.
    pub tags: Vec<Box<[u8]>>,
}

/// Everything that is known before the first record of a schema comes.
#[derive(Debug, Clone)]
pub struct Plan {
    schema_id: SchemaRef,
    measurement: Box<str>,
    head: Box<[u8]>,
    ops: Box<[Op]>,
    time_power: u32,
    keys: Box<[u8]>,
    /// All prepared keys in the order of their text.
    sorted: Box<[Key]>,
    collisions: Box<[String]>,
    conflicts: Box<[String]>,
}

impl Plan {
    /// Compiles a schema. Equal schemas give equal plans.
    ///
    /// # Errors
    /// When no point can be made of its records.
    pub fn compile(
        schema_id: impl Into<SchemaRef>,
        schema: &RecordSchema,
        mapping: &MappingConfig,
    ) -> Result<Self, PlanError> {
        Self::compile_beside(schema_id, schema, mapping, &Stored::new())
    }

    /// The same for a destination that has fields already.
    ///
    /// # Errors
    /// As with [`Plan::compile`].
    pub(crate) fn compile_beside(
        schema_id: impl Into<SchemaRef>,
        schema: &RecordSchema,
        mapping: &MappingConfig,
        stored: &Stored,
    ) -> Result<Self, PlanError> {
        let mut head = Vec::new();
        escape_into(&schema.name, b", ", &mut head);
        let mut compiler = Compiler::new(mapping, stored);
        let mut ops = Vec::with_capacity(schema.fields.len());
        for field in &schema.fields {
            ops.push(compiler.op(&field.name, &field.ty, field.length)?);
        }
        if !compiler.has_time {
            return Err(PlanError::NoTime(mapping.time_field.clone()));
        }
        let text = |key: &Key| key_text(&compiler.keys, *key);
        compiler.sorted.sort_unstable_by(|a, b| text(a).cmp(text(b)));
        // Room behind the last key for a copy of fixed size.
        compiler.keys.extend_from_slice(&[0; FAST_KEY]);
        Ok(Self {
            schema_id: schema_id.into(),
            measurement: schema.name.as_str().into(),
            head: head.into(),
            ops: ops.into(),
            time_power: mapping.time_format.power(),
            keys: compiler.keys.into(),
            sorted: compiler.sorted.into(),
            collisions: compiler.collisions.into(),
            conflicts: compiler.conflicts.into(),
        })
    }

    /// What names the schema in the registry.
    pub fn schema_id(&self) -> SchemaRef {
        self.schema_id
    }

    /// Name of the measurement: namespace and name of the record.
    pub fn measurement(&self) -> &str {
        &self.measurement
    }

    /// The measurement as a line begins with it.
    pub fn head(&self) -> &[u8] {
        &self.head
    }

    /// The fields in order.
    pub fn ops(&self) -> &[Op] {
        &self.ops
    }

    /// The unit of the time field is a nanosecond times ten to this power.
    pub fn time_power(&self) -> u32 {
        self.time_power
    }

    /// All prepared keys, each `,name=`, one behind the other, and behind them [`FAST_KEY`] bytes that belong to none.
    pub fn keys(&self) -> &[u8] {
        &self.keys
    }

    /// Whether a field or prepared element has this key: comma, escaped name, equal sign.
    pub fn has_key(&self, key: &[u8]) -> bool {
        self.sorted.binary_search_by(|known| key_text(&self.keys, *known).cmp(key)).is_ok()
    }

    /// Names under which the destination has another type, in the order of the schema.
    pub fn conflicts(&self) -> &[String] {
        &self.conflicts
    }

    /// Names and types of all fields that are written.
    pub fn field_types(&self) -> impl Iterator<Item = (&str, StoredType)> {
        self.ops.iter().flat_map(|op| {
            let keys = match &op.shape {
                Shape::One(key) => std::slice::from_ref(key),
                Shape::Many(elements) => &elements.keys,
            };
            keys.iter().filter_map(|key| {
                let name = key_text(&self.keys, *key).strip_prefix(b",")?.strip_suffix(b"=")?;
                Some((std::str::from_utf8(name).ok()?, op.kind.stored()))
            })
        })
    }

    /// Names that a second field claimed too, in the order of the schema.
    pub fn collisions(&self) -> &[String] {
        &self.collisions
    }
}

/// The bytes of a key.
pub fn key_text(keys: &[u8], key: Key) -> &[u8] {
    let start = key.start as usize;
    keys.get(start..start + key.len as usize).unwrap_or_default()
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
