//! Modes: whether a subject may be written, and how. Pure.

use crate::error::RegistryError;

/// What may be done with a subject, a context, or everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Everything.
    #[default]
    ReadWrite,
    /// Only reading.
    ReadOnly,
    /// Only reading, and subjects cannot have it otherwise; for everything at once.
    ReadOnlyOverride,
    /// Schemas are brought in from elsewhere, with their ids and versions.
    Import,
    /// Clients are served by another registry.
    Forward,
}

impl Mode {
    const ALL: [Self; 5] =
        [Self::ReadWrite, Self::ReadOnly, Self::ReadOnlyOverride, Self::Import, Self::Forward];

    /// The mode of a name, in upper or lower case.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.as_str().eq_ignore_ascii_case(name))
    }

    /// Its name in the interface and in the log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ReadWrite => "READWRITE",
            Self::ReadOnly => "READONLY",
            Self::ReadOnlyOverride => "READONLY_OVERRIDE",
            Self::Import => "IMPORT",
            Self::Forward => "FORWARD",
        }
    }

    /// Whether a schema may be registered, with an id of the client's choice or without.
    ///
    /// # Errors
    /// Why it may not.
    pub fn check_registration(self, subject: &str, with_id: bool) -> Result<(), RegistryError> {
        self.check_change(subject)?;
        let problem = match (self, with_id) {
            (Self::Import, true) | (Self::ReadWrite, false) => return Ok(()),
            (_, true) => "not in import mode",
            (_, false) => "not in read-write mode",
        };
        Err(RegistryError::NotPermitted(format!("Subject {subject} is {problem}")))
    }

    /// Whether something may be deleted, or a level set.
    ///
    /// # Errors
    /// Why it may not.
    pub fn check_change(self, subject: &str) -> Result<(), RegistryError> {
        let problem = match self {
            Self::ReadWrite | Self::Import => return Ok(()),
            Self::ReadOnly | Self::ReadOnlyOverride => "read-only",
            Self::Forward => "forward",
        };
        Err(RegistryError::NotPermitted(format!("Subject {subject} is in {problem} mode")))
    }
}
