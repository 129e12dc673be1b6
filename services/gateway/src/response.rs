//! Takes InfluxDB's answer apart while it arrives (pure).
//!
//! A chunked answer is one JSON object after the other, `{"results":[{"series":[{"columns":[…],"values":[[…],[…]]}]}]}`. Rows are
//! found by their depth, since they are the only arrays inside three others, and are given out one by one; what is around them is small and is
//! read once an object is complete. So memory is bounded by the longest row, whatever the server makes of the chunk size.

use serde::Deserialize;
use thiserror::Error;

/// Arrays around the values of a row: results, series, values, and the row itself.
const ROW_DEPTH: usize = 4;

/// Why an answer cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ResponseError {
    /// InfluxDB answers with an error, before or after the first rows.
    #[error("{0}")]
    Refused(String),
    /// Not what the interface promises.
    #[error("not the JSON it promises: {0}")]
    Malformed(String),
    /// A row, or what is around the rows, is longer than the bound.
    #[error("a row is longer than {0} bytes (setting query.max_row_bytes)")]
    TooLong(usize),
    /// The answer ends before its end.
    #[error("it ends in the middle")]
    Ended,
}

/// What was found.
#[derive(Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// The bytes of a row, `[time,value,…]`.
    Row(&'a [u8]),
    /// The end of an object, which held the rows since the last end.
    End,
}

/// Finds rows in bytes that come in pieces.
#[derive(Debug)]
pub struct Scanner {
    max_bytes: usize,
    buffer: Vec<u8>,
    /// Bytes of the buffer that have been looked at.
    position: usize,
    /// Where the row began that has not ended yet; also what must be kept of the buffer.
    row_start: Option<usize>,
    /// The object without its rows.
    envelope: Vec<u8>,
    objects: usize,
    arrays: usize,
    in_text: bool,
    is_escaped: bool,
    is_after_row: bool,
    is_partial: bool,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Envelope {
    results: Vec<Statement>,
    error: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Statement {
    error: Option<String>,
    partial: bool,
}

/// What the byte that was just looked at completes.
enum Step {
    Nothing,
    Row,
    Object,
}

impl Scanner {
    /// Refuses rows longer than `max_bytes`.
    pub fn new(max_bytes: usize) -> Self {
        Self {
            max_bytes,
            buffer: Vec::new(),
            position: 0,
            row_start: None,
            envelope: Vec::new(),
            objects: 0,
            arrays: 0,
            in_text: false,
            is_escaped: false,
            is_after_row: false,
            is_partial: false,
        }
    }

    /// Takes the next piece of the answer. Everything [`Scanner::next`] can find must have been taken out before.
    ///
    /// # Errors
    /// `TooLong`.
    pub fn push(&mut self, piece: &[u8]) -> Result<(), ResponseError> {
        let keep_from = self.row_start.unwrap_or(self.position);
        self.buffer.drain(..keep_from);
        self.position -= keep_from;
        self.row_start = self.row_start.map(|_| 0);
        if self.buffer.len() > self.max_bytes {
            return Err(ResponseError::TooLong(self.max_bytes));
        }
        self.buffer.extend_from_slice(piece);
        Ok(())
    }

    /// The next row or end of an object; none until more is pushed.
    ///
    /// # Errors
    /// See [`ResponseError`]; an error that InfluxDB reports in an object comes at its end.
    pub fn next(&mut self) -> Result<Option<Item<'_>>, ResponseError> {
        loop {
            self.skip_plain();
            let Some(byte) = self.buffer.get(self.position).copied() else { return Ok(None) };
            let step = self.step(byte)?;
            self.position += 1;
            match step {
                Step::Nothing => {}
                Step::Row => {
                    let start = self.row_start.take().unwrap_or_default();
                    return Ok(self.buffer.get(start..self.position).map(Item::Row));
                }
                Step::Object => {
                    self.read_envelope()?;
                    return Ok(Some(Item::End));
                }
            }
        }
    }

    /// To be called when no more comes.
    ///
    /// # Errors
    /// `Ended` when an object is open, or InfluxDB has announced another one.
    pub fn finish(&self) -> Result<(), ResponseError> {
        if self.objects > 0 || self.is_partial { Err(ResponseError::Ended) } else { Ok(()) }
    }

    /// Passes over the bytes of a row that change nothing, which are nearly all.
    fn skip_plain(&mut self) {
        if self.row_start.is_none() || self.is_escaped {
            return;
        }
        let rest = self.buffer.get(self.position..).unwrap_or_default();
        let plain = |byte: &u8| !matches!(byte, b'"' | b'\\' | b'[' | b']');
        self.position += rest.iter().take_while(|byte| plain(byte)).count();
    }

    fn step(&mut self, byte: u8) -> Result<Step, ResponseError> {
        if self.in_text {
            self.step_in_text(byte);
            return self.around(byte);
        }
        match byte {
            b'"' => self.in_text = true,
            b'[' => {
                self.arrays += 1;
                if self.arrays == ROW_DEPTH {
                    self.row_start = Some(self.position);
                    return Ok(Step::Nothing);
                }
            }
            b']' => {
                let Some(arrays) = self.arrays.checked_sub(1) else {
                    return Err(malformed("an array ends that never began"));
                };
                self.arrays = arrays;
                if arrays + 1 == ROW_DEPTH {
                    self.is_after_row = true;
                    return Ok(Step::Row);
                }
            }
            b'{' => self.objects += 1,
            b'}' => {
                let Some(objects) = self.objects.checked_sub(1) else {
                    return Err(malformed("an object ends that never began"));
                };
                self.objects = objects;
                self.around(byte)?;
                return Ok(if objects == 0 { Step::Object } else { Step::Nothing });
            }
            // Rows are taken out of the envelope, and so are the commas between them.
            b',' if self.is_after_row => return Ok(Step::Nothing),
            _ => {}
        }
        if !byte.is_ascii_whitespace() {
            self.is_after_row = false;
        }
        self.around(byte)
    }

    fn step_in_text(&mut self, byte: u8) {
        match byte {
            _ if self.is_escaped => self.is_escaped = false,
            b'\\' => self.is_escaped = true,
            b'"' => self.in_text = false,
            _ => {}
        }
    }

    /// Keeps a byte that is not in a row.
    fn around(&mut self, byte: u8) -> Result<Step, ResponseError> {
        if self.row_start.is_none() {
            if self.objects == 0 && byte != b'}' && !byte.is_ascii_whitespace() {
                return Err(malformed("something else than an object"));
            }
            if self.envelope.len() >= self.max_bytes {
                return Err(ResponseError::TooLong(self.max_bytes));
            }
            self.envelope.push(byte);
        }
        Ok(Step::Nothing)
    }

    fn read_envelope(&mut self) -> Result<(), ResponseError> {
        let envelope: Envelope =
            serde_json::from_slice(&self.envelope).map_err(|error| malformed(&error.to_string()))?;
        self.envelope.clear();
        self.arrays = 0;
        self.is_after_row = false;
        self.is_partial = envelope.results.iter().any(|statement| statement.partial);
        let first_error = envelope.results.into_iter().find_map(|statement| statement.error);
        match envelope.error.or(first_error) {
            Some(error) => Err(ResponseError::Refused(error)),
            None => Ok(()),
        }
    }
}

/// What InfluxDB says in the body of an answer with an error status, in its own form of 1.x (`error`) or 2.x (`message`); else the
/// beginning of the text.
pub fn error_text(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct ErrorBody {
        #[serde(alias = "message")]
        error: String,
    }
    match serde_json::from_slice::<ErrorBody>(body) {
        Ok(answer) => answer.error,
        Err(_) => String::from_utf8_lossy(body.get(..200).unwrap_or(body)).trim().to_owned(),
    }
}

fn malformed(problem: &str) -> ResponseError {
    ResponseError::Malformed(problem.to_owned())
}

#[cfg(test)]
#[path = "response_tests.rs"]
mod tests;
