//! A schema as a graph: every type is a node, every use of a type an edge, references by name resolved.
//!
//! Logical types are what they are written as, since Avro's rules of resolution do not know them.

use std::collections::HashMap;

use apache_avro::Schema;
use apache_avro::schema::{Alias, FixedSchema, InnerDecimalSchema, Name, RecordSchema, UuidSchema};

/// Place of a node in its [`Graph`].
pub type Place = usize;

/// A schema that can be compared.
#[derive(Debug)]
pub struct Graph<'a> {
    nodes: Vec<Node<'a>>,
    /// Where the schema begins.
    pub root: Place,
}

/// One type.
#[derive(Debug)]
pub enum Node<'a> {
    /// `null`, `boolean`, …
    Primitive(Primitive),
    /// An array, and its items.
    Array(Place),
    /// A map, and its values.
    Map(Place),
    /// A union, and its branches.
    Union(Vec<Place>),
    /// A record.
    Record(Record<'a>),
    /// An enumeration.
    Enum {
        /// What it is called.
        names: Names,
        /// Its symbols.
        symbols: &'a [String],
        /// The symbol that stands for one the reader does not know.
        default: Option<&'a str>,
    },
    /// Bytes of a fixed length.
    Fixed {
        /// What it is called.
        names: Names,
        /// The length.
        size: usize,
    },
    /// A name that nothing has defined yet.
    Undefined(String),
}

/// The types without a name and without parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Primitive {
    /// Nothing.
    Null,
    /// True or false.
    Boolean,
    /// 32 bits.
    Int,
    /// 64 bits.
    Long,
    /// 32 bits.
    Float,
    /// 64 bits.
    Double,
    /// Any bytes.
    Bytes,
    /// Text.
    String,
}

/// Full names of a type.
#[derive(Debug)]
pub struct Names {
    /// Its own.
    pub name: String,
    /// Those it may have been written under.
    pub aliases: Vec<String>,
}

/// A record.
#[derive(Debug)]
pub struct Record<'a> {
    /// What it is called.
    pub names: Names,
    /// In order.
    pub fields: Vec<Field<'a>>,
    /// Places in `fields`.
    by_name: HashMap<&'a str, usize>,
}

/// A field.
#[derive(Debug)]
pub struct Field<'a> {
    /// Name.
    pub name: &'a str,
    /// Names it may have been written under.
    pub aliases: &'a [String],
    /// A value is known for a record that lacks it.
    pub has_default: bool,
    /// Type.
    pub ty: Place,
}

impl Record<'_> {
    /// The field of that name, and its place.
    pub fn field(&self, name: &str) -> Option<(usize, &Field<'_>)> {
        let place = *self.by_name.get(name)?;
        Some((place, self.fields.get(place)?))
    }
}

impl Node<'_> {
    /// The type as messages name it.
    pub fn kind(&self) -> &'static str {
        match self {
            Node::Primitive(Primitive::Null) => "NULL",
            Node::Primitive(Primitive::Boolean) => "BOOLEAN",
            Node::Primitive(Primitive::Int) => "INT",
            Node::Primitive(Primitive::Long) => "LONG",
            Node::Primitive(Primitive::Float) => "FLOAT",
            Node::Primitive(Primitive::Double) => "DOUBLE",
            Node::Primitive(Primitive::Bytes) => "BYTES",
            Node::Primitive(Primitive::String) => "STRING",
            Node::Array(_) => "ARRAY",
            Node::Map(_) => "MAP",
            Node::Union(_) => "UNION",
            Node::Record(_) => "RECORD",
            Node::Enum { .. } => "ENUM",
            Node::Fixed { .. } => "FIXED",
            Node::Undefined(_) => "UNDEFINED",
        }
    }
}

impl<'a> Graph<'a> {
    /// The graph of a schema that defines every type it uses.
    ///
    /// # Errors
    /// When it uses a name that it does not define.
    pub fn new(schema: &'a Schema) -> Result<Self, String> {
        let mut builder = Builder::default();
        let root = builder.add(schema);
        let undefined = builder.nodes.iter().find_map(|node| match node {
            Node::Undefined(name) => Some(name),
            _ => None,
        });
        match undefined {
            Some(name) => Err(format!("the type {name} is not defined")),
            None => Ok(Self { nodes: builder.nodes, root }),
        }
    }

    /// The node at a place that this graph gave.
    pub fn node(&self, place: Place) -> &Node<'a> {
        self.nodes.get(place).expect("a graph gives only places of its own nodes")
    }
}

/// The depth of a schema is bounded by its parser, since JSON may be nested 128 deep.
#[derive(Debug, Default)]
struct Builder<'a> {
    nodes: Vec<Node<'a>>,
    named: HashMap<String, Place>,
    primitives: HashMap<Primitive, Place>,
}

impl<'a> Builder<'a> {
    fn add(&mut self, schema: &'a Schema) -> Place {
        match schema {
            Schema::Array(array) => {
                let items = self.add(&array.items);
                self.push(Node::Array(items))
            }
            Schema::Map(map) => {
                let values = self.add(&map.types);
                self.push(Node::Map(values))
            }
            Schema::Union(union) => {
                let branches = union.variants().iter().map(|branch| self.add(branch)).collect();
                self.push(Node::Union(branches))
            }
            Schema::Record(record) => self.add_record(record),
            Schema::Enum(symbols) => {
                let names = names(&symbols.name, symbols.aliases.as_deref());
                let default = symbols.default.as_deref();
                self.define(Node::Enum { names, symbols: &symbols.symbols, default })
            }
            Schema::Fixed(fixed) | Schema::Duration(fixed) | Schema::Uuid(UuidSchema::Fixed(fixed)) => {
                self.add_fixed(fixed)
            }
            Schema::Decimal(decimal) => match &decimal.inner {
                InnerDecimalSchema::Fixed(fixed) => self.add_fixed(fixed),
                InnerDecimalSchema::Bytes => self.add_primitive(Primitive::Bytes),
            },
            Schema::Ref { name } => self.named(&name.fullname(None)),
            other => self.add_primitive(primitive(other)),
        }
    }

    fn add_record(&mut self, record: &'a RecordSchema) -> Place {
        let names = names(&record.name, record.aliases.as_deref());
        // Its place is known before its fields are, which may use it.
        self.named(&names.name);
        let mut fields = Vec::with_capacity(record.fields.len());
        for field in &record.fields {
            let ty = self.add(&field.schema);
            fields.push(Field {
                name: &field.name,
                aliases: &field.aliases,
                has_default: field.default.is_some(),
                ty,
            });
        }
        let by_name = fields.iter().enumerate().map(|(place, field)| (field.name, place)).collect();
        self.define(Node::Record(Record { names, fields, by_name }))
    }

    fn add_fixed(&mut self, fixed: &'a FixedSchema) -> Place {
        let names = names(&fixed.name, fixed.aliases.as_deref());
        self.define(Node::Fixed { names, size: fixed.size })
    }

    fn add_primitive(&mut self, primitive: Primitive) -> Place {
        if let Some(place) = self.primitives.get(&primitive) {
            return *place;
        }
        let place = self.push(Node::Primitive(primitive));
        self.primitives.insert(primitive, place);
        place
    }

    /// Fills the place of a named type.
    fn define(&mut self, node: Node<'a>) -> Place {
        let (Node::Record(Record { names, .. }) | Node::Enum { names, .. } | Node::Fixed { names, .. }) =
            &node
        else {
            return self.push(node);
        };
        let place = self.named(&names.name);
        // Within a schema a type may also be meant by one of its aliases.
        for alias in &names.aliases {
            self.named.entry(alias.clone()).or_insert(place);
        }
        if let Some(slot) = self.nodes.get_mut(place) {
            *slot = node;
        }
        place
    }

    fn named(&mut self, name: &str) -> Place {
        if let Some(place) = self.named.get(name) {
            return *place;
        }
        let place = self.push(Node::Undefined(name.to_owned()));
        self.named.insert(name.to_owned(), place);
        place
    }

    fn push(&mut self, node: Node<'a>) -> Place {
        self.nodes.push(node);
        self.nodes.len() - 1
    }
}

fn names(name: &Name, aliases: Option<&[Alias]>) -> Names {
    let aliases = aliases.unwrap_or_default().iter().map(|alias| alias.fullname(name.namespace())).collect();
    Names { name: name.fullname(None), aliases }
}

fn primitive(schema: &Schema) -> Primitive {
    match schema {
        Schema::Null => Primitive::Null,
        Schema::Boolean => Primitive::Boolean,
        Schema::Int | Schema::Date | Schema::TimeMillis => Primitive::Int,
        Schema::Float => Primitive::Float,
        Schema::Double => Primitive::Double,
        Schema::Bytes | Schema::BigDecimal | Schema::Uuid(UuidSchema::Bytes) => Primitive::Bytes,
        Schema::String | Schema::Uuid(_) => Primitive::String,
        // What is left are the times and dates that are written as long.
        _ => Primitive::Long,
    }
}
