//! SAL interfaces: from the XML files of a release, and the Avro files of its cameras, to topics, Avro schemas, names
//! and times.
//!
//! [`Release::open`] finds the layout of an interfaces folder, [`Release::component`] gives a component
//! with all its topics in SAL's order, and a [`Topic`] knows its Kafka name, subject, key, measurement,
//! Avro schema and revCode. [`clashes`] finds fields that cannot be told apart in InfluxDB. [`LeapSeconds`] turns TAI into UTC and back, [`SequenceNumber`] counts as SAL does.
//!
//! The crate does no I/O, reads no clock and starts no task: the text of the files comes through [`Folder`],
//! times come in as arguments.
//!
//! Assumes that interface files are as `ts_xml` writes them: element text is taken as it stands, unknown
//! elements are passed over. On error: [`InterfaceError`] names file, line and element, and what to do;
//! [`TimeError`] refuses a time outside the leap-second table rather than guess an offset.

mod avro_file;
mod component;
mod enumeration;
mod error;
mod field;
mod flatten;
mod generics;
mod json;
mod release;
mod schema;
mod sequence;
mod subsystems;
mod suggest;
mod time;
mod topic;
mod topic_file;
mod value;
mod xml;

pub use avro_file::FileSchema;
pub use component::Component;
pub use enumeration::{EnumItem, Enumeration};
pub use error::{InterfaceError, Place};
pub use field::{Field, FieldType, MAX_COUNT, NullBranch, private_fields};
pub use flatten::{Clash, ClashKind, StoredType, clashes};
pub use release::{Folder, ListFiles, ReadFile, Release};
pub use sequence::SequenceNumber;
pub use suggest::{did_you_mean, hint, suggestions};
pub use time::{LeapSeconds, TimeError};
pub use topic::{Topic, TopicKind};
pub use value::{PrivateFields, Value};
