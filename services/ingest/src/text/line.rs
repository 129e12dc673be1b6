//! The text records of 2019: `<component> <topic>:( 'v0', 'v1', … )`. Pure.
//!
//! Items are split at commas. An item in quotes may hold any character: its quote is closed by the next one behind which
//! stands the end, or a comma and another item. The first item in quotes decides which kind, single or double, the record
//! uses; the other kind is a character like any other. An item without quotes holds neither the quote nor a comma.
//!
//! Whoever wrote the records escaped nothing. A text that itself holds a quote, a comma and something that looks like an
//! item is split there, and the record has more items than its topic; where it could have been meant otherwise with the
//! same number of items, it is refused.

use thiserror::Error;

/// Items before those of the topic.
const PREAMBLE: usize = 6;

/// Why a text is not such a record.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LineError {
    /// The bytes are not UTF-8.
    #[error("the text is not UTF-8")]
    NotUtf8,
    /// The frame around the items is another.
    #[error("the text is not <component> <topic>:( items ): {0}")]
    Frame(&'static str),
    /// A quoted item has no end.
    #[error("item {0} has no closing quote")]
    Unclosed(usize),
    /// A quote stands where none may.
    #[error("item {0} has a quote in it but does not begin with one")]
    StrayQuote(usize),
    /// The opening quote may be the closing one of the item before.
    #[error("item {0} begins with a quote and a comma, so that it is not clear where the item before ends")]
    Ambiguous(usize),
    /// There are fewer items than every record has.
    #[error("the text has {0} items, each record begins with {PREAMBLE}")]
    Short(usize),
    /// One of the first six items is not a number.
    #[error("{name} is {text:?}, not {what}")]
    Preamble {
        /// Which one.
        name: &'static str,
        /// What it says.
        text: String,
        /// What it should be.
        what: &'static str,
    },
}

/// A text record, taken apart.
#[derive(Debug, Clone, PartialEq)]
pub struct TextRecord<'a> {
    /// Component, as the text begins with it.
    pub component: &'a str,
    /// `EFDB_Topic`: component, `_` and SAL name.
    pub topic: &'a str,
    /// What SAL added to the sample.
    pub preamble: Preamble<'a>,
    /// The items of the topic, arrays expanded in place, without their quotes.
    pub items: Vec<&'a str>,
}

/// The first six items.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Preamble<'a> {
    /// Revision code.
    pub rev_code: &'a str,
    /// Publication, Unix seconds.
    pub created: f64,
    /// Reception by SAL's writer, Unix seconds.
    pub ingested: f64,
    /// Sequence number.
    pub sequence: i64,
    /// Host of the publisher, as a number.
    pub host: i32,
    /// Process id of the publisher.
    pub origin: i32,
}

impl<'a> TextRecord<'a> {
    /// Takes a text apart.
    ///
    /// # Errors
    /// When it is no such record; says what is wrong.
    pub fn parse(text: &'a [u8]) -> Result<Self, LineError> {
        let text = std::str::from_utf8(text).map_err(|_| LineError::NotUtf8)?;
        let (head, rest) = text.split_once(":(").ok_or(LineError::Frame("`:(` is missing"))?;
        let (content, tail) = rest.rsplit_once(')').ok_or(LineError::Frame("`)` is missing"))?;
        if !tail.trim().is_empty() {
            return Err(LineError::Frame("something follows the last `)`"));
        }
        let (component, topic) =
            head.trim().split_once(' ').ok_or(LineError::Frame("the name of the topic is missing"))?;
        let topic = topic.trim_start();
        if !is_word(component) || !is_word(topic) {
            return Err(LineError::Frame("names are letters, digits and _"));
        }
        let mut items = split(content)?;
        if items.len() < PREAMBLE {
            return Err(LineError::Short(items.len()));
        }
        let rest = items.split_off(PREAMBLE);
        let preamble = Preamble::read(&items)?;
        Ok(Self { component, topic, preamble, items: rest })
    }
}

impl<'a> Preamble<'a> {
    fn read(items: &[&'a str]) -> Result<Self, LineError> {
        let &[rev_code, created, ingested, sequence, host, origin] = items else {
            return Err(LineError::Short(items.len()));
        };
        Ok(Self {
            rev_code,
            created: seconds("created", created)?,
            ingested: seconds("ingested", ingested)?,
            sequence: whole("sequence", sequence)?,
            host: whole("host", host)?,
            origin: whole("origin", origin)?,
        })
    }
}

fn seconds(name: &'static str, text: &str) -> Result<f64, LineError> {
    let seconds = text.trim().parse().ok().filter(|seconds: &f64| seconds.is_finite());
    seconds.ok_or_else(|| LineError::Preamble { name, text: text.to_owned(), what: "a time in seconds" })
}

fn whole<T: std::str::FromStr>(name: &'static str, text: &str) -> Result<T, LineError> {
    let what = "a whole number that fits";
    text.trim().parse().map_err(|_| LineError::Preamble { name, text: text.to_owned(), what })
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// The items, without quotes and the blanks around them.
fn split(content: &str) -> Result<Vec<&str>, LineError> {
    let mut items = Vec::new();
    let mut rest = content.trim();
    if rest.is_empty() {
        return Ok(items);
    }
    let mut quote = None;
    let mut is_behind_quoted = false;
    loop {
        let place = items.len();
        let first =
            rest.chars().next().filter(|first| is_quote(*first) && quote.is_none_or(|kind| kind == *first));
        let (item, behind) = match first {
            Some(kind) if is_behind_quoted && closes(rest, kind).is_some_and(|behind| !behind.is_empty()) => {
                return Err(LineError::Ambiguous(place));
            }
            Some(kind) => {
                quote = Some(kind);
                quoted(rest, kind).ok_or(LineError::Unclosed(place))?
            }
            None => bare(rest, quote).ok_or(LineError::StrayQuote(place))?,
        };
        is_behind_quoted = first.is_some();
        items.push(item);
        match behind.strip_prefix(',') {
            Some(next) => rest = next.trim_start(),
            None => return Ok(items),
        }
    }
}

/// An item that begins with `quote`, and the comma and everything behind it.
fn quoted(text: &str, quote: char) -> Option<(&str, &str)> {
    let inner = text.strip_prefix(quote)?;
    inner.match_indices(quote).find_map(|(at, _)| {
        let (item, end) = inner.split_at(at);
        closes(end, quote).map(|behind| (item, behind))
    })
}

/// What follows a quote that can close an item, beginning with the comma; none for any other.
fn closes(text: &str, quote: char) -> Option<&str> {
    let behind = text.strip_prefix(quote)?.trim_start();
    let is_end = behind.is_empty() || behind.strip_prefix(',').is_some_and(|next| is_item(next, quote));
    is_end.then_some(behind)
}

/// An item up to the next comma; no quote of the record's kind is in it, and none at all before the kind is known.
fn bare(text: &str, quote: Option<char>) -> Option<(&str, &str)> {
    let (item, behind) = text.split_at(text.find(',').unwrap_or(text.len()));
    let has_quote = item.contains(|c| quote.map_or_else(|| is_quote(c), |kind| kind == c));
    (!has_quote).then_some((item.trim_end(), behind))
}

/// Whether a text can begin with an item.
fn is_item(text: &str, quote: char) -> bool {
    let text = text.trim_start();
    text.starts_with(quote) || bare(text, Some(quote)).is_some()
}

fn is_quote(c: char) -> bool {
    c == '\'' || c == '"'
}

#[cfg(test)]
#[path = "line_tests.rs"]
mod tests;
