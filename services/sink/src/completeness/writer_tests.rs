use proptest::prelude::*;

use super::*;

const BOUNDS: Bounds = Bounds { spans: 1000, entries: 1000 };

fn observed(offset: i64, seq: i64) -> Observed {
    Observed { offset, seq, snd: seq * 1000, time: seq, dead: 0 }
}

#[test]
fn a_record_read_again_is_no_duplicate() {
    let mut writer = WriterState::default();
    for offset in 0..5 {
        assert_eq!(writer.observe(&observed(offset, offset + 1), Before::Contiguous, BOUNDS), Found::Own);
    }
    let kept = writer.clone();
    for offset in 2..5 {
        assert_eq!(writer.observe(&observed(offset, offset + 1), Before::Contiguous, BOUNDS), Found::Reread);
    }
    assert_eq!(writer, kept);
    assert_eq!(writer.observe(&observed(5, 5), Before::Contiguous, BOUNDS), Found::Duplicate);
    assert_eq!((writer.records, writer.duplicates.count()), (6, 1));
}

#[test]
fn a_dead_letter_that_is_redriven_is_dead_no_more() {
    let mut writer = WriterState::default();
    let dead = Observed { dead: 3, ..observed(0, 1) };
    assert_eq!(writer.observe(&dead, Before::Contiguous, BOUNDS), Found::Own);
    assert_eq!(writer.observe(&observed(1, 2), Before::Contiguous, BOUNDS), Found::Own);
    // Refused once more: still one dead letter.
    let again = Observed { offset: 2, ..dead };
    assert_eq!(writer.observe(&again, Before::Contiguous, BOUNDS), Found::Own);
    assert_eq!(writer.dead.count(), 1);
    let redriven = Observed { offset: 3, ..observed(0, 1) };
    assert_eq!(writer.observe(&redriven, Before::Contiguous, BOUNDS), Found::Restored);
    assert_eq!((writer.dead.count(), writer.restored, writer.duplicates.count()), (0, 1, 0));
}

#[test]
fn numbers_of_another_partition_overtake_nothing() {
    let mut writer = WriterState::default();
    let mut elsewhere = WriterState::default();
    writer.observe(&observed(0, 1), Before::Contiguous, BOUNDS);
    for (offset, seq) in [(0, 2), (1, 4), (2, 6)] {
        elsewhere.observe(&observed(offset, seq), Before::Contiguous, BOUNDS);
    }
    writer.runs.absorb(&[&elsewhere.runs]);
    for (offset, seq) in [(1, 3), (2, 5)] {
        assert_eq!(writer.observe(&observed(offset, seq), Before::Contiguous, BOUNDS), Found::Own);
    }
    assert_eq!(writer.late.count(), 0);
    writer.observe(&observed(3, 7), Before::Contiguous, BOUNDS);
    assert_eq!(writer.runs.iter().flat_map(|run| run.gaps()).count(), 0);
}

/// What happens to one sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sample {
    Sent,
    LeftOut,
    Twice,
    Restart,
}

fn sample() -> impl Strategy<Value = Sample> {
    prop_oneof![
        10 => Just(Sample::Sent),
        2 => Just(Sample::LeftOut),
        2 => Just(Sample::Twice),
        1 => Just(Sample::Restart),
    ]
}

proptest! {
    /// Gaps, duplicates and restarts of the writer, and crashes of the sink after which records are read again.
    #[test]
    fn the_account_is_exactly_what_happened(
        samples in proptest::collection::vec(sample(), 1..200),
        crashes in proptest::collection::vec((1_usize..200, 1_usize..50), 0..5),
    ) {
        let (mut stream, mut missing, mut twice) = (Vec::new(), 0, 0);
        let (mut seq, mut pending, mut has_sent) = (0, 0, false);
        for (clock, sample) in samples.iter().enumerate() {
            if *sample == Sample::Restart {
                // Without a sample before, or with none left, nobody can tell a restart.
                (seq, pending, has_sent) = (0, 0, false);
            }
            seq += 1;
            if *sample == Sample::LeftOut {
                pending += 1;
                continue;
            }
            if has_sent {
                missing += pending;
            }
            (pending, has_sent) = (0, true);
            let clock = i64::try_from(clock).unwrap() + 1;
            stream.push((seq, clock));
            if *sample == Sample::Twice {
                twice += 1;
                stream.push((seq, clock));
            }
        }
        let mut order: Vec<usize> = (0..stream.len()).collect();
        for (at, back) in crashes {
            if at < order.len() {
                let again: Vec<usize> = order[at.saturating_sub(back)..at].to_vec();
                order.splice(at..at, again);
            }
        }
        let mut writer = WriterState::default();
        for place in order {
            let (seq, clock) = stream[place];
            let offset = i64::try_from(place).unwrap();
            let record = Observed { offset, seq, snd: clock * 1000, time: clock, dead: 0 };
            writer.observe(&record, Before::Contiguous, BOUNDS);
        }
        let found: u64 = writer.runs.iter().flat_map(|run| run.gaps()).map(|gap| gap.count()).sum();
        // A restart whose first numbers were left out, and which begins above the last number, looks like a gap.
        let hidden = samples.windows(2).any(|pair| pair == [Sample::Restart, Sample::LeftOut]);
        prop_assert_eq!(writer.duplicates.count(), twice);
        prop_assert_eq!(writer.records, u64::try_from(stream.len()).unwrap());
        if !hidden {
            prop_assert_eq!(found, missing);
        }
        prop_assert_eq!(writer.late.count(), 0);
    }
}
