//! Which sequence numbers of a topic were sent, and which are missing between them. Pure.

/// The numbers sent so far; those missing are kept as ranges, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sequence {
    first: i32,
    last: i32,
    missing: u64,
    gaps: Vec<[i32; 2]>,
    /// Bound on the list.
    entries: usize,
    is_complete: bool,
}

impl Sequence {
    /// No number sent; no more than `entries` gaps are listed.
    pub fn new(entries: usize) -> Self {
        Self { first: 0, last: 0, missing: 0, gaps: Vec::new(), entries, is_complete: true }
    }

    /// A sample with this number was sent, for the first time.
    pub fn sent(&mut self, seq_num: i32) {
        if self.last == 0 {
            self.first = seq_num;
            self.last = seq_num;
        } else if seq_num > self.last {
            self.skipped(self.last + 1, seq_num - 1);
            self.last = seq_num;
        } else if seq_num < self.first {
            self.before_the_first(seq_num);
        } else {
            self.fill(seq_num);
        }
    }

    /// The smallest and the largest number sent; `None` before the first.
    pub fn ends(&self) -> Option<[i32; 2]> {
        (self.last != 0).then_some([self.first, self.last])
    }

    /// How many numbers between these were not sent.
    pub fn missing(&self) -> u64 {
        self.missing
    }

    /// Which: first and last of each gap.
    pub fn gaps(&self) -> &[[i32; 2]] {
        &self.gaps
    }

    /// Whether all gaps are in the list.
    pub fn is_complete(&self) -> bool {
        self.is_complete
    }

    fn skipped(&mut self, first: i32, last: i32) {
        if first > last {
            return;
        }
        self.missing += count(first, last);
        if self.gaps.len() < self.entries {
            self.gaps.push([first, last]);
        } else {
            self.is_complete = false;
        }
    }

    /// A late sample that comes after its successors, which were the first to be sent.
    fn before_the_first(&mut self, seq_num: i32) {
        let (first, last) = (seq_num + 1, self.first - 1);
        self.first = seq_num;
        if first <= last {
            self.missing += count(first, last);
            self.gaps.insert(0, [first, last]);
        }
    }

    fn fill(&mut self, seq_num: i32) {
        // It was left out not long ago, so its gap is near the end.
        let Some(place) = self.gaps.iter().rposition(|[first, last]| (*first..=*last).contains(&seq_num))
        else {
            self.missing = self.missing.saturating_sub(u64::from(!self.is_complete));
            return;
        };
        self.missing -= 1;
        let [first, last] = self.gaps.remove(place);
        if seq_num < last {
            self.gaps.insert(place, [seq_num + 1, last]);
        }
        if first < seq_num {
            self.gaps.insert(place, [first, seq_num - 1]);
        }
    }
}

fn count(first: i32, last: i32) -> u64 {
    u64::from(last.abs_diff(first)) + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sequence(numbers: &[i32], entries: usize) -> Sequence {
        let mut sequence = Sequence::new(entries);
        numbers.iter().for_each(|number| sequence.sent(*number));
        sequence
    }

    #[test]
    fn what_was_skipped_is_a_gap_and_what_comes_late_fills_it() {
        let all = sequence(&[1, 2, 3], 9);
        assert_eq!((all.ends(), all.missing(), all.gaps()), (Some([1, 3]), 0, &[][..]));
        let gaps = sequence(&[1, 5, 6, 8], 9);
        assert_eq!((gaps.missing(), gaps.gaps()), (4, &[[2, 4], [7, 7]][..]));
        let filled = sequence(&[1, 5, 6, 8, 3, 7], 9);
        assert_eq!((filled.missing(), filled.gaps()), (2, &[[2, 2], [4, 4]][..]));
        assert_eq!(sequence(&[], 9).ends(), None);
    }

    #[test]
    fn a_late_first_sample_moves_the_beginning() {
        let late = sequence(&[4, 5, 1], 9);
        assert_eq!((late.ends(), late.missing(), late.gaps()), (Some([1, 5]), 2, &[[2, 3]][..]));
        let late = sequence(&[4, 5, 1, 2, 3], 9);
        assert_eq!((late.ends(), late.missing(), late.gaps()), (Some([1, 5]), 0, &[][..]));
    }

    #[test]
    fn beyond_the_bound_only_the_count_goes_on() {
        let many = sequence(&[1, 3, 5, 7, 6], 2);
        assert_eq!((many.missing(), many.gaps()), (2, &[[2, 2], [4, 4]][..]));
        assert!(!many.is_complete());
        assert!(sequence(&[1, 3, 5], 2).is_complete());
    }
}
