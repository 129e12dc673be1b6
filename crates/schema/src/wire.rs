//! Confluent's wire format: a zero byte, the schema id as four bytes big-endian, then the Avro body.
//!
//! Newer clients may put the schema into a header instead, by its id or by the GUID that is the same in every registry. Then the
//! value is the body alone.

use std::fmt;

use thiserror::Error;

/// The header that names the schema of a record's value.
pub const VALUE_SCHEMA_HEADER: &str = "__value_schema_id";
/// First byte of that header before a GUID.
const MAGIC_GUID: u8 = 1;

/// What names a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SchemaRef {
    /// A number that the registry gave.
    Id(u32),
    /// A GUID, in the order of its text.
    Guid([u8; 16]),
}

impl From<u32> for SchemaRef {
    fn from(id: u32) -> Self {
        Self::Id(id)
    }
}

impl fmt::Display for SchemaRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let guid = match self {
            Self::Id(id) => return write!(f, "{id}"),
            Self::Guid(guid) => guid,
        };
        for (place, byte) in guid.iter().enumerate() {
            let dash = if matches!(place, 4 | 6 | 8 | 10) { "-" } else { "" };
            write!(f, "{dash}{byte:02x}")?;
        }
        Ok(())
    }
}

/// First byte of every record value.
pub const MAGIC: u8 = 0;
/// Bytes before the Avro body.
pub const PREFIX_LEN: usize = 5;

/// Why bytes are not in the wire format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum WireError {
    /// Fewer bytes than magic byte and schema id take.
    #[error("{0} bytes are too short for the wire format, which begins with 5 bytes of magic and schema id")]
    TooShort(usize),
    /// The first byte is another one.
    #[error("first byte is {0:#04x}, not the magic byte 0x00 of the wire format")]
    Magic(u8),
    /// The header with the schema is neither of its two forms.
    #[error("header {VALUE_SCHEMA_HEADER} of {0} bytes holds neither a schema id nor a GUID")]
    Header(usize),
}

/// Appends magic byte and schema id; the Avro body follows.
pub fn begin(out: &mut Vec<u8>, schema_id: u32) {
    out.push(MAGIC);
    out.extend_from_slice(&schema_id.to_be_bytes());
}

/// Takes a record value apart: schema id and Avro body.
///
/// # Errors
/// When the prefix is too short or begins with another byte.
pub fn split(bytes: &[u8]) -> Result<(u32, &[u8]), WireError> {
    let (prefix, body) = bytes.split_first_chunk::<PREFIX_LEN>().ok_or(WireError::TooShort(bytes.len()))?;
    let [magic, id @ ..] = *prefix;
    if magic != MAGIC {
        return Err(WireError::Magic(magic));
    }
    Ok((u32::from_be_bytes(id), body))
}

/// The schema that a header [`VALUE_SCHEMA_HEADER`] names; the value is the Avro body alone.
///
/// # Errors
/// When the header has another form than magic byte and id or GUID.
pub fn header(value: &[u8]) -> Result<SchemaRef, WireError> {
    match value {
        [MAGIC, id @ ..] => id.try_into().ok().map(|id| SchemaRef::Id(u32::from_be_bytes(id))),
        [MAGIC_GUID, guid @ ..] => guid.try_into().ok().map(SchemaRef::Guid),
        _ => None,
    }
    .ok_or(WireError::Header(value.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_begin_writes_split_reads() {
        let mut bytes = Vec::new();
        begin(&mut bytes, 42);
        bytes.push(7);
        assert_eq!(bytes, [0, 0, 0, 0, 42, 7]);
        assert_eq!(split(&bytes), Ok((42, &[7][..])));
    }

    #[test]
    fn a_header_names_a_schema_by_id_or_guid() {
        assert_eq!(header(&[0, 0, 0, 1, 2]), Ok(SchemaRef::Id(258)));
        let guid: [u8; 16] = std::array::from_fn(|n| n as u8 * 17);
        let schema = header(&[&[1][..], &guid].concat());
        assert_eq!(schema, Ok(SchemaRef::Guid(guid)));
        assert_eq!(schema.unwrap().to_string(), "00112233-4455-6677-8899-aabbccddeeff");
        for bad in [&[][..], &[0, 0, 0, 1], &[1, 0, 0, 0, 1], &[2, 0, 0, 0, 1]] {
            assert_eq!(header(bad), Err(WireError::Header(bad.len())));
        }
    }

    #[test]
    fn other_bytes_are_refused() {
        assert_eq!(split(&[]), Err(WireError::TooShort(0)));
        assert_eq!(split(&[0, 0, 0]), Err(WireError::TooShort(3)));
        assert_eq!(split(&[1, 0, 0, 0, 1]), Err(WireError::Magic(1)));
    }
}
