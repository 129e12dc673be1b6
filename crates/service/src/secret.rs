//! Passwords and tokens.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

const REDACTED: &str = "[redacted]";

/// A value that is never shown: `Debug` and `Serialize` print `[redacted]`, or an empty text when it is
/// empty.
///
/// It cannot be read from a settings file either: a secret comes from the environment or from a file of its
/// own, see [`Env::secret`](crate::Env::secret). What `Serialize` printed is accepted and means empty.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The value itself, for the one place that sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether there is no value.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn shown(&self) -> &'static str {
        if self.is_empty() { "" } else { REDACTED }
    }
}

impl From<String> for Secret {
    fn from(value: String) -> Self {
        Self(value)
    }
}

impl From<&str> for Secret {
    fn from(value: &str) -> Self {
        Self(value.to_owned())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_empty() { "[empty]" } else { REDACTED })
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.shown())
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?.unwrap_or_default();
        if text.is_empty() || text == REDACTED {
            return Ok(Self::default());
        }
        Err(de::Error::custom("a secret is not written in the settings file, give it by the environment"))
    }
}
