//! Times of samples that are packed in arrays, from the reference times of their rows (pure).

use std::collections::VecDeque;

use efd_proto::query::v1::PackedTimes;

use crate::scale::Conversion;

/// Rows behind and before a row by which its usual distance is known.
const NEIGHBOURS: usize = 8;

/// A distance so many halves of the usual one is a gap.
const GAP_HALVES: i64 = 3;

const SECOND: f64 = 1e9;

/// Gives each row its times once enough of the rows behind it are known.
#[derive(Debug)]
pub struct SampleClock {
    mode: PackedTimes,
    /// Samples of a row.
    length: usize,
    conversion: Conversion,
    waiting: VecDeque<(f64, Vec<u8>)>,
    /// Distances of rows that have been given out, the last of them.
    passed: VecDeque<i64>,
    /// Seconds between samples in the mode where they are the same for all rows, once they are known.
    step: Option<f64>,
    has_ended: bool,
}

/// A row with the times of its samples.
#[derive(Debug, PartialEq, Eq)]
pub struct PackedRow {
    /// As InfluxDB gave it.
    pub bytes: Vec<u8>,
    /// One for each sample, in the scale of the answer.
    pub times: Vec<i64>,
}

impl SampleClock {
    /// A clock for rows of `length` samples, whose references become times of the answer by `conversion`.
    pub fn new(mode: PackedTimes, length: usize, conversion: Conversion) -> Self {
        let (waiting, passed) = (VecDeque::new(), VecDeque::new());
        Self { mode, length, conversion, waiting, passed, step: None, has_ended: false }
    }

    /// Takes a row with its reference in seconds; without one it has no times and is left out.
    pub fn push(&mut self, reference: Option<f64>, row: &[u8]) {
        if let Some(reference) = reference.filter(|reference| reference.is_finite()) {
            self.waiting.push_back((reference, row.to_vec()));
        }
    }

    /// No row comes any more.
    pub fn end(&mut self) {
        self.has_ended = true;
    }

    /// The next row, if its times are known.
    pub fn pop(&mut self) -> Option<PackedRow> {
        let first_rows = self.mode == PackedTimes::FirstRows;
        let needed = if !first_rows {
            NEIGHBOURS + 1
        } else if self.step.is_none() {
            2
        } else {
            1
        };
        if self.waiting.len() < needed && !self.has_ended {
            return None;
        }
        let times = if first_rows { self.times_of_first_rows() } else { self.true_times() };
        self.waiting.pop_front().map(|(_, bytes)| PackedRow { bytes, times })
    }

    /// The distance of the first two rows counts for all, and the arithmetic is that of lsst-efd-client.
    fn times_of_first_rows(&mut self) -> Vec<i64> {
        let mut references = self.waiting.iter().map(|(reference, _)| *reference);
        let (first, second) = (references.next().unwrap_or_default(), references.next());
        let length = self.length as f64;
        let step = *self.step.get_or_insert_with(|| second.map_or(0.0, |second| (second - first) / length));
        (0..self.length).map(|sample| self.answered(nanoseconds(first + sample as f64 * step))).collect()
    }

    /// Samples divide the time until the next row; before a gap, and in the last row, the usual time.
    fn true_times(&mut self) -> Vec<i64> {
        let references: Vec<i64> =
            self.waiting.iter().take(NEIGHBOURS + 1).map(|(reference, _)| nanoseconds(*reference)).collect();
        let ahead =
            references.windows(2).filter_map(|pair| Some(pair.get(1)?.saturating_sub(*pair.first()?)));
        let ahead: Vec<i64> = ahead.collect();
        let usual = median(self.passed.iter().chain(&ahead).copied().filter(|distance| *distance > 0));
        let is_gap =
            |distance: i64| distance <= 0 || distance.saturating_mul(2) > usual.saturating_mul(GAP_HALVES);
        let next = ahead.first().copied();
        let distance = next.filter(|distance| !is_gap(*distance)).unwrap_or(usual);
        if let Some(next) = next {
            self.passed.push_back(next);
            if self.passed.len() > NEIGHBOURS {
                self.passed.pop_front();
            }
        }
        let first = references.first().copied().unwrap_or_default();
        let at = |sample: usize| {
            let part = i128::from(distance) * sample as i128 / self.length.max(1) as i128;
            self.answered(first.saturating_add(i64::try_from(part).unwrap_or(0)))
        };
        (0..self.length).map(at).collect()
    }

    fn answered(&self, ns: i64) -> i64 {
        self.conversion.apply(ns)
    }
}

/// Seconds as nanoseconds, in two parts, since a double has not the digits for both at once.
fn nanoseconds(seconds: f64) -> i64 {
    let whole = seconds.floor();
    let fraction = ((seconds - whole) * SECOND).round() as i64;
    (whole as i64).saturating_mul(1_000_000_000).saturating_add(fraction)
}

/// The middle one, of an even number the lower of the two; 0 of none.
fn median(values: impl Iterator<Item = i64>) -> i64 {
    let mut values: Vec<i64> = values.collect();
    values.sort_unstable();
    values.get(values.len().saturating_sub(1) / 2).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: i64 = 1_000_000;

    fn times(mode: PackedTimes, references: &[f64]) -> Vec<Vec<i64>> {
        let mut clock = SampleClock::new(mode, 2, Conversion::default());
        let mut rows = Vec::new();
        for reference in references {
            clock.push(Some(*reference), b"[]");
            rows.extend(std::iter::from_fn(|| clock.pop()));
        }
        clock.end();
        rows.extend(std::iter::from_fn(|| clock.pop()));
        rows.into_iter().map(|row| row.times.iter().map(|time| time / MS).collect()).collect()
    }

    #[test]
    fn samples_divide_the_time_until_the_next_row() {
        // The usual time is 20 ms; rows are missing after the third, and the clock jumps back after the fourth.
        let references = [1.0, 1.02, 1.04, 1.5, 1.4, 1.42, 1.44];
        let expected: Vec<Vec<i64>> =
            [1000, 1020, 1040, 1500, 1400, 1420, 1440].map(|time| vec![time, time + 10]).to_vec();
        assert_eq!(times(PackedTimes::True, &references), expected);
        let uneven: Vec<f64> =
            (0..30).map(|row| f64::from(row) * 0.02 + f64::from(row % 2) * 0.002).collect();
        let found = times(PackedTimes::Unspecified, &uneven);
        assert_eq!((&found[0], &found[1], &found[2]), (&vec![0, 11], &vec![22, 31], &vec![40, 51]));
    }

    #[test]
    fn a_single_row_has_no_distance() {
        assert_eq!(times(PackedTimes::True, &[1.0]), [[1000, 1000]]);
        assert_eq!(times(PackedTimes::FirstRows, &[1.0]), [[1000, 1000]]);
    }

    #[test]
    fn the_first_rows_count_for_all_where_that_is_asked_for() {
        let found = times(PackedTimes::FirstRows, &[1.0, 1.5, 5.0]);
        assert_eq!(found, [[1000, 1250], [1500, 1750], [5000, 5250]]);
    }

    #[test]
    fn rows_without_a_reference_are_left_out_and_few_are_held() {
        let mut clock = SampleClock::new(PackedTimes::True, 2, Conversion::default());
        clock.push(None, b"[]");
        clock.push(Some(f64::NAN), b"[]");
        assert!(clock.waiting.is_empty());
        for row in 0..100 {
            clock.push(Some(f64::from(row)), b"[]");
            while clock.pop().is_some() {}
        }
        assert_eq!((clock.waiting.len(), clock.passed.len()), (NEIGHBOURS, NEIGHBOURS));
    }

    #[test]
    fn seconds_keep_their_digits() {
        assert_eq!(nanoseconds(1_700_000_000.25), 1_700_000_000_250_000_000);
        assert_eq!(nanoseconds(-0.5), -500_000_000);
    }
}
