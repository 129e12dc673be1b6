//! Fields of a topic: those of the interface file and the private ones that SAL adds.

use std::ops::RangeInclusive;

use crate::enumeration::EnumItem;

/// The longest array a topic may have. The longest in use has 3,024 elements; without a bound a slip in one
/// `Count` would make a schema of gigabytes, because its default lists every element.
pub const MAX_COUNT: usize = 65_536;

/// Units of a field whose file gives none.
pub(crate) const UNITLESS: &str = "unitless";

/// Type of a field, or of its elements, as Avro carries it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FieldType {
    /// True or false.
    Boolean,
    /// 32-bit signed integer.
    Int,
    /// 64-bit signed integer.
    Long,
    /// 32-bit floating-point number.
    Float,
    /// 64-bit floating-point number.
    Double,
    /// UTF-8 text.
    String,
}

/// `IDL_Type` of an interface file, what it becomes, and the smallest and largest value of an integer. SAL's
/// `long` has 32 bits, its `byte` is an octet; unsigned types go to the next signed type that holds all their values.
/// The last four stand only in the oldest releases (v3.9, v4), before Kafka: `octet` is what `byte` is, `char` was
/// text, `unsigned long` has 32 bits, and the upper half of `unsigned long long` has no place in Avro.
const IDL_TYPES: [(&str, FieldType, Option<RangeInclusive<i64>>); 15] = [
    ("boolean", FieldType::Boolean, None),
    ("byte", FieldType::Int, Some(0..=255)),
    ("short", FieldType::Int, Some(-32_768..=32_767)),
    ("int", FieldType::Int, INT_RANGE),
    ("long", FieldType::Int, INT_RANGE),
    ("long long", FieldType::Long, LONG_RANGE),
    ("unsigned short", FieldType::Int, Some(0..=65_535)),
    ("unsigned int", FieldType::Long, Some(0..=4_294_967_295)),
    ("float", FieldType::Float, None),
    ("double", FieldType::Double, None),
    ("string", FieldType::String, None),
    ("octet", FieldType::Int, Some(0..=255)),
    ("char", FieldType::String, None),
    ("unsigned long", FieldType::Long, Some(0..=4_294_967_295)),
    ("unsigned long long", FieldType::Long, Some(0..=i64::MAX)),
];

const INT_RANGE: Option<RangeInclusive<i64>> = Some(-2_147_483_648..=2_147_483_647);
const LONG_RANGE: Option<RangeInclusive<i64>> = Some(i64::MIN..=i64::MAX);

impl FieldType {
    /// The type that an `IDL_Type` becomes; `None` for a type that Kafka-era SAL does not have.
    pub fn from_idl(idl: &str) -> Option<FieldType> {
        IDL_TYPES.iter().find(|(name, ..)| *name == idl).map(|(_, ty, _)| *ty)
    }

    /// Smallest and largest value that an `IDL_Type` can hold; `None` for one that is no integer, or unknown.
    pub fn idl_range(idl: &str) -> Option<RangeInclusive<i64>> {
        IDL_TYPES.iter().find(|(name, ..)| *name == idl).and_then(|(_, _, range)| range.clone())
    }

    /// Smallest and largest value that the Avro type can hold; `None` for one that is no integer.
    pub fn range(self) -> Option<RangeInclusive<i64>> {
        match self {
            FieldType::Int => INT_RANGE,
            FieldType::Long => LONG_RANGE,
            _ => None,
        }
    }

    /// The type of that Avro name.
    pub(crate) fn from_avro(name: &str) -> Option<FieldType> {
        use FieldType::{Boolean, Double, Float, Int, Long, String};
        [Boolean, Int, Long, Float, Double, String].into_iter().find(|ty| ty.avro_name() == name)
    }

    /// Name of the Avro type.
    pub fn avro_name(self) -> &'static str {
        match self {
            FieldType::Boolean => "boolean",
            FieldType::Int => "int",
            FieldType::Long => "long",
            FieldType::Float => "float",
            FieldType::Double => "double",
            FieldType::String => "string",
        }
    }

    /// The `IDL_Type` names there are, for messages.
    pub(crate) fn idl_names() -> String {
        IDL_TYPES.map(|(name, ..)| name).join(", ")
    }
}

/// Where `null` stands in the union of a field whose value may be absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NullBranch {
    /// `["null", T]`, with the default null: measured values of a camera.
    First,
    /// `[T, "null"]`, with the default of `T`: floats of the releases from November 2023 to February 2024.
    Last,
}

/// One field of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Name, the same in XML, Avro and InfluxDB.
    pub name: String,
    /// Type of the value, or of each element.
    pub ty: FieldType,
    /// Number of elements, 1 to [`MAX_COUNT`]; 1 is a scalar. Always 1 for strings, whatever the file says.
    pub count: usize,
    /// Smallest and largest value of an integer, or of each element, which Avro itself cannot state; `None` where
    /// the type is no integer.
    pub range: Option<RangeInclusive<i64>>,
    /// Units as the file spells them; `unitless` where it gives none.
    pub units: String,
    /// Text from the file, not trimmed; may span lines and be empty.
    pub description: String,
    /// Added by SAL, not in the interface file.
    pub is_private: bool,
    /// The value may be absent, and where the union says so; `None` for a plain type.
    pub null: Option<NullBranch>,
    /// Names of the integers it may hold, in the order of the file; empty where the file names none. They are
    /// not part of the schema: the wire carries the integer.
    pub enumeration: Vec<EnumItem>,
}

impl Field {
    /// A field of an interface file with the whole range of its type: unitless, without description, never null.
    pub fn new(name: &str, ty: FieldType, count: usize) -> Field {
        Field {
            name: name.to_owned(),
            ty,
            count,
            range: ty.range(),
            units: UNITLESS.to_owned(),
            description: String::new(),
            is_private: false,
            null: None,
            enumeration: Vec::new(),
        }
    }

    /// More than one element.
    pub fn is_array(&self) -> bool {
        self.count > 1
    }
}

/// Name, type, units and description of a field that no interface file has. The texts are SAL's own: they
/// are part of each schema, so of each revCode.
type Spec = (&'static str, FieldType, &'static str, &'static str);

const SAL_INDEX: Spec =
    ("salIndex", FieldType::Int, "unitless", "SAL index (only present for indexed SAL components)");

const PRIVATE: [Spec; 8] = [
    ("private_sndStamp", FieldType::Double, "second", "Time of instance publication"),
    ("private_rcvStamp", FieldType::Double, "second", "Time of instance reception"),
    (
        "private_efdStamp",
        FieldType::Double,
        "second",
        "UTC time for EFD timestamp. An integer (the number of leap seconds) different from private_sndStamp.",
    ),
    ("private_kafkaStamp", FieldType::Double, "second", "TAI time at which the Kafka message was created."),
    ("private_seqNum", FieldType::Int, "unitless", "Sequence number"),
    ("private_revCode", FieldType::String, "unitless", "Revision hashcode"),
    (
        "private_identity",
        FieldType::String,
        "unitless",
        "Identity of publisher: SAL component name for a CSC or user@host for a user",
    ),
    ("private_origin", FieldType::Int, "unitless", "Process ID of publisher"),
];

const ACK: [Spec; 7] = [
    ("ack", FieldType::Int, "unitless", "Acknowledgement code"),
    ("error", FieldType::Int, "unitless", "An error code; only relevant if ack=FAILED"),
    ("result", FieldType::String, "unitless", "Message"),
    ("identity", FieldType::String, "unitless", "private_identity field of the command being acknowledged"),
    ("origin", FieldType::Int, "unitless", "private_origin field of the command being acknowledged"),
    (
        "cmdtype",
        FieldType::Int,
        "unitless",
        "Index of command in alphabetical list of commands, with 0 being the first",
    ),
    (
        "timeout",
        FieldType::Double,
        "second",
        "Estimated remaining duration of command; only relevant if ack=INPROGRESS",
    ),
];

fn field((name, ty, units, description): Spec, is_private: bool) -> Field {
    Field {
        units: units.to_owned(),
        description: description.to_owned(),
        is_private,
        ..Field::new(name, ty, 1)
    }
}

/// The fields every topic begins with; `salIndex` is the first of an indexed component's.
pub fn private_fields(indexed: bool) -> Vec<Field> {
    let index = indexed.then_some(SAL_INDEX);
    index.into_iter().chain(PRIVATE).map(|spec| field(spec, true)).collect()
}

/// Their names.
pub(crate) fn private_names(indexed: bool) -> impl Iterator<Item = &'static str> {
    let index = indexed.then_some(SAL_INDEX);
    index.into_iter().chain(PRIVATE).map(|(name, ..)| name)
}

/// What `ackcmd` carries after the private fields.
pub(crate) fn ack_fields() -> Vec<Field> {
    ACK.into_iter().map(|spec| field(spec, false)).collect()
}
