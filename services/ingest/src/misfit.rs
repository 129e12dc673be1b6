//! Why a value is not what its field holds.

/// Why a value does not fit its field; each names the field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// The value is of another type than the field.
    #[error("field {field} is {expected}, not {found}")]
    Type {
        /// Name.
        field: String,
        /// What the interface says, and how such a value is given.
        expected: String,
        /// What was given.
        found: &'static str,
    },
    /// The array is longer or shorter than the interface says.
    #[error("field {field} has {expected} elements, not {found}")]
    Length {
        /// Name.
        field: String,
        /// What the interface says.
        expected: usize,
        /// What was given.
        found: usize,
    },
}

impl Misfit {
    /// Name of the field.
    pub fn field(&self) -> &str {
        match self {
            Self::Type { field, .. } | Self::Length { field, .. } => field,
        }
    }
}
