//! A subject and its versions. Pure.

use std::sync::Arc;

use crate::error::RegistryError;
use crate::log::ConfigValue;
use crate::mode::Mode;

/// A subject. One with a setting but without versions does not exist for clients.
#[derive(Debug, Clone, Default)]
pub struct Subject {
    /// In rising order, softly deleted ones too.
    pub versions: Vec<Version>,
    pub(crate) config: Option<Arc<ConfigValue>>,
    pub(crate) mode: Option<Mode>,
}

/// One version of a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version {
    /// Number, from 1.
    pub version: u32,
    /// Schema id.
    pub id: u32,
    /// Softly deleted.
    pub deleted: bool,
}

/// Which version is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VersionRef {
    /// The highest one.
    Latest,
    /// This one.
    Number(u32),
}

/// Which versions a list has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// Those that are not deleted.
    Live,
    /// Softly deleted ones too.
    All,
    /// Only softly deleted ones.
    Deleted,
}

impl Subject {
    /// The versions that are not deleted.
    pub fn live(&self) -> impl DoubleEndedIterator<Item = &Version> {
        self.visible(false)
    }

    /// The versions that are not deleted, or all.
    pub fn visible(&self, deleted: bool) -> impl DoubleEndedIterator<Item = &Version> {
        self.versions.iter().filter(move |version| deleted || !version.deleted)
    }

    /// A version by its number, softly deleted ones too.
    pub fn version(&self, number: u32) -> Option<&Version> {
        let place = self.versions.binary_search_by_key(&number, |known| known.version).ok()?;
        self.versions.get(place)
    }

    pub(crate) fn is_blank(&self) -> bool {
        self.versions.is_empty() && self.config.is_none() && self.mode.is_none()
    }
}

impl Which {
    /// Whether a version is in the list.
    pub fn has(self, deleted: bool) -> bool {
        match self {
            Self::Live => !deleted,
            Self::All => true,
            Self::Deleted => deleted,
        }
    }
}

impl VersionRef {
    /// Reads `latest`, `-1` or a number from 1 to 2^31-1.
    ///
    /// # Errors
    /// When it is none of them.
    pub fn parse(text: &str) -> Result<Self, RegistryError> {
        if text == "latest" || text == "-1" {
            return Ok(Self::Latest);
        }
        let number = text.parse().ok().filter(|number| (1..=i32::MAX.unsigned_abs()).contains(number));
        number.map(Self::Number).ok_or_else(|| RegistryError::InvalidVersion(text.to_owned()))
    }
}
