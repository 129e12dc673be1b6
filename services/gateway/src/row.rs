//! Reads the values of one row of InfluxDB's answer, `[time,value,…]`, each as the type that is wanted (pure).
//!
//! Whether a number is an integer is for the schema to say, not for its text: InfluxDB prints the double 1 as `1`.

use std::borrow::Cow;

/// Reads values from left to right.
#[derive(Debug)]
pub struct RowReader<'a> {
    /// What has not been read, from the bracket or comma before the next value on.
    rest: &'a [u8],
}

/// Why a value is not what is wanted.
#[derive(Debug, PartialEq, Eq)]
pub enum ValueError {
    /// The row is not a JSON array of numbers, texts, booleans and nulls, or has another number of values.
    Malformed,
    /// It is a value of another type, which this shows.
    Misfit(String),
}

/// Longest part of a value that an error shows.
const MAX_SHOWN: usize = 40;

/// A value that is not null; without a type yet.
#[derive(Debug, Clone, Copy)]
enum Token<'a> {
    /// A number, or `true`, or `false`.
    Plain(&'a str),
    /// A text, its quotes included.
    Text(&'a [u8]),
}

impl<'a> RowReader<'a> {
    /// A reader at the first value of `row`.
    pub fn new(row: &'a [u8]) -> Self {
        Self { rest: row }
    }

    /// The next value as double; none for null.
    ///
    /// # Errors
    /// See [`ValueError`].
    pub fn double(&mut self) -> Result<Option<f64>, ValueError> {
        let Some(token) = self.token()? else { return Ok(None) };
        number(token).and_then(|text| text.parse().ok()).map(Some).ok_or_else(|| misfit(token))
    }

    /// The next value as integer; none for null. A double that is a whole number is one, since a field may have been recorded
    /// as `float` before its type was changed.
    ///
    /// # Errors
    /// See [`ValueError`].
    pub fn long(&mut self) -> Result<Option<i64>, ValueError> {
        let Some(token) = self.token()? else { return Ok(None) };
        let text = number(token).ok_or_else(|| misfit(token))?;
        let parsed = text.parse().ok().or_else(|| text.parse().ok().and_then(whole));
        parsed.map(Some).ok_or_else(|| misfit(token))
    }

    /// The next value as boolean; none for null.
    ///
    /// # Errors
    /// See [`ValueError`].
    pub fn boolean(&mut self) -> Result<Option<bool>, ValueError> {
        match self.token()? {
            None => Ok(None),
            Some(Token::Plain("true")) => Ok(Some(true)),
            Some(Token::Plain("false")) => Ok(Some(false)),
            Some(token) => Err(misfit(token)),
        }
    }

    /// The next value as text; none for null.
    ///
    /// # Errors
    /// See [`ValueError`].
    pub fn text(&mut self) -> Result<Option<Cow<'a, str>>, ValueError> {
        match self.token()? {
            None => Ok(None),
            Some(Token::Text(quoted)) => unquoted(quoted).map(Some),
            Some(token) => Err(misfit(token)),
        }
    }

    /// To be called after the last value.
    ///
    /// # Errors
    /// `Malformed` when there are more values.
    pub fn end(mut self) -> Result<(), ValueError> {
        self.skip_blanks();
        if self.rest == b"]" { Ok(()) } else { Err(ValueError::Malformed) }
    }

    fn token(&mut self) -> Result<Option<Token<'a>>, ValueError> {
        self.skip_blanks();
        let Some((b'[' | b',', rest)) = self.rest.split_first() else { return Err(ValueError::Malformed) };
        self.rest = rest;
        self.skip_blanks();
        let token = if self.rest.first() == Some(&b'"') {
            Token::Text(self.take(text_length(self.rest)?)?)
        } else {
            let is_end = |byte: &u8| matches!(byte, b',' | b']' | b' ' | b'\n' | b'\t' | b'\r');
            let length = self.rest.iter().position(is_end).filter(|length| *length > 0);
            let bytes = self.take(length.ok_or(ValueError::Malformed)?)?;
            Token::Plain(std::str::from_utf8(bytes).map_err(|_| ValueError::Malformed)?)
        };
        Ok(if matches!(token, Token::Plain("null")) { None } else { Some(token) })
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], ValueError> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(ValueError::Malformed)?;
        self.rest = rest;
        Ok(taken)
    }

    fn skip_blanks(&mut self) {
        if self.rest.first().is_some_and(u8::is_ascii_whitespace) {
            self.rest = self.rest.trim_ascii_start();
        }
    }
}

/// Bytes of the text at the beginning of `rest`, with both quotes.
fn text_length(rest: &[u8]) -> Result<usize, ValueError> {
    let mut is_escaped = false;
    for (place, byte) in rest.iter().enumerate().skip(1) {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return Ok(place + 1),
            _ => {}
        }
    }
    Err(ValueError::Malformed)
}

fn unquoted(quoted: &[u8]) -> Result<Cow<'_, str>, ValueError> {
    if quoted.contains(&b'\\') {
        return serde_json::from_slice::<String>(quoted).map(Cow::Owned).map_err(|_| ValueError::Malformed);
    }
    let inner = quoted.get(1..quoted.len() - 1).ok_or(ValueError::Malformed)?;
    std::str::from_utf8(inner).map(Cow::Borrowed).map_err(|_| ValueError::Malformed)
}

/// The text of a number: Rust would also read `inf`, `nan` and `+1`.
fn number(token: Token<'_>) -> Option<&str> {
    match token {
        Token::Plain(text) if text.ends_with(|last: char| last.is_ascii_digit()) => Some(text),
        _ => None,
    }
}

/// The integer that a double is.
fn whole(double: f64) -> Option<i64> {
    /// 2⁶³: every whole double below it and not below its negative is an `i64`.
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    let is_whole = double.fract() == 0.0 && (-LIMIT..LIMIT).contains(&double);
    is_whole.then_some(double as i64)
}

fn misfit(token: Token<'_>) -> ValueError {
    let shown = match token {
        Token::Plain(text) => text.chars().take(MAX_SHOWN).collect(),
        Token::Text(quoted) => {
            String::from_utf8_lossy(quoted.get(..MAX_SHOWN).unwrap_or(quoted)).into_owned()
        }
    };
    ValueError::Misfit(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn malformed<T>() -> Result<T, ValueError> {
        Err(ValueError::Malformed)
    }

    fn misfit<T>(shown: &str) -> Result<T, ValueError> {
        Err(ValueError::Misfit(shown.to_owned()))
    }

    #[test]
    fn each_value_is_read_as_the_type_that_is_wanted() {
        let mut row = RowReader::new(
            br#"[1700000000000000000,1,1e-7,-0.5,9007199254740993,true,"a\"b\n\u00e9",null,"]" ]"#,
        );
        assert_eq!(row.long(), Ok(Some(1_700_000_000_000_000_000)));
        assert_eq!(row.double(), Ok(Some(1.0)));
        assert_eq!(row.double(), Ok(Some(1e-7)));
        assert_eq!(row.double(), Ok(Some(-0.5)));
        assert_eq!(row.long(), Ok(Some(9_007_199_254_740_993)));
        assert_eq!(row.boolean(), Ok(Some(true)));
        assert_eq!(row.text().unwrap().unwrap(), "a\"b\né");
        assert_eq!(row.double(), Ok(None));
        assert_eq!(row.text().unwrap().unwrap(), "]");
        assert_eq!(row.end(), Ok(()));
    }

    #[test]
    fn doubles_are_exact() {
        for text in ["0.1", "1700000037.123456", "5e-324", "1.7976931348623157e+308", "0.10000000149011612"] {
            let row = format!("[{text}]");
            let expected: f64 = text.parse().unwrap();
            assert_eq!(RowReader::new(row.as_bytes()).double(), Ok(Some(expected)));
        }
    }

    #[test]
    fn a_whole_double_is_an_integer_and_no_other_is() {
        let long = |text: &str| RowReader::new(text.as_bytes()).long();
        assert_eq!(long("[1.5e+3]"), Ok(Some(1500)));
        assert_eq!(long("[-9223372036854775808]"), Ok(Some(i64::MIN)));
        assert_eq!(long("[9223372036854775808]"), misfit("9223372036854775808"));
        assert_eq!(long("[1.5]"), misfit("1.5"));
        assert_eq!(long("[true]"), misfit("true"));
        assert_eq!(long("[\"7\"]"), misfit("\"7\""));
    }

    #[test]
    fn what_is_no_row_is_refused() {
        assert_eq!(RowReader::new(b"[1]").boolean(), misfit("1"));
        assert_eq!(RowReader::new(b"[nan]").double(), misfit("nan"));
        assert_eq!(RowReader::new(b"[inf]").double(), misfit("inf"));
        for row in ["", "[", "1", "[1", "[,1]", "[]", "[\"a", "[\"a\\\"]"] {
            assert_eq!(RowReader::new(row.as_bytes()).double(), malformed(), "{row}");
        }
        let mut row = RowReader::new(b"[1,2]");
        assert_eq!(row.long(), Ok(Some(1)));
        assert_eq!(row.end(), malformed());
        let mut row = RowReader::new(b"[1]");
        assert_eq!(row.long(), Ok(Some(1)));
        assert_eq!(row.long(), malformed());
        assert_eq!(RowReader::new(b"[\"\\q\"]").text(), malformed());
        assert_eq!(RowReader::new(b"[\"\xff\"]").text(), malformed());
    }
}
