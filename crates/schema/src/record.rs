//! What a record schema says of each field: name, type, unit, description, length of an array.

use apache_avro::Schema;
use apache_avro::schema::{RecordField, UnionSchema};
use serde_json::Value;
use thiserror::Error;

/// Why a schema cannot be used.
#[derive(Debug, Error)]
pub enum SchemaError {
    /// Not Avro.
    #[error("schema is not valid Avro: {0}")]
    Parse(#[from] Box<apache_avro::Error>),
    /// Avro, but not a record.
    #[error("schema is not a record")]
    NotRecord,
    /// A type that InfluxDB cannot hold and SAL does not use.
    #[error("field {field}: type {found} is not supported")]
    Unsupported {
        /// Name of the field.
        field: String,
        /// The Avro type.
        found: String,
    },
}

/// Avro types as SAL and the cameras use them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Type {
    /// `boolean`
    Boolean,
    /// `int`, also with a logical type: the number itself counts
    Int,
    /// `long`, also with a logical type: the number itself counts
    Long,
    /// `float`
    Float,
    /// `double`
    Double,
    /// `string`
    String,
    /// `bytes`
    Bytes,
    /// `fixed` of this many bytes
    Fixed(usize),
    /// `enum` with these symbols
    Enum(Vec<String>),
    /// `array`
    Array(Box<Type>),
    /// A union of `null` and one other type
    Nullable {
        /// Which branch is `null`: 0 or 1.
        null_branch: usize,
        /// The other branch.
        inner: Box<Type>,
    },
}

/// One field of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Name.
    pub name: String,
    /// Type.
    pub ty: Type,
    /// Elements of an array, known from its default: Avro itself cannot fix a length. None for scalars and for arrays
    /// without a default.
    pub length: Option<usize>,
    /// Description: SAL's attribute `description`, else Avro's `doc`.
    pub description: Option<String>,
    /// Unit, as SAL writes it.
    pub units: Option<String>,
}

/// A record schema in field order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordSchema {
    /// `namespace.name`, or the name alone where there is no namespace: the InfluxDB measurement.
    pub name: String,
    /// Description of the whole record.
    pub description: Option<String>,
    /// Fields in order.
    pub fields: Vec<Field>,
}

impl RecordSchema {
    /// Reads the JSON text of a schema.
    ///
    /// # Errors
    /// When it is not Avro, not a record, or has a field of a type that is not supported.
    pub fn parse(text: &str) -> Result<Self, SchemaError> {
        let Schema::Record(record) = Schema::parse_str(text).map_err(Box::new)? else {
            return Err(SchemaError::NotRecord);
        };
        let fields = record.fields.iter().map(field).collect::<Result<_, _>>()?;
        let description = text_attribute(record.attributes.get("description")).or(record.doc);
        Ok(Self { name: record.name.fullname(None), description, fields })
    }
}

fn field(field: &RecordField) -> Result<Field, SchemaError> {
    let ty = simple_type(&field.schema).ok_or_else(|| SchemaError::Unsupported {
        field: field.name.clone(),
        found: field.schema.canonical_form(),
    })?;
    let length = field.default.as_ref().and_then(Value::as_array).map(Vec::len);
    Ok(Field {
        name: field.name.clone(),
        ty,
        length,
        description: text_attribute(field.custom_attributes.get("description")).or_else(|| field.doc.clone()),
        units: text_attribute(field.custom_attributes.get("units")),
    })
}

fn text_attribute(value: Option<&Value>) -> Option<String> {
    value.and_then(Value::as_str).map(str::to_owned)
}

fn simple_type(schema: &Schema) -> Option<Type> {
    Some(match schema {
        Schema::Boolean => Type::Boolean,
        Schema::Int | Schema::Date | Schema::TimeMillis => Type::Int,
        Schema::Long
        | Schema::TimeMicros
        | Schema::TimestampMillis
        | Schema::TimestampMicros
        | Schema::TimestampNanos
        | Schema::LocalTimestampMillis
        | Schema::LocalTimestampMicros
        | Schema::LocalTimestampNanos => Type::Long,
        Schema::Float => Type::Float,
        Schema::Double => Type::Double,
        Schema::String => Type::String,
        Schema::Bytes => Type::Bytes,
        Schema::Fixed(fixed) => Type::Fixed(fixed.size),
        Schema::Enum(symbols) => Type::Enum(symbols.symbols.clone()),
        Schema::Array(array) => Type::Array(Box::new(simple_type(&array.items)?)),
        Schema::Union(union) => nullable(union)?,
        _ => return None,
    })
}

fn nullable(union: &UnionSchema) -> Option<Type> {
    let (null_branch, other) = match union.variants() {
        [Schema::Null, other] => (0, other),
        [other, Schema::Null] => (1, other),
        _ => return None,
    };
    Some(Type::Nullable { null_branch, inner: Box::new(simple_type(other)?) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA: &str = r#"{"type": "record", "name": "forces", "namespace": "lsst.sal.X", "fields": [
        {"name": "t", "type": "double", "default": 0.0, "description": "when", "units": "second"},
        {"name": "f", "type": {"type": "array", "items": "float"}, "default": [0.0, 0.0, 0.0], "description": "", "units": "N"},
        {"name": "a", "type": ["null", "double"], "default": null, "doc": "camera"},
        {"name": "b", "type": ["float", "null"], "default": 0.0},
        {"name": "ts", "type": {"type": "long", "logicalType": "timestamp-millis"}}
    ], "description": "forces on X"}"#;

    #[test]
    fn a_schema_gives_names_types_units_and_lengths() {
        let schema = RecordSchema::parse(SCHEMA).unwrap();
        assert_eq!(schema.name, "lsst.sal.X.forces");
        assert_eq!(schema.description.as_deref(), Some("forces on X"));
        let types: Vec<_> = schema.fields.iter().map(|field| field.ty.clone()).collect();
        assert_eq!(
            types,
            [
                Type::Double,
                Type::Array(Box::new(Type::Float)),
                Type::Nullable { null_branch: 0, inner: Box::new(Type::Double) },
                Type::Nullable { null_branch: 1, inner: Box::new(Type::Float) },
                Type::Long,
            ]
        );
        assert_eq!(schema.fields[1].length, Some(3));
        assert_eq!(schema.fields[0].units.as_deref(), Some("second"));
        assert_eq!(schema.fields[2].description.as_deref(), Some("camera"));
    }

    #[test]
    fn a_dotted_name_without_namespace_is_the_same_measurement() {
        let text = r#"{"type":"record","name":"lsst.sal.X.y","fields":[{"name":"a","type":"int"}]}"#;
        assert_eq!(RecordSchema::parse(text).unwrap().name, "lsst.sal.X.y");
        let text = r#"{"type":"record","name":"y","fields":[]}"#;
        assert_eq!(RecordSchema::parse(text).unwrap().name, "y");
    }

    #[test]
    fn what_cannot_be_stored_is_named() {
        let text =
            r#"{"type":"record","name":"y","fields":[{"name":"m","type":{"type":"map","values":"int"}}]}"#;
        assert!(RecordSchema::parse(text).unwrap_err().to_string().starts_with("field m: type"));
        assert!(matches!(RecordSchema::parse("\"int\""), Err(SchemaError::NotRecord)));
        assert!(matches!(RecordSchema::parse("{"), Err(SchemaError::Parse(_))));
    }
}
