//! One reason why a schema cannot read what another one wrote, and how it is told.

use std::fmt;

/// What kind of reason it is. Names are those that Avro Java and Confluent's registry give, so that scripts may look for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A named type has another name.
    NameMismatch,
    /// A fixed type has another size.
    FixedSizeMismatch,
    /// The writer has symbols that the reader lacks, and the reader has no default for them.
    MissingEnumSymbols,
    /// The reader has a field that the writer lacks, and no default for it.
    ReaderFieldMissingDefaultValue,
    /// One type cannot be read as the other.
    TypeMismatch,
    /// No branch of the reader's union takes a type of the writer.
    MissingUnionBranch,
    /// Name and aliases of a field of the reader mean different fields of the writer. Avro Java gives up on those.
    AmbiguousField,
    /// The schemas are too large to be compared. Ours.
    TooLarge,
}

/// One reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Kind.
    pub kind: Kind,
    /// Where in the reader's schema: a JSON pointer without its first slash.
    pub path: String,
    /// More about it: a name, symbols, types.
    pub detail: String,
}

/// Which of the two schemas reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// The new one.
    New,
    /// The earlier one.
    Old,
}

impl Kind {
    /// As messages have it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NameMismatch => "NAME_MISMATCH",
            Self::FixedSizeMismatch => "FIXED_SIZE_MISMATCH",
            Self::MissingEnumSymbols => "MISSING_ENUM_SYMBOLS",
            Self::ReaderFieldMissingDefaultValue => "READER_FIELD_MISSING_DEFAULT_VALUE",
            Self::TypeMismatch => "TYPE_MISMATCH",
            Self::MissingUnionBranch => "MISSING_UNION_BRANCH",
            Self::AmbiguousField => "AMBIGUOUS_FIELD",
            Self::TooLarge => "TOO_LARGE",
        }
    }
}

impl Difference {
    /// A reason at a place.
    pub fn new(kind: Kind, path: String, detail: String) -> Self {
        Self { kind, path, detail }
    }

    /// The same reason, seen from further up.
    pub fn below(mut self, path: &[String]) -> Self {
        let above = path.join("/");
        self.path = match (above.is_empty(), self.path.is_empty()) {
            (true, _) => self.path,
            (false, true) => above,
            (false, false) => format!("{above}/{}", self.path),
        };
        self
    }

    /// The reason in Confluent's manner: kind, a sentence that says which schema lacks what and where, details.
    pub fn told(&self, reader: Reader) -> Told<'_> {
        Told { difference: self, reader }
    }
}

/// A reason as text.
#[derive(Debug, Clone, Copy)]
pub struct Told<'a> {
    difference: &'a Difference,
    reader: Reader,
}

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Difference { kind, path, detail } = self.difference;
        let (reader, writer) = match self.reader {
            Reader::New => ("new", "old"),
            Reader::Old => ("old", "new"),
        };
        write!(f, "{{errorType:'{}', description:'", kind.as_str())?;
        match kind {
            Kind::NameMismatch => write!(f, "The name of the schema has changed (path '/{path}')"),
            Kind::FixedSizeMismatch => write!(
                f,
                "The size of FIXED type field at path '/{path}' in the {reader} schema does not match with the {writer} schema"
            ),
            Kind::MissingEnumSymbols => write!(
                f,
                "The {reader} schema is missing enum symbols '{detail}' at path '/{path}' in the {writer} schema"
            ),
            Kind::ReaderFieldMissingDefaultValue => write!(
                f,
                "The field '{detail}' at path '/{path}' in the {reader} schema has no default value and is missing in the {writer} schema"
            ),
            Kind::TypeMismatch => write!(
                f,
                "The type (path '/{path}') of a field in the {reader} schema does not match with the {writer} schema"
            ),
            Kind::MissingUnionBranch => write!(
                f,
                "The {reader} schema is missing a type inside a union field at path '/{path}' in the {writer} schema"
            ),
            Kind::AmbiguousField => write!(
                f,
                "The field at path '/{path}' in the {reader} schema means several fields of the {writer} schema"
            ),
            Kind::TooLarge => {
                write!(f, "The {reader} schema and the {writer} schema are too large to be compared")
            }
        }?;
        write!(f, "', additionalInfo:'{detail}'}}")
    }
}
