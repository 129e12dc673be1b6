//! Confluent's wire format: a zero byte, the schema id as four bytes big-endian, then the Avro body.

use thiserror::Error;

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
    fn other_bytes_are_refused() {
        assert_eq!(split(&[]), Err(WireError::TooShort(0)));
        assert_eq!(split(&[0, 0, 0]), Err(WireError::TooShort(3)));
        assert_eq!(split(&[1, 0, 0, 0, 1]), Err(WireError::Magic(1)));
    }
}
