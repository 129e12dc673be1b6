//! Joins the pieces of a chunked answer to the one object that InfluxDB gives to a client that does not ask for pieces (pure).
//!
//! InfluxDB gathers such an answer in its memory before it sends the first byte, and answers of the EFD are large. So it is asked for
//! pieces, `{"results":[{"statement_id":0,"series":[{"name":…,"columns":…,"values":[…],"partial":true}],"partial":true}]}` one after the
//! other, and their rows go out while they arrive: pieces of one series become one series, pieces of one statement one result. What is kept is
//! what stands around the rows.

use serde::Deserialize;
use serde_json::{Value, json};

/// Arrays around the values of a row: results, series, values, and the row itself.
const ROW_DEPTH: usize = 4;

/// Why pieces cannot be joined.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JoinError {
    /// Not what the interface promises.
    #[error("not the JSON it promises: {0}")]
    Malformed(String),
    /// What stands around rows is longer than the bound.
    #[error("what stands around rows is longer than {0} bytes (setting query.max_row_bytes)")]
    TooLong(usize),
    /// The answer ends before its end.
    #[error("it ends in the middle")]
    Ended,
}

/// Joins pieces.
#[derive(Debug)]
pub struct Joiner {
    max_bytes: usize,
    /// What stands around results and series in the current piece; what was dealt with is taken out.
    around: Vec<u8>,
    /// Where the current result begins in it.
    result_start: usize,
    /// The current series up to its first row.
    series: Vec<u8>,
    objects: usize,
    arrays: usize,
    in_text: bool,
    is_escaped: bool,
    in_series: bool,
    /// Whether the current series of the piece has rows.
    has_rows: bool,
    is_partial: bool,
    out: Joined,
}

/// The one object.
#[derive(Debug, Default)]
struct Joined {
    text: Vec<u8>,
    /// Results that have begun.
    results: usize,
    /// The result that is not closed yet.
    statement: Option<u64>,
    /// Messages and error of it.
    messages: Vec<Value>,
    error: Option<String>,
    has_series: bool,
    /// The beginning of the series that is not closed yet.
    open_series: Option<Vec<u8>>,
    has_row: bool,
    /// An error of the whole answer.
    failure: Option<String>,
}

/// What a result says beside its series.
#[derive(Deserialize)]
struct Remark {
    statement_id: u64,
    #[serde(default)]
    messages: Vec<Value>,
    error: Option<String>,
    #[serde(default)]
    partial: bool,
}

/// What a piece says beside its results.
#[derive(Deserialize)]
struct Piece {
    error: Option<String>,
}

impl Joiner {
    /// Keeps at most `max_bytes` of what stands around rows.
    pub fn new(max_bytes: usize) -> Self {
        Self {
            max_bytes,
            around: Vec::new(),
            result_start: 0,
            series: Vec::new(),
            objects: 0,
            arrays: 0,
            in_text: false,
            is_escaped: false,
            in_series: false,
            has_rows: false,
            is_partial: false,
            out: Joined::default(),
        }
    }

    /// Takes what came next and gives what can be sent.
    ///
    /// # Errors
    /// `Malformed` and `TooLong`.
    pub fn push(&mut self, mut bytes: &[u8]) -> Result<Vec<u8>, JoinError> {
        while let Some((&byte, after)) = bytes.split_first() {
            let plain = self.plain(bytes);
            if plain > 0 {
                let (copied, rest) = bytes.split_at(plain);
                self.keep(copied)?;
                bytes = rest;
                continue;
            }
            self.step(byte)?;
            bytes = after;
        }
        Ok(std::mem::take(&mut self.out.text))
    }

    /// To be called when no more comes: gives the end.
    ///
    /// # Errors
    /// `Ended` when an object is open, or InfluxDB has announced another one.
    pub fn finish(&mut self) -> Result<Vec<u8>, JoinError> {
        if self.objects > 0 || self.is_partial {
            return Err(JoinError::Ended);
        }
        self.out.finish();
        Ok(std::mem::take(&mut self.out.text))
    }

    /// How many bytes from here change nothing but what they are part of.
    fn plain(&self, bytes: &[u8]) -> usize {
        let is_plain: fn(&u8) -> bool = match (self.is_escaped, self.in_text, self.objects) {
            (true, ..) | (_, false, 0) => return 0,
            (_, true, _) => |byte| !matches!(byte, b'"' | b'\\'),
            (_, false, _) => |byte| !matches!(byte, b'"' | b'[' | b']' | b'{' | b'}' | b','),
        };
        bytes.iter().position(|byte| !is_plain(byte)).unwrap_or(bytes.len())
    }

    fn step(&mut self, byte: u8) -> Result<(), JoinError> {
        if self.in_text {
            match byte {
                _ if self.is_escaped => self.is_escaped = false,
                b'\\' => self.is_escaped = true,
                b'"' => self.in_text = false,
                _ => {}
            }
            return self.keep(&[byte]);
        }
        match byte {
            b'"' => {
                self.in_text = true;
                self.keep(b"\"")
            }
            b'{' => self.open_object(),
            b'}' => self.close_object(),
            b'[' => self.open_array(),
            b']' => self.close_array(),
            // Between results, series and rows: they are separated anew.
            b',' if self.is_between() => Ok(()),
            _ if self.objects == 0 && !byte.is_ascii_whitespace() => {
                Err(malformed("something else than an object"))
            }
            _ if self.objects == 0 => Ok(()),
            _ => self.keep(&[byte]),
        }
    }

    fn is_between(&self) -> bool {
        match (self.objects, self.arrays) {
            (1, 1) => true,
            (2, 2) => self.in_series,
            (3, 3) => self.in_series && self.has_rows,
            _ => false,
        }
    }

    /// Puts bytes where they belong.
    fn keep(&mut self, bytes: &[u8]) -> Result<(), JoinError> {
        let place = if self.in_series && self.objects >= 3 {
            if self.arrays >= ROW_DEPTH {
                self.out.text.extend_from_slice(bytes);
                return Ok(());
            }
            if self.has_rows {
                // What stands behind the rows says only that more follow.
                return Ok(());
            }
            &mut self.series
        } else {
            &mut self.around
        };
        place.extend_from_slice(bytes);
        if place.len() > self.max_bytes { Err(JoinError::TooLong(self.max_bytes)) } else { Ok(()) }
    }

    fn open_object(&mut self) -> Result<(), JoinError> {
        self.objects += 1;
        match (self.objects, self.arrays) {
            (2, 1) => self.result_start = self.around.len(),
            (3, 2) if self.in_series => {
                self.series.clear();
                self.has_rows = false;
            }
            _ => {}
        }
        self.keep(b"{")
    }

    fn close_object(&mut self) -> Result<(), JoinError> {
        self.keep(b"}")?;
        self.objects =
            self.objects.checked_sub(1).ok_or_else(|| malformed("an object ends that never began"))?;
        match (self.objects, self.arrays) {
            (2, 2) if self.in_series && !self.has_rows => {
                let statement = self.statement()?;
                self.out.whole_series(statement, &self.series);
            }
            (1, 1) => {
                let result = self.around.get(self.result_start..).unwrap_or_default();
                let remark: Remark =
                    serde_json::from_slice(result).map_err(|error| malformed(&error.to_string()))?;
                self.around.truncate(self.result_start);
                self.is_partial = remark.partial;
                self.out.remark(remark);
            }
            (0, _) => {
                let piece: Piece =
                    serde_json::from_slice(&self.around).map_err(|error| malformed(&error.to_string()))?;
                self.around.clear();
                self.arrays = 0;
                self.out.failure = piece.error.or(self.out.failure.take());
            }
            _ => {}
        }
        Ok(())
    }

    fn open_array(&mut self) -> Result<(), JoinError> {
        self.arrays += 1;
        if self.arrays == 2 && self.objects == 2 {
            self.in_series = self.around.ends_with(b"\"series\":");
        }
        if self.in_series && self.arrays == ROW_DEPTH && self.objects == 3 {
            if !self.has_rows {
                self.has_rows = true;
                let statement = self.statement()?;
                self.out.begin_series(statement, &self.series);
            }
            self.out.begin_row();
        }
        self.keep(b"[")
    }

    fn close_array(&mut self) -> Result<(), JoinError> {
        self.keep(b"]")?;
        self.arrays =
            self.arrays.checked_sub(1).ok_or_else(|| malformed("an array ends that never began"))?;
        if self.arrays == 1 && self.objects == 2 {
            self.in_series = false;
        }
        Ok(())
    }

    /// The number of the current result's statement, which stands first in it.
    fn statement(&self) -> Result<u64, JoinError> {
        let result = self.around.get(self.result_start..).unwrap_or_default();
        let number = result.strip_prefix(b"{\"statement_id\":").unwrap_or_default();
        let digits: Vec<u8> = number.iter().copied().take_while(u8::is_ascii_digit).collect();
        let parsed = std::str::from_utf8(&digits).ok().and_then(|digits| digits.parse().ok());
        parsed.ok_or_else(|| malformed("a result without the number of its statement"))
    }
}

impl Joined {
    fn put(&mut self, text: &[u8]) {
        self.text.extend_from_slice(text);
    }

    fn open_statement(&mut self, statement: u64) {
        if self.statement == Some(statement) {
            return;
        }
        self.close_statement();
        self.put(if self.results == 0 { b"{\"results\":[" } else { b"," });
        self.put(format!("{{\"statement_id\":{statement}").as_bytes());
        self.results += 1;
        self.statement = Some(statement);
        self.has_series = false;
    }

    fn close_statement(&mut self) {
        if self.statement.take().is_none() {
            return;
        }
        self.close_series();
        if self.has_series {
            self.put(b"]");
        }
        let messages = std::mem::take(&mut self.messages);
        if !messages.is_empty() {
            self.put(format!(",\"messages\":{}", Value::from(messages)).as_bytes());
        }
        if let Some(error) = self.error.take() {
            self.put(format!(",\"error\":{}", json!(error)).as_bytes());
        }
        self.put(b"}");
    }

    fn close_series(&mut self) {
        if self.open_series.take().is_some() {
            self.put(b"]}");
        }
    }

    fn next_series(&mut self, statement: u64) {
        self.open_statement(statement);
        self.close_series();
        self.put(if self.has_series { b"," } else { b",\"series\":[" });
        self.has_series = true;
    }

    /// Goes on with the open series where it begins alike.
    fn begin_series(&mut self, statement: u64, beginning: &[u8]) {
        if self.statement == Some(statement) && self.open_series.as_deref() == Some(beginning) {
            return;
        }
        self.next_series(statement);
        self.put(beginning);
        self.open_series = Some(beginning.to_vec());
        self.has_row = false;
    }

    fn whole_series(&mut self, statement: u64, series: &[u8]) {
        self.next_series(statement);
        self.put(series);
    }

    fn begin_row(&mut self) {
        if self.has_row {
            self.put(b",");
        }
        self.has_row = true;
    }

    fn remark(&mut self, remark: Remark) {
        self.open_statement(remark.statement_id);
        self.messages.extend(remark.messages);
        self.error = remark.error.or(self.error.take());
    }

    fn finish(&mut self) {
        self.close_statement();
        self.put(if self.results == 0 { b"{" } else { b"]" });
        if let Some(failure) = self.failure.take() {
            let separator = if self.results == 0 { "" } else { "," };
            self.put(format!("{separator}\"error\":{}", json!(failure)).as_bytes());
        }
        self.put(b"}\n");
    }
}

fn malformed(problem: &str) -> JoinError {
    JoinError::Malformed(problem.to_owned())
}

#[cfg(test)]
#[path = "join_tests.rs"]
mod tests;
