//! One line of a chart: values over time, gathered into as many buckets as the chart has columns of dots (pure).

use crate::range::Range;
use crate::time::UnixNanos;

/// Distances of rows by which the usual one is known.
const MAX_DISTANCES: usize = 1024;
/// A distance so many halves of the usual one is a gap.
const GAP_HALVES: u64 = 3;

/// Values of one line.
#[derive(Debug)]
pub struct Series {
    /// What it is called in its panel.
    pub name: String,
    range: Range,
    buckets: Vec<Option<Bucket>>,
    /// Time of the row before, if it had a value.
    before: Option<UnixNanos>,
    /// Of the first rows.
    distances: Vec<u64>,
}

/// The values of a short time.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    first: f64,
    last: f64,
    min: f64,
    max: f64,
    /// Distance of the first value from the row before; none if that had no value.
    distance: Option<u64>,
}

impl Series {
    /// Without values yet; `count` buckets for the range.
    pub fn new(name: String, range: Range, count: usize) -> Self {
        Self { name, range, buckets: vec![None; count.max(1)], before: None, distances: Vec::new() }
    }

    /// Adds a row, in the order of time.
    pub fn add(&mut self, time: UnixNanos, value: Option<f64>) {
        let Some(value) = value.filter(|value| value.is_finite()) else {
            self.before = None;
            return;
        };
        let distance = self.before.map(|before| time.abs_diff(before));
        if let Some(distance) = distance.filter(|_| self.distances.len() < MAX_DISTANCES) {
            self.distances.push(distance);
        }
        self.before = Some(time);
        let place = self.place(time);
        let Some(bucket) = self.buckets.get_mut(place) else { return };
        match bucket {
            Some(bucket) => {
                bucket.last = value;
                bucket.min = bucket.min.min(value);
                bucket.max = bucket.max.max(value);
            }
            None => *bucket = Some(Bucket { first: value, last: value, min: value, max: value, distance }),
        }
    }

    /// Least and greatest value; none without values.
    pub fn extent(&self) -> Option<(f64, f64)> {
        let extents = self.buckets.iter().flatten().map(|bucket| (bucket.min, bucket.max));
        extents.reduce(|(least, greatest), (min, max)| (least.min(min), greatest.max(max)))
    }

    /// Lines between gaps, each of points; x is the share of the range, from 0 to 1.
    pub fn strokes(&self) -> Vec<Vec<(f64, f64)>> {
        let gap = self.gap();
        let mut strokes: Vec<Vec<(f64, f64)>> = Vec::new();
        for (place, bucket) in self.buckets.iter().enumerate() {
            let Some(bucket) = bucket else { continue };
            let is_joined = bucket.distance.is_some_and(|distance| distance <= gap);
            if !is_joined || strokes.is_empty() {
                strokes.push(Vec::new());
            }
            let x = (place as f64 + 0.5) / self.buckets.len() as f64;
            if let Some(stroke) = strokes.last_mut() {
                stroke.extend([bucket.first, bucket.min, bucket.max, bucket.last].map(|y| (x, y)));
            }
        }
        strokes
    }

    /// Longest distance that is no gap.
    fn gap(&self) -> u64 {
        let mut distances = self.distances.clone();
        distances.sort_unstable();
        let usual = distances.get(distances.len() / 2).copied().unwrap_or(0);
        usual.saturating_mul(GAP_HALVES) / 2
    }

    /// Which bucket a time belongs to; what is outside the range belongs to the nearest.
    fn place(&self, time: UnixNanos) -> usize {
        let since = u128::from(time.max(self.range.start).abs_diff(self.range.start));
        let share = since * self.buckets.len() as u128 / (u128::from(self.range.length()) + 1);
        usize::try_from(share).unwrap_or(usize::MAX).min(self.buckets.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(count: usize) -> Series {
        Series::new("a".into(), Range { start: 0, end: 99 }, count)
    }

    #[test]
    fn a_bucket_keeps_its_peaks() {
        let mut series = series(2);
        for (time, value) in [(0, 1.0), (10, 9.0), (20, -3.0), (30, 2.0), (99, 4.0)] {
            series.add(time, Some(value));
        }
        assert_eq!(series.extent(), Some((-3.0, 9.0)));
        let strokes = series.strokes();
        assert_eq!(strokes[0], [(0.25, 1.0), (0.25, -3.0), (0.25, 9.0), (0.25, 2.0)]);
        assert_eq!(strokes[1][0], (0.75, 4.0));
    }

    #[test]
    fn lines_break_at_gaps_and_at_values_that_were_not_recorded() {
        let mut series = series(100);
        for time in [0, 10, 20, 30, 60, 70, 80] {
            series.add(time, Some(1.0));
        }
        series.add(85, None);
        series.add(90, Some(1.0));
        let lengths: Vec<usize> = series.strokes().iter().map(|stroke| stroke.len() / 4).collect();
        assert_eq!(lengths, [4, 3, 1]);
    }

    #[test]
    fn what_is_outside_the_range_or_no_number_does_no_harm() {
        let mut series = series(10);
        assert_eq!((series.extent(), series.strokes().len()), (None, 0));
        series.add(-50, Some(1.0));
        series.add(1000, Some(2.0));
        series.add(2000, Some(f64::NAN));
        assert_eq!(series.extent(), Some((1.0, 2.0)));
    }
}
