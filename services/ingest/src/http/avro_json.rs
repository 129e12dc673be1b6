//! Avro's JSON form to Avro's binary form, led by the schema. Pure.
//!
//! Source of the rules: Avro specification 1.12, "JSON Encoding". A value of a union is `null` or an object with the name of
//! its branch (`{"double": 1.5}`, `{"lsst.x.Position": {…}}`), `bytes` and `fixed` are text of which each character is a
//! byte, a logical type is written as the type below it. As Avro's own decoder for Java does, NaN and the infinities are
//! taken as the texts `NaN`, `Infinity` and `-Infinity`, and every field has to be there: defaults are for readers.

use std::fmt;

use apache_avro::Schema;
use apache_avro::schema::{
    InnerDecimalSchema, Names, NamespaceRef, RecordSchema, ResolvedSchema, UnionSchema, UuidSchema,
};
use efd_schema::{avro, wire};
use serde_json::Value;

/// A value that is not as its schema says, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// Path from the top, such as `sensors[3].name`; empty for the value itself.
    pub field: String,
    /// What is wrong.
    pub problem: String,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.field.is_empty() {
            f.write_str(&self.problem)
        } else {
            write!(f, "field {}: {}", self.field, self.problem)
        }
    }
}

impl std::error::Error for Mismatch {}

impl Mismatch {
    fn new(problem: impl Into<String>) -> Self {
        Self { field: String::new(), problem: problem.into() }
    }

    /// The value of one type, where another was expected.
    fn expected(what: &str, found: &Value) -> Self {
        Self::new(format!("expected {what}, found {}", kind(found)))
    }

    /// Says that it was found inside `step`.
    fn inside(mut self, step: &str) -> Self {
        let separator = if self.field.is_empty() || self.field.starts_with('[') { "" } else { "." };
        self.field = format!("{step}{separator}{}", self.field);
        self
    }
}

/// A schema with its id in the registry.
pub struct Encoder {
    id: u32,
    schema: Schema,
    /// Copies of the named types in it, for references.
    names: Names,
}

impl Encoder {
    /// `text` is the schema that has the id `id`.
    ///
    /// # Errors
    /// When it is not a valid Avro schema; says why.
    pub fn new(id: u32, text: &str) -> Result<Self, String> {
        let schema = Schema::parse_str(text).map_err(|error| error.to_string())?;
        let resolved = ResolvedSchema::new(&schema).map_err(|error| error.to_string())?;
        let names =
            resolved.get_names().iter().map(|(name, named)| (name.clone(), (*named).clone())).collect();
        Ok(Self { id, schema, names })
    }

    /// Id of the schema.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// The value in the wire format: magic byte, schema id, Avro body.
    ///
    /// # Errors
    /// The first place where the value is not as the schema says.
    pub fn encode(&self, value: &Value) -> Result<Vec<u8>, Mismatch> {
        let mut writer = Writer { names: &self.names, out: Vec::new() };
        wire::begin(&mut writer.out, self.id);
        writer.put(&self.schema, None, value)?;
        Ok(writer.out)
    }
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoder").field("id", &self.id).finish_non_exhaustive()
    }
}

struct Writer<'s> {
    names: &'s Names,
    out: Vec<u8>,
}

impl Writer<'_> {
    /// Every step down takes a step down in the value, whose depth the JSON parser bounds.
    fn put(&mut self, schema: &Schema, namespace: NamespaceRef<'_>, value: &Value) -> Result<(), Mismatch> {
        match schema {
            Schema::Null if value.is_null() => {}
            Schema::Null => return Err(Mismatch::expected("null", value)),
            Schema::Boolean => {
                let value = value.as_bool().ok_or_else(|| Mismatch::expected("a boolean", value))?;
                avro::put_bool(&mut self.out, value);
            }
            Schema::Int | Schema::Date | Schema::TimeMillis => {
                let value = whole(value, "an int")?;
                let value = i32::try_from(value)
                    .map_err(|_| Mismatch::new(format!("{value} is out of the range of int")))?;
                avro::put_int(&mut self.out, value);
            }
            Schema::Long
            | Schema::TimeMicros
            | Schema::TimestampMillis
            | Schema::TimestampMicros
            | Schema::TimestampNanos
            | Schema::LocalTimestampMillis
            | Schema::LocalTimestampMicros
            | Schema::LocalTimestampNanos => avro::put_long(&mut self.out, whole(value, "a long")?),
            Schema::Float => avro::put_float(&mut self.out, single(value)?),
            Schema::Double => avro::put_double(&mut self.out, double(value, "a double")?),
            Schema::String | Schema::Uuid(UuidSchema::String) => {
                let text = value.as_str().ok_or_else(|| Mismatch::expected("a string", value))?;
                avro::put_str(&mut self.out, text);
            }
            Schema::Bytes | Schema::BigDecimal | Schema::Uuid(UuidSchema::Bytes) => self.put_bytes(value)?,
            Schema::Decimal(decimal) => match &decimal.inner {
                InnerDecimalSchema::Bytes => self.put_bytes(value)?,
                InnerDecimalSchema::Fixed(fixed) => self.put_fixed(fixed.size, value)?,
            },
            Schema::Fixed(fixed) | Schema::Duration(fixed) | Schema::Uuid(UuidSchema::Fixed(fixed)) => {
                self.put_fixed(fixed.size, value)?;
            }
            Schema::Enum(symbols) => self.put_symbol(&symbols.symbols, value)?,
            Schema::Array(array) => self.put_array(&array.items, namespace, value)?,
            Schema::Map(map) => self.put_map(&map.types, namespace, value)?,
            Schema::Union(union) => self.put_union(union, namespace, value)?,
            Schema::Record(record) => self.put_record(record, namespace, value)?,
            Schema::Ref { name } => {
                let full_name = name.fully_qualified_name(namespace).into_owned();
                let named = self.names.get(&full_name);
                let named = named
                    .ok_or_else(|| Mismatch::new(format!("the schema lacks {}", full_name.fullname(None))))?;
                self.put(named, full_name.namespace(), value)?;
            }
        }
        Ok(())
    }

    fn put_record(
        &mut self,
        record: &RecordSchema,
        namespace: NamespaceRef<'_>,
        value: &Value,
    ) -> Result<(), Mismatch> {
        let object = value.as_object().ok_or_else(|| Mismatch::expected("an object", value))?;
        let full_name = record.name.fully_qualified_name(namespace);
        for field in &record.fields {
            let value =
                object.get(&field.name).ok_or_else(|| Mismatch::new("is missing").inside(&field.name))?;
            self.put(&field.schema, full_name.namespace(), value)
                .map_err(|error| error.inside(&field.name))?;
        }
        match object.keys().find(|name| !record.lookup.contains_key(*name)) {
            Some(unknown) => Err(Mismatch::new("is not in the schema").inside(unknown)),
            None => Ok(()),
        }
    }

    fn put_union(
        &mut self,
        union: &UnionSchema,
        namespace: NamespaceRef<'_>,
        value: &Value,
    ) -> Result<(), Mismatch> {
        let names: Vec<String> =
            union.variants().iter().map(|branch| branch_name(branch, namespace)).collect();
        let (name, inner) = match value {
            Value::Null => ("null", value),
            Value::Object(object) if object.len() == 1 => match object.iter().next() {
                Some((name, inner)) => (name.as_str(), inner),
                None => return Err(union_error(&names, value)),
            },
            other => return Err(union_error(&names, other)),
        };
        let place =
            names.iter().position(|branch| branch == name).ok_or_else(|| union_error(&names, value))?;
        let branch = union.variants().get(place).ok_or_else(|| union_error(&names, value))?;
        avro::put_long(&mut self.out, i64::try_from(place).unwrap_or(i64::MAX));
        self.put(branch, namespace, inner)
    }

    fn put_array(
        &mut self,
        items: &Schema,
        namespace: NamespaceRef<'_>,
        value: &Value,
    ) -> Result<(), Mismatch> {
        let values = value.as_array().ok_or_else(|| Mismatch::expected("an array", value))?;
        avro::put_array_start(&mut self.out, values.len());
        for (place, value) in values.iter().enumerate() {
            self.put(items, namespace, value).map_err(|error| error.inside(&format!("[{place}]")))?;
        }
        avro::put_array_end(&mut self.out);
        Ok(())
    }

    /// A map is laid out as an array of keys and values.
    fn put_map(
        &mut self,
        types: &Schema,
        namespace: NamespaceRef<'_>,
        value: &Value,
    ) -> Result<(), Mismatch> {
        let values = value.as_object().ok_or_else(|| Mismatch::expected("an object", value))?;
        avro::put_array_start(&mut self.out, values.len());
        for (key, value) in values {
            avro::put_str(&mut self.out, key);
            self.put(types, namespace, value).map_err(|error| error.inside(key))?;
        }
        avro::put_array_end(&mut self.out);
        Ok(())
    }

    fn put_symbol(&mut self, symbols: &[String], value: &Value) -> Result<(), Mismatch> {
        let text = value.as_str().ok_or_else(|| Mismatch::expected("a string", value))?;
        let place = symbols
            .iter()
            .position(|symbol| symbol == text)
            .ok_or_else(|| Mismatch::new(format!("{text:?} is not one of {}", symbols.join(", "))))?;
        avro::put_long(&mut self.out, i64::try_from(place).unwrap_or(i64::MAX));
        Ok(())
    }

    fn put_bytes(&mut self, value: &Value) -> Result<(), Mismatch> {
        let bytes = bytes(value)?;
        avro::put_long(&mut self.out, i64::try_from(bytes.len()).unwrap_or(i64::MAX));
        self.out.extend(bytes);
        Ok(())
    }

    fn put_fixed(&mut self, size: usize, value: &Value) -> Result<(), Mismatch> {
        let bytes = bytes(value)?;
        if bytes.len() != size {
            return Err(Mismatch::new(format!("has {} bytes, not {size}", bytes.len())));
        }
        self.out.extend(bytes);
        Ok(())
    }
}

fn whole(value: &Value, what: &str) -> Result<i64, Mismatch> {
    let number = value.as_number().ok_or_else(|| Mismatch::expected(what, value))?;
    number.as_i64().ok_or_else(|| Mismatch::new(format!("expected {what}, found {number}")))
}

fn double(value: &Value, what: &str) -> Result<f64, Mismatch> {
    match value {
        Value::String(text) if text == "NaN" => Ok(f64::NAN),
        Value::String(text) if text == "Infinity" => Ok(f64::INFINITY),
        Value::String(text) if text == "-Infinity" => Ok(f64::NEG_INFINITY),
        _ => value.as_f64().ok_or_else(|| Mismatch::expected(what, value)),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a float has fewer digits, its range is checked")]
fn single(value: &Value) -> Result<f32, Mismatch> {
    let wide = double(value, "a float")?;
    let narrow = wide as f32;
    if narrow.is_infinite() && wide.is_finite() {
        return Err(Mismatch::new(format!("{value} is out of the range of float")));
    }
    Ok(narrow)
}

/// The bytes of a text whose characters are all below U+0100.
fn bytes(value: &Value) -> Result<Vec<u8>, Mismatch> {
    let text =
        value.as_str().ok_or_else(|| Mismatch::expected("a string with a character for each byte", value))?;
    let byte =
        |c: char| u8::try_from(u32::from(c)).map_err(|_| Mismatch::new(format!("{c:?} is not a byte")));
    text.chars().map(byte).collect()
}

/// How the JSON form calls a branch of a union.
fn branch_name(branch: &Schema, namespace: NamespaceRef<'_>) -> String {
    if let Some(name) = branch.name() {
        return name.fullname(namespace);
    }
    let name = match branch {
        Schema::Null => "null",
        Schema::Boolean => "boolean",
        Schema::Int | Schema::Date | Schema::TimeMillis => "int",
        Schema::Float => "float",
        Schema::Double => "double",
        Schema::Bytes | Schema::BigDecimal | Schema::Decimal(_) | Schema::Uuid(UuidSchema::Bytes) => "bytes",
        Schema::String | Schema::Uuid(_) => "string",
        Schema::Array(_) => "array",
        Schema::Map(_) => "map",
        _ => "long",
    };
    name.to_owned()
}

fn union_error(names: &[String], found: &Value) -> Mismatch {
    let branches: Vec<String> = names
        .iter()
        .map(|name| if name == "null" { "null".to_owned() } else { format!("{{\"{name}\": …}}") })
        .collect();
    Mismatch::new(format!("expected {}, found {}", branches.join(" or "), kind(found)))
}

fn kind(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) => "a boolean".to_owned(),
        Value::Number(number) => number.to_string(),
        Value::String(_) => "a string".to_owned(),
        Value::Array(_) => "an array".to_owned(),
        Value::Object(object) => match object.keys().next() {
            Some(key) if object.len() == 1 => format!("an object with {key:?}"),
            _ => "an object".to_owned(),
        },
    }
}

#[cfg(test)]
#[path = "avro_json_tests.rs"]
mod tests;
