//! Avro as Kafka carries it: the wire format, the schema registry's client, and what a schema says of each field.
//!
//! Assumes records behind Confluent's wire format whose schemas a registry serves by id. The parser of schemas is
//! apache-avro; the reader and writer of Avro binary here know no schema: a plan drives them.

pub mod avro;
mod compatibility;
pub mod point_time;
mod record;
mod references;
mod registry;
mod subname;
pub mod wire;

pub use compatibility::Compatibility;
pub use record::{Field, RecordSchema, SchemaError, Type};
pub use references::RegisteredSchema;
pub use registry::{
    RegistryClient, RegistryConfig, RegistryError, RegistryErrorKind, SubjectVersion,
    encoded as encoded_subject,
};
pub use subname::TopicSubname;
pub use wire::SchemaRef;
