//! A schema compiled into the steps that turn a record into a line: field by field, keys already escaped.
//!
//! Scalars keep their name, elements of an array get their index behind it (`force0`, `force1`). Two fields may then claim the
//! same name, for example an array `temp` and a scalar `temp1`. That is found here, once per schema: the field declared
//! first keeps the name, and the later one is decoded but not written.

use efd_sal::StoredType;
use efd_schema::{RecordSchema, SchemaRef};
use thiserror::Error;

use crate::appender::KEY;
use crate::compiler::{Compiler, escape_into};
use crate::field_types::Stored;
use crate::mapping::MappingConfig;
use crate::private::PrivateField;

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

/// What most values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plain {
    /// One byte.
    Boolean,
    /// Varint within 32 bits.
    Int,
    /// Varint.
    Long,
    /// Four bytes; written as the double of the same value.
    Float,
    /// Eight bytes.
    Double,
}

/// What the bytes of a value are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A number or a switch.
    Plain(Plain),
    /// Four bytes; written as short as possible.
    ShortFloat,
    /// Eight bytes of a double that also are the time of the point.
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
            Self::Plain(Plain::Boolean) => StoredType::Boolean,
            Self::Plain(Plain::Int | Plain::Long) => StoredType::Integer,
            Self::Plain(Plain::Float | Plain::Double) | Self::ShortFloat | Self::Time => StoredType::Float,
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

/// A scalar that is a field of the point and nothing else, never null.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cell {
    /// Its type.
    pub plain: Plain,
    /// Its name.
    pub key: Key,
}

/// What is done with the next bytes of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Some scalars in a row.
    Cells(Box<[Cell]>),
    /// Any other field.
    Op(Op),
}

impl Step {
    /// Fields in the order of their bytes as steps.
    fn all(ops: Vec<Op>) -> Box<[Self]> {
        let mut steps = Vec::new();
        let mut row = Vec::new();
        let end_row = |row: &mut Vec<Cell>, steps: &mut Vec<Self>| {
            if !row.is_empty() {
                steps.push(Self::Cells(std::mem::take(row).into()));
            }
        };
        for op in ops {
            match op {
                Op { kind: Kind::Plain(plain), null_branch: None, shape: Shape::One(key), notes: None } => {
                    row.push(Cell { plain, key });
                }
                other => {
                    end_row(&mut row, &mut steps);
                    steps.push(Self::Op(other));
                }
            }
        }
        end_row(&mut row, &mut steps);
        steps.into()
    }

    /// The prepared keys and how InfluxDB stores their values.
    fn keys(&self) -> Vec<(Key, StoredType)> {
        match self {
            Self::Cells(cells) => {
                cells.iter().map(|cell| (cell.key, Kind::Plain(cell.plain).stored())).collect()
            }
            Self::Op(op) => {
                let keys = match &op.shape {
                    Shape::One(key) => std::slice::from_ref(key),
                    Shape::Many(elements) => &elements.keys,
                };
                keys.iter().map(|key| (*key, op.kind.stored())).collect()
            }
        }
    }
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
    steps: Box<[Step]>,
    time_power: u32,
    keys: Box<[u8]>,
    /// All prepared keys in the order of their text.
    sorted: Box<[Key]>,
    collisions: Box<[String]>,
    conflicts: Box<[String]>,
    has_rival_arrays: bool,
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
        let has_rival_arrays = has_rival_arrays(&ops);
        let text = |key: &Key| key_text(&compiler.keys, *key);
        compiler.sorted.sort_unstable_by(|a, b| text(a).cmp(text(b)));
        // Room behind the last key for a copy of fixed size.
        compiler.keys.extend_from_slice(&[0; KEY]);
        Ok(Self {
            schema_id: schema_id.into(),
            measurement: schema.name.as_str().into(),
            head: head.into(),
            steps: Step::all(ops),
            time_power: mapping.time_format.power(),
            keys: compiler.keys.into(),
            sorted: compiler.sorted.into(),
            collisions: compiler.collisions.into(),
            conflicts: compiler.conflicts.into(),
            has_rival_arrays,
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

    /// What is done with the bytes of a record, in their order.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The unit of the time field is a nanosecond times ten to this power.
    pub fn time_power(&self) -> u32 {
        self.time_power
    }

    /// All prepared keys, each `,name=`, one behind the other, and behind them [`KEY`] bytes that belong to none.
    pub fn keys(&self) -> &[u8] {
        &self.keys
    }

    /// Whether a field or prepared element has this key: comma, escaped name, equal sign.
    pub fn has_key(&self, key: &[u8]) -> bool {
        self.sorted.binary_search_by(|known| key_text(&self.keys, *known).cmp(key)).is_ok()
    }

    /// Whether elements of two arrays can claim one name (`a` and `a1`), when one is longer than in the schema.
    pub fn has_rival_arrays(&self) -> bool {
        self.has_rival_arrays
    }

    /// Names under which the destination has another type, in the order of the schema.
    pub fn conflicts(&self) -> &[String] {
        &self.conflicts
    }

    /// Names and types of all fields that are written.
    pub fn field_types(&self) -> impl Iterator<Item = (&str, StoredType)> {
        self.steps.iter().flat_map(Step::keys).filter_map(|(key, stored)| {
            let name = key_text(&self.keys, key).strip_prefix(b",")?.strip_suffix(b"=")?;
            Some((std::str::from_utf8(name).ok()?, stored))
        })
    }

    /// Names that a second field claimed too, in the order of the schema.
    pub fn collisions(&self) -> &[String] {
        &self.collisions
    }
}

fn has_rival_arrays(ops: &[Op]) -> bool {
    let base = |op: &Op| match &op.shape {
        Shape::Many(elements) => Some(elements.base.clone()),
        Shape::One(_) => None,
    };
    let bases: Vec<Box<[u8]>> = ops.iter().filter_map(base).collect();
    let is_rival = |short: &[u8], long: &[u8]| {
        // No index begins with a zero, but for 0 itself, behind which nothing comes.
        long.strip_prefix(short).is_some_and(|rest| {
            matches!(rest.first(), Some(b'1'..=b'9')) && rest.iter().all(u8::is_ascii_digit)
        })
    };
    bases.iter().any(|short| bases.iter().any(|long| is_rival(short, long)))
}

/// The bytes of a key.
pub fn key_text(keys: &[u8], key: Key) -> &[u8] {
    let start = key.start as usize;
    keys.get(start..start + key.len as usize).unwrap_or_default()
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
