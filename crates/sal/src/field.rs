//! Fields of a topic: those of the interface file and the private ones that SAL adds.

/// The longest array a topic may have. The longest in use has 3,024 elements; without a bound a slip in one
/// `Count` would make a schema of gigabytes, because its default lists every element.
pub const MAX_COUNT: usize = 65_536;

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

/// `IDL_Type` of an interface file and what it becomes. SAL's `long` has 32 bits; unsigned types go to the
/// next signed type that holds all their values.
const IDL_TYPES: [(&str, FieldType); 11] = [
    ("boolean", FieldType::Boolean),
    ("byte", FieldType::Int),
    ("short", FieldType::Int),
    ("int", FieldType::Int),
    ("long", FieldType::Int),
    ("long long", FieldType::Long),
    ("unsigned short", FieldType::Int),
    ("unsigned int", FieldType::Long),
    ("float", FieldType::Float),
    ("double", FieldType::Double),
    ("string", FieldType::String),
];

impl FieldType {
    /// The type that an `IDL_Type` becomes; `None` for a type that Kafka-era SAL does not have.
    pub fn from_idl(idl: &str) -> Option<FieldType> {
        IDL_TYPES.iter().find(|(name, _)| *name == idl).map(|(_, ty)| *ty)
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
        IDL_TYPES.map(|(name, _)| name).join(", ")
    }
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
    /// Units as the file spells them; `unitless` where it gives none.
    pub units: String,
    /// Text from the file, not trimmed; may span lines and be empty.
    pub description: String,
    /// Added by SAL, not in the interface file.
    pub is_private: bool,
}

impl Field {
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
        name: name.to_owned(),
        ty,
        count: 1,
        units: units.to_owned(),
        description: description.to_owned(),
        is_private,
    }
}

/// The fields every topic begins with; `salIndex` is the first of an indexed component's.
pub(crate) fn private_fields(indexed: bool) -> Vec<Field> {
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
