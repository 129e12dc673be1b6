//! Compiles the fields of a schema, one by one, into the steps of a plan.

use std::collections::HashSet;

use efd_sal::StoredType;
use efd_schema::Type;

use crate::field_types::Stored;
use crate::mapping::{Floats, MappingConfig, TypeConflict};
use crate::plan::{Elements, Key, Kind, Notes, Op, Plain, PlanError, Shape};
use crate::private::PrivateField;

/// Longest array whose element names are prepared; further elements are named while they are written.
const MAX_PREPARED: usize = 65_536;
/// InfluxDB passes over a field of this name without a word.
const RESERVED: &str = "time";

/// What has been compiled so far.
pub struct Compiler<'a> {
    mapping: &'a MappingConfig,
    stored: &'a Stored,
    /// All keys, each `,name=`.
    pub keys: Vec<u8>,
    /// Where each of them stands.
    pub sorted: Vec<Key>,
    /// Names that a second field claimed too, or that InfluxDB does not take.
    pub collisions: Vec<String>,
    /// Names under which the destination has another type.
    pub conflicts: Vec<String>,
    /// Whether the field with the time was there.
    pub has_time: bool,
    names: HashSet<String>,
}

impl<'a> Compiler<'a> {
    /// Nothing yet.
    pub fn new(mapping: &'a MappingConfig, stored: &'a Stored) -> Self {
        Self {
            mapping,
            stored,
            keys: Vec::new(),
            sorted: Vec::new(),
            collisions: Vec::new(),
            conflicts: Vec::new(),
            has_time: false,
            names: HashSet::from([RESERVED.to_owned()]),
        }
    }

    /// The step of the next field. `length` is that of an array, if it is known.
    pub fn op(&mut self, name: &str, ty: &Type, length: Option<usize>) -> Result<Op, PlanError> {
        let (null_branch, ty) = unwrap_nullable(ty);
        let unsupported = || PlanError::Unsupported(name.to_owned());
        if let Type::Array(items) = ty {
            let (item_null, item) = unwrap_nullable(items);
            let kind = self.kind(item).filter(|kind| *kind != Kind::Fixed(0)).ok_or_else(unsupported)?;
            let mut base = vec![b','];
            escape_into(name, b",= ", &mut base);
            let length = length.unwrap_or(0).min(MAX_PREPARED);
            let keys = (0..length)
                .map(|index| self.key(format!("{name}{index}"), kind.stored()))
                .collect::<Result<_, _>>()?;
            let shape = Shape::Many(Box::new(Elements { base: base.into(), keys, item_null }));
            return Ok(Op { kind, null_branch, shape, notes: None });
        }
        let mut kind = self.kind(ty).ok_or_else(unsupported)?;
        let mut notes = Notes { private: PrivateField::of(name, ty), ..Notes::default() };
        let is_tag = self.mapping.tags.iter().any(|tag| tag == name);
        if is_tag {
            notes.tags.push(tag_key(name));
        }
        for (field, tag) in self.mapping.writer_tags.iter().map(|tag| tag.names()) {
            if field == name {
                notes.tags.push(tag_key(tag));
            }
        }
        if name == self.mapping.time_field {
            match kind {
                Kind::Plain(Plain::Double) => kind = Kind::Time,
                Kind::Plain(Plain::Int | Plain::Long) => notes.is_time = true,
                _ => return Err(PlanError::NoTime(name.to_owned())),
            }
            self.has_time = true;
        }
        let key = if is_tag { Key::default() } else { self.key(name.to_owned(), kind.stored())? };
        let notes = (notes != Notes::default()).then(|| Box::new(notes));
        Ok(Op { kind, null_branch, shape: Shape::One(key), notes })
    }

    fn key(&mut self, mut name: String, ty: StoredType) -> Result<Key, PlanError> {
        if self.stored.get(&name).is_some_and(|types| !types.is_empty() && !types.contains(&ty)) {
            self.conflicts.push(name.clone());
            if self.mapping.type_conflict == TypeConflict::Suffix {
                name = format!("{name}_{}", ty.name());
            }
        }
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

    fn kind(&self, ty: &Type) -> Option<Kind> {
        Some(match ty {
            Type::Boolean => Kind::Plain(Plain::Boolean),
            Type::Int => Kind::Plain(Plain::Int),
            Type::Long => Kind::Plain(Plain::Long),
            Type::Float if self.mapping.floats == Floats::Shortest => Kind::ShortFloat,
            Type::Float => Kind::Plain(Plain::Float),
            Type::Double => Kind::Plain(Plain::Double),
            Type::String | Type::Bytes => Kind::Text,
            Type::Fixed(size) => Kind::Fixed(*size),
            Type::Enum(symbols) => Kind::Enum(symbols.iter().map(|symbol| symbol.as_str().into()).collect()),
            Type::Array(_) | Type::Nullable { .. } => return None,
        })
    }
}

fn unwrap_nullable(ty: &Type) -> (Option<u8>, &Type) {
    match ty {
        Type::Nullable { null_branch, inner } => (u8::try_from(*null_branch).ok(), inner),
        other => (None, other),
    }
}

fn tag_key(name: &str) -> Box<[u8]> {
    let mut key = vec![b','];
    escape_into(name, b",= ", &mut key);
    key.push(b'=');
    key.into()
}

/// Appends `text` with a backslash before each byte of `special`.
pub fn escape_into(text: &str, special: &[u8], out: &mut Vec<u8>) {
    for byte in text.bytes() {
        if special.contains(&byte) {
            out.push(b'\\');
        }
        out.push(byte);
    }
}
