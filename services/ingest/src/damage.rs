//! Bytes that nobody can decode, made on purpose to see what readers do with them. Pure.

use efd_schema::wire::PREFIX_LEN;

/// What is wrong with a record's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Damage {
    /// They do not begin with the magic byte of the wire format.
    Magic,
    /// The Avro body ends in its middle.
    Truncated,
    /// They are too few to hold a schema id.
    Short,
}

impl Damage {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::Magic, Self::Truncated, Self::Short];

    /// Spoils the record that begins at `start` and goes to the end.
    pub(crate) fn apply(self, start: usize, out: &mut Vec<u8>) {
        let body = out.len().saturating_sub(start + PREFIX_LEN);
        match self {
            Self::Magic => {
                if let Some(magic) = out.get_mut(start) {
                    *magic = b'{';
                }
            }
            Self::Truncated => out.truncate(start + PREFIX_LEN + body / 2),
            Self::Short => out.truncate(start + PREFIX_LEN - 2),
        }
    }
}
