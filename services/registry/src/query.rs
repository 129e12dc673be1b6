//! Query parameters. Pure. Those that are not known are ignored; so are values that make no sense, which leaves the default.

use percent_encoding::percent_decode_str;

use crate::subject::Which;

/// Query parameters; of a name that comes twice the first counts.
#[derive(Debug)]
pub struct Query(Vec<(String, String)>);

/// A part of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Page {
    /// Entries left out at its beginning.
    pub offset: usize,
    /// Entries at most; none for all.
    pub limit: Option<usize>,
}

impl Query {
    /// Reads the part of an address behind `?`.
    pub fn parse(query: &str) -> Self {
        let decode =
            |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        Self(pairs.map(|(name, value)| (decode(name), decode(value))).collect())
    }

    /// A value.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// All values of a name, in their order.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// `true` in any case; Python's clients send `True` and `False`.
    pub fn flag(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// Which versions a list is to have.
    pub fn which(&self) -> Which {
        match (self.flag("deletedOnly"), self.flag("deleted")) {
            (true, _) => Which::Deleted,
            (false, true) => Which::All,
            (false, false) => Which::Live,
        }
    }

    /// Which part of a list is wanted; a negative limit is none.
    pub fn page(&self) -> Page {
        let number = |name: &str| self.get(name).and_then(|value| value.parse().ok());
        Page { offset: number("offset").unwrap_or(0), limit: number("limit") }
    }
}

impl Page {
    /// This part of a list.
    pub fn of<T>(self, list: impl Iterator<Item = T>) -> impl Iterator<Item = T> {
        list.skip(self.offset).take(self.limit.unwrap_or(usize::MAX))
    }
}
