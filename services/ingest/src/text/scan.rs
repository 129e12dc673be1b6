//! Items of a text record to values. Pure.

use std::ops::RangeInclusive;
use std::slice::Iter;

use thiserror::Error;

/// Why an item is no value of its field.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ScanError {
    /// The items end before the fields do.
    #[error("field {field} has no item, the text has {found} items and the topic {expected}")]
    Missing {
        /// First field without an item.
        field: String,
        /// Items behind the first six.
        found: usize,
        /// Items that the topic has.
        expected: usize,
    },
    /// The fields end before the items do.
    #[error("the text has {found} items and the topic {expected}")]
    Surplus {
        /// Items behind the first six.
        found: usize,
        /// Items that the topic has.
        expected: usize,
    },
    /// The item is of another type.
    #[error("field {field} is {text:?}, not {what}")]
    Type {
        /// Name.
        field: String,
        /// The item.
        text: String,
        /// What it should be.
        what: String,
    },
}

/// Hands out items one after the other.
#[derive(Debug, Clone)]
pub struct Scanner<'a> {
    items: Iter<'a, &'a str>,
    found: usize,
    expected: usize,
}

impl<'a> Scanner<'a> {
    /// Of the items of a record whose topic has `expected`.
    pub fn new(items: &'a [&'a str], expected: usize) -> Self {
        Self { items: items.iter(), found: items.len(), expected }
    }

    /// The next item.
    ///
    /// # Errors
    /// When there is none.
    pub fn text(&mut self, field: &str) -> Result<&'a str, ScanError> {
        let (found, expected) = (self.found, self.expected);
        let missing = || ScanError::Missing { field: field.to_owned(), found, expected };
        self.items.next().copied().ok_or_else(missing)
    }

    /// Whether every item was used.
    ///
    /// # Errors
    /// When some are left.
    pub fn end(&self) -> Result<(), ScanError> {
        match self.items.len() {
            0 => Ok(()),
            _ => Err(ScanError::Surplus { found: self.found, expected: self.expected }),
        }
    }

    /// The next item as a boolean: `true` and `false` in any case, or a number, of which only 0 is false.
    ///
    /// # Errors
    /// When it is anything else.
    pub fn boolean(&mut self, field: &str) -> Result<bool, ScanError> {
        let text = self.text(field)?;
        let word = text.trim();
        if word.eq_ignore_ascii_case("true") {
            return Ok(true);
        }
        if word.eq_ignore_ascii_case("false") {
            return Ok(false);
        }
        let number: Option<f64> = word.parse().ok().filter(|number: &f64| number.is_finite());
        number.map(|number| number != 0.0).ok_or_else(|| mismatch(field, text, "a boolean"))
    }

    /// The next item as a whole number.
    ///
    /// # Errors
    /// When it is none, or out of the range.
    pub fn whole(&mut self, field: &str, range: &RangeInclusive<i64>) -> Result<i64, ScanError> {
        let text = self.text(field)?;
        let number = text.trim().parse().ok().filter(|number| range.contains(number));
        number.ok_or_else(|| {
            mismatch(field, text, &format!("a whole number from {} to {}", range.start(), range.end()))
        })
    }

    /// The next item as a number, which may be `nan`, `inf` or `-inf` as C writes them.
    ///
    /// # Errors
    /// When it is none.
    pub fn number(&mut self, field: &str) -> Result<f64, ScanError> {
        let text = self.text(field)?;
        text.trim().parse().map_err(|_| mismatch(field, text, "a number"))
    }

    /// The next item as a number that a float can hold, with what digits it has.
    ///
    /// # Errors
    /// When it is none.
    #[expect(clippy::cast_possible_truncation, reason = "a float has fewer digits, its range is checked")]
    pub fn single(&mut self, field: &str) -> Result<f32, ScanError> {
        let text = self.text(field)?;
        let wide: Option<f64> = text.trim().parse().ok();
        let narrow = wide
            .map(|wide| wide as f32)
            .filter(|narrow| narrow.is_finite() || wide.is_some_and(|w| !w.is_finite()));
        narrow.ok_or_else(|| mismatch(field, text, "a number in the range of float"))
    }
}

/// An item of the wrong type.
pub fn mismatch(field: &str, text: &str, what: &str) -> ScanError {
    ScanError::Type { field: field.to_owned(), text: text.to_owned(), what: what.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one<T>(text: &str, scan: impl Fn(&mut Scanner<'_>) -> Result<T, ScanError>) -> Option<T> {
        scan(&mut Scanner::new(&[text], 1)).ok()
    }

    #[test]
    fn zero_and_false_are_false_and_nothing_is_true_by_being_there() {
        let boolean = |text| one(text, |items| items.boolean("b"));
        for text in ["0", "false", "False", "FALSE", " 0 ", "0.0", "-0"] {
            assert_eq!(boolean(text), Some(false), "{text}");
        }
        for text in ["1", "true", "True", " TRUE", "2", "-1"] {
            assert_eq!(boolean(text), Some(true), "{text}");
        }
        for text in ["", "no", "yes", "nan", "'0'"] {
            assert_eq!(boolean(text), None, "{text}");
        }
    }

    #[test]
    fn numbers_are_read_as_c_writes_them_and_never_wrap() {
        let int = |text| one(text, |items| items.whole("i", &(-2_147_483_648..=2_147_483_647)));
        assert_eq!(int("-7"), Some(-7));
        assert_eq!(int(" +2147483647 "), Some(2_147_483_647));
        for text in ["2147483648", "1.0", "", "0x10", "9999999999999999999999"] {
            assert_eq!(int(text), None, "{text}");
        }
        let number = |text| one(text, |items| items.number("d"));
        assert_eq!(number("1e-3"), Some(0.001));
        assert_eq!(number("-inf"), Some(f64::NEG_INFINITY));
        assert!(number("-nan").unwrap().is_nan());
        assert_eq!(number("1,5"), None);
        let single = |text| one(text, |items| items.single("f"));
        assert_eq!((single("0.1"), single("inf"), single("1e39")), (Some(0.1), Some(f32::INFINITY), None));
    }

    #[test]
    fn missing_and_surplus_items_are_told_with_their_number() {
        let mut scanner = Scanner::new(&["1"], 2);
        scanner.number("a").unwrap();
        scanner.end().unwrap();
        let error = scanner.number("b").unwrap_err().to_string();
        assert_eq!(error, "field b has no item, the text has 1 items and the topic 2");
        let error = Scanner::new(&["1", "2"], 0).end().unwrap_err().to_string();
        assert_eq!(error, "the text has 2 items and the topic 0");
    }
}
