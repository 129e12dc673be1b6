//! Numbers that `private_seqNum` carries.

/// Counts 1, 2, … 2³¹−1, and then from 1 again; 0 and negative numbers never come. One per topic and publisher.
#[derive(Debug, Clone, Default)]
pub struct SequenceNumber {
    last: i32,
}

impl SequenceNumber {
    /// The number of the next record.
    #[expect(clippy::should_implement_trait, reason = "it never ends, so an Option would only be in the way")]
    pub fn next(&mut self) -> i32 {
        self.last = self.last.checked_add(1).unwrap_or(1);
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_begin_at_one() {
        let mut number = SequenceNumber::default();
        assert_eq!([number.next(), number.next(), number.next()], [1, 2, 3]);
    }

    #[test]
    fn after_the_largest_number_comes_one() {
        let mut number = SequenceNumber { last: i32::MAX - 1 };
        assert_eq!([number.next(), number.next(), number.next()], [i32::MAX, 1, 2]);
    }
}
