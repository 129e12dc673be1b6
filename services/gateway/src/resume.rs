//! Tokens by which a broken answer goes on (pure).
//!
//! A token says after which row: of which selection, its time as InfluxDB has it, and which of the rows with that time it was. It
//! also has a sum of the request, since with another request that place would mean nothing.

use efd_proto::query::v1::QueryRangeRequest;
use prost::Message as _;
use sha2::{Digest as _, Sha256};

use crate::error::QueryError;

/// Form of the token.
const VERSION: u8 = 1;

/// Bytes of a token: version, sum, selection, time, rows.
const LENGTH: usize = 1 + 8 + 4 + 8 + 4;

/// Where an answer has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Position {
    /// Which selection, from 0.
    pub selection: u32,
    /// Time of the last row, as InfluxDB has it.
    pub time: i64,
    /// Rows with that time that were sent.
    pub rows: u32,
}

/// A request without its token, in eight bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sum([u8; 8]);

impl Sum {
    /// The sum of a request.
    pub fn of(request: &QueryRangeRequest) -> Self {
        let bare = QueryRangeRequest { resume_token: Vec::new(), ..request.clone() };
        let digest = Sha256::digest(bare.encode_to_vec());
        Self(digest.first_chunk().copied().unwrap_or_default())
    }

    /// The token of a place in the answer to the request.
    pub fn token(self, position: Position) -> Vec<u8> {
        let mut token = Vec::with_capacity(LENGTH);
        token.push(VERSION);
        token.extend_from_slice(&self.0);
        token.extend_from_slice(&position.selection.to_be_bytes());
        token.extend_from_slice(&position.time.to_be_bytes());
        token.extend_from_slice(&position.rows.to_be_bytes());
        token
    }

    /// The place that a token means; none where it is empty.
    ///
    /// # Errors
    /// `InvalidArgument` when it is no token, or that of another request.
    pub fn position(self, token: &[u8]) -> Result<Option<Position>, QueryError> {
        if token.is_empty() {
            return Ok(None);
        }
        let refused = |problem: &str| Err(QueryError::InvalidArgument(format!("resume_token {problem}")));
        let Some((sum, position)) = parse(token) else {
            return refused("is none of the gateway's: give the one of the last batch as it came");
        };
        if sum != self {
            return refused("belongs to another request: repeat the request that it came from");
        }
        Ok(Some(position))
    }
}

impl Position {
    /// The place behind rows with these times.
    #[must_use]
    pub fn after(self, times: &[i64]) -> Self {
        let Some(last) = times.last() else { return self };
        let same = times.iter().rev().take_while(|time| *time == last).count();
        let before = if same == times.len() && self.time == *last { self.rows } else { 0 };
        Self { time: *last, rows: before.saturating_add(u32::try_from(same).unwrap_or(u32::MAX)), ..self }
    }
}

fn parse(token: &[u8]) -> Option<(Sum, Position)> {
    let (version, rest) = token.split_first()?;
    let (sum, rest) = rest.split_first_chunk()?;
    let (selection, rest) = rest.split_first_chunk()?;
    let (time, rest) = rest.split_first_chunk()?;
    let (rows, rest) = rest.split_first_chunk()?;
    let position = Position {
        selection: u32::from_be_bytes(*selection),
        time: i64::from_be_bytes(*time),
        rows: u32::from_be_bytes(*rows),
    };
    (*version == VERSION && rest.is_empty()).then_some((Sum(*sum), position))
}

#[cfg(test)]
mod tests {
    use efd_proto::query::v1::Selection;

    use super::*;

    fn request(topic: &str) -> QueryRangeRequest {
        let selection = Selection { topic: topic.into(), ..Selection::default() };
        QueryRangeRequest { selections: vec![selection], ..QueryRangeRequest::default() }
    }

    #[test]
    fn a_token_means_its_place_in_the_same_request_only() {
        let position = Position { selection: 3, time: -5, rows: 2 };
        let sum = Sum::of(&request("a"));
        let token = sum.token(position);
        let resumed = QueryRangeRequest { resume_token: token.clone(), ..request("a") };
        assert_eq!(Sum::of(&resumed).position(&token).unwrap(), Some(position));
        assert_eq!(sum.position(&[]).unwrap(), None);
        let other = Sum::of(&request("b")).position(&token).unwrap_err();
        assert!(other.to_string().contains("another request"), "{other}");
        for cut in 1..token.len() {
            assert!(sum.position(&token[..cut]).is_err());
        }
        assert!(sum.position(&[&token[..], &[0]].concat()).is_err());
    }

    #[test]
    fn rows_with_one_time_are_counted_over_batches() {
        let start = Position::default();
        assert_eq!(start.after(&[]), start);
        let first = start.after(&[1, 2, 2]);
        assert_eq!((first.time, first.rows), (2, 2));
        assert_eq!(first.after(&[2, 2]).rows, 4);
        assert_eq!(first.after(&[2, 3]).rows, 1);
    }
}
