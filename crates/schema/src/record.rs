//! What a record schema says of each field: name, type, unit, description, length of an array.

use std::collections::HashMap;
use std::sync::Arc;

use apache_avro::Schema;
use apache_avro::schema::{
    InnerDecimalSchema, Name, RecordField, RecordSchema as RecordSchemaTree, UnionSchema, UuidSchema,
};
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
        Self::parse_with(text, &[])
    }

    /// Reads the JSON text of a schema that names types of others, whose texts are in `references`.
    ///
    /// # Errors
    /// As with [`RecordSchema::parse`], and when a name is nowhere.
    pub fn parse_with(text: &str, references: &[Arc<str>]) -> Result<Self, SchemaError> {
        let (schema, others) =
            Schema::parse_str_with_list(text, references.iter().map(|text| &**text)).map_err(Box::new)?;
        Self::of(&schema, &others)
    }

    /// Reads a parsed schema that names types of `others`.
    ///
    /// # Errors
    /// When it is not a record, has a field of a type that is not supported, or a name is nowhere.
    pub fn of(schema: &Schema, others: &[Schema]) -> Result<Self, SchemaError> {
        let mut names = HashMap::new();
        for schema in others.iter().chain([schema]) {
            collect_names(schema, &mut names);
        }
        let Schema::Record(record) = schema else {
            return Err(SchemaError::NotRecord);
        };
        let mut flattened = Flattened { names, open: Vec::new(), fields: Vec::new() };
        flattened.record("", record)?;
        let fields = flattened.fields;
        let description = text_attribute(record.attributes.get("description")).or(record.doc.clone());
        Ok(Self { name: record.name.fullname(None), description, fields })
    }
}

/// The fields of a record, those of records in it included.
struct Flattened<'a> {
    names: HashMap<&'a Name, &'a Schema>,
    /// Names of the records that are open, since one may name itself.
    open: Vec<&'a Name>,
    fields: Vec<Field>,
}

impl<'a> Flattened<'a> {
    /// A record inside a record gives its fields, with its name before theirs.
    fn record(&mut self, prefix: &str, record: &'a RecordSchemaTree) -> Result<(), SchemaError> {
        self.open.push(&record.name);
        for field in &record.fields {
            let name = format!("{prefix}{}", field.name);
            match self.named(&field.schema) {
                Schema::Record(inner) if !self.open.contains(&&inner.name) => self.record(&name, inner)?,
                schema => {
                    let field = self.field(name, field, schema)?;
                    self.fields.push(field);
                }
            }
        }
        self.open.pop();
        Ok(())
    }

    fn field(&self, name: String, field: &RecordField, schema: &'a Schema) -> Result<Field, SchemaError> {
        let Some(ty) = self.simple_type(schema) else {
            let found = field.schema.canonical_form();
            return Err(SchemaError::Unsupported { field: name, found });
        };
        let length = field.default.as_ref().and_then(Value::as_array).map(Vec::len);
        let description =
            text_attribute(field.custom_attributes.get("description")).or_else(|| field.doc.clone());
        let units = text_attribute(field.custom_attributes.get("units"));
        Ok(Field { name, ty, length, description, units })
    }

    /// What a name stands for.
    fn named(&self, schema: &'a Schema) -> &'a Schema {
        match schema {
            Schema::Ref { name } => self.names.get(name).copied().unwrap_or(schema),
            other => other,
        }
    }

    fn simple_type(&self, schema: &'a Schema) -> Option<Type> {
        Some(match self.named(schema) {
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
            Schema::String | Schema::Uuid(UuidSchema::String) => Type::String,
            Schema::Bytes | Schema::BigDecimal | Schema::Uuid(UuidSchema::Bytes) => Type::Bytes,
            Schema::Fixed(fixed) | Schema::Duration(fixed) | Schema::Uuid(UuidSchema::Fixed(fixed)) => {
                Type::Fixed(fixed.size)
            }
            Schema::Decimal(decimal) => match &decimal.inner {
                InnerDecimalSchema::Bytes => Type::Bytes,
                InnerDecimalSchema::Fixed(fixed) => Type::Fixed(fixed.size),
            },
            Schema::Enum(symbols) => Type::Enum(symbols.symbols.clone()),
            Schema::Array(array) => Type::Array(Box::new(self.simple_type(&array.items)?)),
            Schema::Union(union) => self.nullable(union)?,
            _ => return None,
        })
    }

    fn nullable(&self, union: &'a UnionSchema) -> Option<Type> {
        let (null_branch, other) = match union.variants() {
            [Schema::Null, other] => (0, other),
            [other, Schema::Null] => (1, other),
            _ => return None,
        };
        Some(Type::Nullable { null_branch, inner: Box::new(self.simple_type(other)?) })
    }
}

/// All types with a name in a schema; a name stands for the type wherever it comes again.
fn collect_names<'a>(schema: &'a Schema, names: &mut HashMap<&'a Name, &'a Schema>) {
    match schema {
        Schema::Record(record) => {
            names.insert(&record.name, schema);
            for field in &record.fields {
                collect_names(&field.schema, names);
            }
        }
        Schema::Enum(symbols) => drop(names.insert(&symbols.name, schema)),
        Schema::Fixed(fixed) => drop(names.insert(&fixed.name, schema)),
        Schema::Array(array) => collect_names(&array.items, names),
        Schema::Union(union) => union.variants().iter().for_each(|variant| collect_names(variant, names)),
        _ => {}
    }
}

fn text_attribute(value: Option<&Value>) -> Option<String> {
    value.and_then(Value::as_str).map(str::to_owned)
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
    fn named_types_and_records_in_a_record_are_resolved_also_from_other_schemas() {
        let site = r#"{"type":"record","name":"efd.Site","fields":[{"name":"lat","type":"double"},
            {"name":"state","type":{"type":"enum","name":"State","symbols":["ON","OFF"]}}]}"#;
        let text = r#"{"type":"record","name":"efd.r","fields":[{"name":"site","type":"efd.Site"},
            {"name":"next","type":["null","efd.State"]},{"name":"all","type":{"type":"array","items":"efd.State"}},
            {"name":"money","type":{"type":"bytes","logicalType":"decimal","precision":4,"scale":2}}]}"#;
        let schema = RecordSchema::parse_with(text, &[site.into()]).unwrap();
        let names: Vec<_> = schema.fields.iter().map(|field| field.name.as_str()).collect();
        assert_eq!(names, ["sitelat", "sitestate", "next", "all", "money"]);
        let states = Type::Enum(vec!["ON".into(), "OFF".into()]);
        let nullable = Type::Nullable { null_branch: 0, inner: Box::new(states.clone()) };
        let types: Vec<_> = schema.fields.iter().map(|field| field.ty.clone()).collect();
        let expected = [Type::Double, states.clone(), nullable, Type::Array(Box::new(states)), Type::Bytes];
        assert_eq!(types, expected);
        assert!(RecordSchema::parse_with(text, &[]).is_err());
    }

    #[test]
    fn a_record_in_itself_is_refused() {
        let text =
            r#"{"type":"record","name":"r","fields":[{"name":"a","type":"int"},{"name":"r","type":"r"}]}"#;
        assert!(matches!(RecordSchema::parse(text), Err(SchemaError::Unsupported { .. })));
        let text = r#"{"type":"record","name":"r","fields":[{"name":"r","type":["null","r"]}]}"#;
        assert!(matches!(RecordSchema::parse(text), Err(SchemaError::Unsupported { .. })));
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
