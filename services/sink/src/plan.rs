//! A schema compiled into the steps that turn a record into a line: field by field, keys already escaped.
//!
//! Scalars keep their name, elements of an array get their index behind it (`force0`, `force1`). Two fields may then claim the
//! same name, for example an array `temp` and a scalar `temp1`. That is found here, once per schema: the field declared
//! first keeps the name, and the later one is decoded but not written.

use std::collections::HashSet;

use efd_schema::{RecordSchema, Type};
use thiserror::Error;

/// Field that holds the time of a point: Unix seconds, UTC, as double.
pub const TIME_FIELD: &str = "private_efdStamp";

/// Keys up to this length are copied with a fixed size, which is faster; see [`Plan::keys`].
pub const FAST_KEY: usize = 32;

/// Longest array whose element names are prepared; further elements are named while they are written.
const MAX_PREPARED: usize = 65_536;

/// Why no point can be made with a schema.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PlanError {
    /// A field holds what a point cannot.
    #[error("field {0}: an array of arrays, or items without bytes, cannot become fields of a point")]
    Unsupported(String),
    /// The field with the time is missing or of another type.
    #[error("the schema has no field {TIME_FIELD} of type double, so its records have no time")]
    NoTime,
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
}

/// Everything that is known before the first record of a schema comes.
#[derive(Debug, Clone)]
pub struct Plan {
    schema_id: u32,
    measurement: Box<str>,
    head: Box<[u8]>,
    ops: Box<[Op]>,
    keys: Box<[u8]>,
    /// All prepared keys in the order of their text.
    sorted: Box<[Key]>,
    collisions: Box<[String]>,
}

impl Plan {
    /// Compiles a schema. Equal schemas give equal plans.
    ///
    /// # Errors
    /// When no point can be made of its records.
    pub fn compile(schema_id: u32, schema: &RecordSchema) -> Result<Self, PlanError> {
        let mut head = Vec::new();
        escape_into(&schema.name, b", ", &mut head);
        let mut compiler = Compiler::default();
        let mut ops = Vec::with_capacity(schema.fields.len());
        let mut has_time = false;
        for field in &schema.fields {
            let mut op = compiler.op(&field.name, &field.ty, field.length)?;
            if field.name == TIME_FIELD && op.kind == Kind::Double && matches!(op.shape, Shape::One(_)) {
                op.kind = Kind::Time;
                has_time = true;
            }
            ops.push(op);
        }
        if !has_time {
            return Err(PlanError::NoTime);
        }
        let text = |key: &Key| key_text(&compiler.keys, *key);
        compiler.sorted.sort_unstable_by(|a, b| text(a).cmp(text(b)));
        // Room behind the last key for a copy of fixed size.
        compiler.keys.extend_from_slice(&[0; FAST_KEY]);
        Ok(Self {
            schema_id,
            measurement: schema.name.as_str().into(),
            head: head.into(),
            ops: ops.into(),
            keys: compiler.keys.into(),
            sorted: compiler.sorted.into(),
            collisions: compiler.collisions.into(),
        })
    }

    /// Id of the schema in the registry.
    pub fn schema_id(&self) -> u32 {
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

    /// All prepared keys, each `,name=`, one behind the other, and behind them [`FAST_KEY`] bytes that belong to none.
    pub fn keys(&self) -> &[u8] {
        &self.keys
    }

    /// Whether a field or prepared element has this key: comma, escaped name, equal sign.
    pub fn has_key(&self, key: &[u8]) -> bool {
        self.sorted.binary_search_by(|known| key_text(&self.keys, *known).cmp(key)).is_ok()
    }

    /// Names that a second field claimed too, in the order of the schema.
    pub fn collisions(&self) -> &[String] {
        &self.collisions
    }
}

#[derive(Default)]
struct Compiler {
    keys: Vec<u8>,
    sorted: Vec<Key>,
    names: HashSet<String>,
    collisions: Vec<String>,
}

impl Compiler {
    fn op(&mut self, name: &str, ty: &Type, length: Option<usize>) -> Result<Op, PlanError> {
        let (null_branch, ty) = unwrap_nullable(ty);
        let unsupported = || PlanError::Unsupported(name.to_owned());
        let (shape, kind) = if let Type::Array(items) = ty {
            let (item_null, item) = unwrap_nullable(items);
            let kind = kind(item).filter(|kind| *kind != Kind::Fixed(0)).ok_or_else(unsupported)?;
            let mut base = vec![b','];
            escape_into(name, b",= ", &mut base);
            let length = length.unwrap_or(0).min(MAX_PREPARED);
            let keys =
                (0..length).map(|index| self.key(format!("{name}{index}"))).collect::<Result<_, _>>()?;
            (Shape::Many(Box::new(Elements { base: base.into(), keys, item_null })), kind)
        } else {
            (Shape::One(self.key(name.to_owned())?), kind(ty).ok_or_else(unsupported)?)
        };
        Ok(Op { kind, null_branch, shape })
    }

    fn key(&mut self, name: String) -> Result<Key, PlanError> {
        if self.names.contains(name.as_str()) {
            self.collisions.push(name);
            return Ok(Key::default());
        }
        let start = self.keys.len();
        self.keys.push(b',');
        escape_into(&name, b",= ", &mut self.keys);
        self.keys.push(b'=');
        let len = u32::try_from(self.keys.len() - start);
        let (Ok(start), Ok(len)) = (u32::try_from(start), len) else { return Err(PlanError::TooLarge) };
        let key = Key { start, len };
        self.sorted.push(key);
        self.names.insert(name);
        Ok(key)
    }
}

/// The bytes of a key.
pub fn key_text(keys: &[u8], key: Key) -> &[u8] {
    let start = key.start as usize;
    keys.get(start..start + key.len as usize).unwrap_or_default()
}

fn unwrap_nullable(ty: &Type) -> (Option<u8>, &Type) {
    match ty {
        Type::Nullable { null_branch, inner } => (u8::try_from(*null_branch).ok(), inner),
        other => (None, other),
    }
}

fn kind(ty: &Type) -> Option<Kind> {
    Some(match ty {
        Type::Boolean => Kind::Boolean,
        Type::Int => Kind::Int,
        Type::Long => Kind::Long,
        Type::Float => Kind::Float,
        Type::Double => Kind::Double,
        Type::String | Type::Bytes => Kind::Text,
        Type::Fixed(size) => Kind::Fixed(*size),
        Type::Enum(symbols) => Kind::Enum(symbols.iter().map(|symbol| symbol.as_str().into()).collect()),
        Type::Array(_) | Type::Nullable { .. } => return None,
    })
}

/// Appends `text` with a backslash before each byte of `special`.
fn escape_into(text: &str, special: &[u8], out: &mut Vec<u8>) {
    for byte in text.bytes() {
        if special.contains(&byte) {
            out.push(b'\\');
        }
        out.push(byte);
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
