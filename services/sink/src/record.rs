//! A record as it came from Kafka, and how one is kept until it is known to be stored: key, bytes and headers packed into
//! one buffer, so that a batch keeps its records whole without an allocation for each.

/// A view of a record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record<'a> {
    /// Offset in its partition.
    pub offset: i64,
    /// Time in the record's envelope, Unix milliseconds.
    pub timestamp_ms: Option<i64>,
    /// Key; an empty one is not the same as none.
    pub key: Option<&'a [u8]>,
    /// Value; none is a tombstone.
    pub payload: Option<&'a [u8]>,
    /// Headers in order.
    pub headers: Vec<(&'a str, Option<&'a [u8]>)>,
}

/// Where a packed record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packed {
    /// Offset in its partition.
    pub offset: i64,
    timestamp_ms: Option<i64>,
    start: usize,
    key: Option<usize>,
    payload: Option<usize>,
    headers: usize,
}

/// Marks a header without a value; no value is as long.
const NO_VALUE: u32 = u32::MAX;

/// Appends a record to `buffer`.
pub fn pack(record: &Record<'_>, buffer: &mut Vec<u8>) -> Packed {
    let packed = Packed {
        offset: record.offset,
        timestamp_ms: record.timestamp_ms,
        start: buffer.len(),
        key: record.key.map(<[u8]>::len),
        payload: record.payload.map(<[u8]>::len),
        headers: record.headers.len(),
    };
    buffer.extend_from_slice(record.key.unwrap_or_default());
    buffer.extend_from_slice(record.payload.unwrap_or_default());
    for (name, value) in &record.headers {
        put_part(Some(name.as_bytes()), buffer);
        put_part(*value, buffer);
    }
    packed
}

/// The record that [`pack`] put into `buffer`. A buffer that is not the same one gives a record of empty parts.
pub fn unpack(packed: Packed, buffer: &[u8]) -> Record<'_> {
    let mut rest = buffer.get(packed.start..).unwrap_or_default();
    let key = packed.key.map(|len| take(&mut rest, len));
    let payload = packed.payload.map(|len| take(&mut rest, len));
    let headers = (0..packed.headers)
        .map(|_| {
            let name = take_part(&mut rest).unwrap_or_default();
            (std::str::from_utf8(name).unwrap_or_default(), take_part(&mut rest))
        })
        .collect();
    Record { offset: packed.offset, timestamp_ms: packed.timestamp_ms, key, payload, headers }
}

/// The payload alone of what [`unpack`] gives; empty for a tombstone.
#[inline]
pub fn payload(packed: Packed, buffer: &[u8]) -> &[u8] {
    let start = packed.start + packed.key.unwrap_or_default();
    buffer.get(start..start + packed.payload.unwrap_or_default()).unwrap_or_default()
}

fn put_part(part: Option<&[u8]>, buffer: &mut Vec<u8>) {
    let len = part.map_or(NO_VALUE, |part| u32::try_from(part.len()).unwrap_or(NO_VALUE));
    buffer.extend_from_slice(&len.to_le_bytes());
    if len != NO_VALUE {
        buffer.extend_from_slice(part.unwrap_or_default());
    }
}

fn take_part<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (len, after) = rest.split_first_chunk()?;
    *rest = after;
    let len = u32::from_le_bytes(*len);
    if len == NO_VALUE { None } else { Some(take(rest, usize::try_from(len).ok()?)) }
}

fn take<'a>(rest: &mut &'a [u8], len: usize) -> &'a [u8] {
    let (part, after) = rest.split_at_checked(len).unwrap_or_default();
    *rest = after;
    part
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packed_record_comes_back_whole() {
        let records = [
            Record { offset: 5, ..Record::default() },
            Record {
                offset: 6,
                timestamp_ms: Some(-1),
                key: Some(b""),
                payload: Some(b""),
                headers: vec![("a", None), ("b", Some(b"")), ("b", Some(b"two"))],
            },
            Record {
                offset: 7,
                timestamp_ms: Some(9),
                key: Some(b"k"),
                payload: Some(b"\0\0"),
                headers: vec![],
            },
        ];
        let mut buffer = Vec::new();
        let packed: Vec<Packed> = records.iter().map(|record| pack(record, &mut buffer)).collect();
        for (packed, record) in packed.into_iter().zip(records) {
            assert_eq!(payload(packed, &buffer), record.payload.unwrap_or_default());
            assert_eq!(unpack(packed, &buffer), record);
        }
    }

    #[test]
    fn another_buffer_is_no_panic() {
        let record = Record { payload: Some(b"abc"), headers: vec![("h", Some(b"v"))], ..Record::default() };
        let packed = pack(&record, &mut Vec::new());
        assert_eq!(unpack(packed, b"ab").payload, Some(&b""[..]));
    }
}
