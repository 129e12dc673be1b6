//! Entries of a batch that are written in one request, and how they are taken apart when the request is refused. Pure.
//!
//! InfluxDB names the measurement of a field whose type conflicts, and how many points it dropped. So the lines at fault are found in a
//! few requests, also when every record of a topic is at fault for hours, or too old; any other refusal is searched by halves.

use bytes::Bytes;

use crate::batch::Batch;

/// Places of entries in the batch, in order; at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The places.
    pub entries: Vec<usize>,
    /// Once they were refused, the writes begun until then.
    pub refused_at: Option<u64>,
}

/// What to do with a part that was refused.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// All of its lines were refused.
    Refused(Vec<usize>),
    /// Write these, one after the other.
    Write(Vec<Part>),
}

impl Part {
    /// All of a batch; none when it has no lines.
    pub fn whole(batch: &Batch) -> Option<Self> {
        let entries: Vec<usize> = (0..batch.entries().len()).collect();
        (!entries.is_empty()).then_some(Self { entries, refused_at: None })
    }

    /// Its lines; copied only when they do not stand together.
    pub fn lines(&self, batch: &Batch, lines: &Bytes) -> Bytes {
        let (Some(first), Some(last)) = (self.entries.first(), self.entries.last()) else {
            return Bytes::new();
        };
        if last - first + 1 == self.entries.len() {
            return lines.slice(batch.line_range(*first, last + 1));
        }
        let of_entry = |entry: &usize| lines.get(batch.line_range(*entry, entry + 1)).unwrap_or_default();
        Bytes::from(self.entries.iter().map(of_entry).collect::<Vec<_>>().concat())
    }

    /// Takes it apart after a refusal in these words. `lines` are all lines of the batch.
    pub fn refused(self, batch: &Batch, lines: &Bytes, reason: &str) -> Next {
        if self.entries.len() < 2 {
            return Next::Refused(self.entries);
        }
        let refused_at = self.refused_at;
        let part = |entries| Part { entries, refused_at };
        if let Some(measurement) = measurement(reason) {
            let is_of_it = |entry: &usize| {
                let line = lines.get(batch.line_range(*entry, entry + 1)).unwrap_or_default();
                is_of(line, measurement)
            };
            let (suspects, others): (Vec<_>, Vec<_>) = self.entries.iter().partition(|entry| is_of_it(entry));
            if !suspects.is_empty() && !others.is_empty() {
                return Next::Write(vec![part(others), part(suspects)]);
            }
            let schema = |entry: &usize| batch.entries().get(*entry).map(|entry| entry.schema_id);
            let first = self.entries.first().and_then(schema);
            let (of_first, others): (Vec<_>, Vec<_>) =
                self.entries.iter().partition(|entry| schema(entry) == first);
            if !others.is_empty() {
                return Next::Write(vec![part(of_first), part(others)]);
            }
            // Of one schema they have the same types, so that no line can be at fault for another.
            if dropped(reason) == Some(self.entries.len()) {
                return Next::Refused(self.entries);
            }
        } else if reason.contains("retention policy") && dropped(reason) == Some(self.entries.len()) {
            // All are older than what the destination keeps, as the first records of an old topic are.
            return Next::Refused(self.entries);
        }
        self.halves()
    }

    /// Two parts in its place; itself when there is only one line.
    pub fn halves(mut self) -> Next {
        let second = self.entries.split_off(self.entries.len().div_ceil(2));
        let refused_at = self.refused_at;
        let parts = [self.entries, second].into_iter().filter(|entries| !entries.is_empty());
        Next::Write(parts.map(|entries| Part { entries, refused_at }).collect())
    }
}

/// The measurement in InfluxDB's words about a conflict of types.
fn measurement(reason: &str) -> Option<&str> {
    let (_, rest) = reason.split_once("field type conflict")?.1.split_once("on measurement \"")?;
    Some(rest.split_once('"')?.0)
}

/// The field and the measurement in InfluxDB's words about a conflict of types.
pub fn conflict(reason: &str) -> Option<(&str, &str)> {
    let (_, rest) = reason.split_once("field type conflict")?.1.split_once("input field \"")?;
    Some((rest.split_once('"')?.0, measurement(reason)?))
}

/// The points that InfluxDB says it dropped. InfluxDB 2.x goes on behind the number.
fn dropped(reason: &str) -> Option<usize> {
    let (_, rest) = reason.rsplit_once("dropped=")?;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// Whether a line has this measurement; names with characters that a line escapes do not occur in Avro.
fn is_of(line: &[u8], measurement: &str) -> bool {
    line.strip_prefix(measurement.as_bytes()).is_some_and(|rest| matches!(rest.first(), Some(b' ' | b',')))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    const CONFLICT: &str = r#"400: partial write: field type conflict: input field "x" on measurement "t" is type integer, already exists as type float dropped=3"#;

    fn refused(entries: Vec<usize>, reason: &str) -> Next {
        let mut batch = testing::batch("a", 4);
        let lines = batch.take_lines();
        Part { entries, refused_at: Some(7) }.refused(&batch, &lines, reason)
    }

    fn part(entries: &[usize]) -> Part {
        Part { entries: entries.to_vec(), refused_at: Some(7) }
    }

    #[test]
    fn a_conflict_that_dropped_every_line_refuses_them_at_once() {
        assert_eq!(conflict(CONFLICT), Some(("x", "t")));
        assert_eq!(refused(vec![0, 1, 3], CONFLICT), Next::Refused(vec![0, 1, 3]));
        // One of four was stored, so it is searched for.
        assert_eq!(refused(vec![0, 1, 2, 3], CONFLICT), Next::Write(vec![part(&[0, 1]), part(&[2, 3])]));
    }

    #[test]
    fn points_that_are_all_too_old_are_refused_at_once() {
        for words in [
            "400: partial write: points beyond retention policy dropped=3",
            "422: partial write: dropped 3 points outside retention policy of duration 1h0m0s dropped=3 for database: \
             ac129db0d000707e for retention policy: autogen",
        ] {
            assert_eq!(refused(vec![0, 1, 3], words), Next::Refused(vec![0, 1, 3]));
            let searched = Next::Write(vec![part(&[0, 1]), part(&[2, 3])]);
            assert_eq!(refused(vec![0, 1, 2, 3], words), searched, "one of four was stored");
        }
    }

    #[test]
    fn lines_of_other_measurements_are_no_suspects() {
        let elsewhere = CONFLICT.replace("\"t\"", "\"u\"");
        assert_eq!(refused(vec![0, 1, 2], &elsewhere), Next::Refused(vec![0, 1, 2]));
        assert!(is_of(b"t x=1 1\n", "t") && is_of(b"t,a=b x=1 1\n", "t") && !is_of(b"tt x=1 1\n", "t"));
    }

    #[test]
    fn any_other_refusal_is_searched_by_halves() {
        let reason = "400: unable to parse 't x=': missing field value";
        assert_eq!(refused(vec![0, 1, 2], reason), Next::Write(vec![part(&[0, 1]), part(&[2])]));
        assert_eq!(refused(vec![2], reason), Next::Refused(vec![2]));
    }

    #[test]
    fn lines_that_do_not_stand_together_are_put_together() {
        let mut batch = testing::batch("a", 4);
        let lines = batch.take_lines();
        let joined = part(&[0, 2]).lines(&batch, &lines);
        assert_eq!(&joined[..], b"t private_efdStamp=1 1000000000\nt private_efdStamp=3 3000000000\n");
        assert_eq!(part(&[1, 2]).lines(&batch, &lines), lines.slice(batch.line_range(1, 3)));
    }
}
