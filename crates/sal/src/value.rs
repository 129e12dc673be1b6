//! What a sample carries: values of fields, and the private fields that its publisher fills in.

/// Value of one field, in the field's own type.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// No value, of a field that is [nullable](crate::Field::null).
    Null,
    /// A scalar of [`FieldType::Boolean`](crate::FieldType::Boolean).
    Boolean(bool),
    /// A scalar of [`FieldType::Int`](crate::FieldType::Int).
    Int(i32),
    /// A scalar of [`FieldType::Long`](crate::FieldType::Long).
    Long(i64),
    /// A scalar of [`FieldType::Float`](crate::FieldType::Float).
    Float(f32),
    /// A scalar of [`FieldType::Double`](crate::FieldType::Double).
    Double(f64),
    /// A scalar of [`FieldType::String`](crate::FieldType::String); there are no arrays of strings.
    String(String),
    /// An array of booleans.
    Booleans(Vec<bool>),
    /// An array of 32-bit integers.
    Ints(Vec<i32>),
    /// An array of 64-bit integers.
    Longs(Vec<i64>),
    /// An array of 32-bit floating-point numbers.
    Floats(Vec<f32>),
    /// An array of 64-bit floating-point numbers.
    Doubles(Vec<f64>),
}

/// The fields every record begins with, in the order of the schema.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PrivateFields<'a> {
    /// Instance of an indexed component, 1 and up; `None` where the component is not indexed.
    pub sal_index: Option<i32>,
    /// Time of publication, TAI Unix seconds.
    pub snd_stamp: f64,
    /// Time of reception, TAI Unix seconds; a reader sets it, so it is 0 in Kafka.
    pub rcv_stamp: f64,
    /// Time of the point in InfluxDB, UTC Unix seconds: `snd_stamp` less the leap seconds.
    pub efd_stamp: f64,
    /// Time at which the Kafka record was made, TAI Unix seconds.
    pub kafka_stamp: f64,
    /// Counts per topic and publisher, see [`SequenceNumber`](crate::SequenceNumber).
    pub seq_num: i32,
    /// [`Topic::rev_code`](crate::Topic::rev_code) of the topic.
    pub rev_code: &'a str,
    /// Publisher: `Component`, `Component:index` or `user@host`.
    pub identity: &'a str,
    /// Process id of the publisher.
    pub origin: i32,
}
