use proptest::prelude::*;

use super::*;

const SECOND: i64 = 1_000_000_000;

fn number(seq: i64, snd: i64) -> Number {
    Number { seq, snd: snd * SECOND, time: snd * 1_000_000, before: Before::Contiguous }
}

fn gaps(runs: &Runs) -> Vec<(i64, i64)> {
    runs.iter().flat_map(Run::gaps).map(|gap| (gap.first, gap.last)).collect()
}

#[test]
fn a_hole_is_a_gap_until_the_late_number_comes() {
    let mut runs = Runs::default();
    for seq in [1, 2, 5] {
        assert_eq!(runs.add(&number(seq, seq)), Seen::InOrder);
    }
    assert_eq!(gaps(&runs), [(3, 4)]);
    assert_eq!(runs.add(&number(4, 4)), Seen::Late);
    assert_eq!(gaps(&runs), [(3, 3)]);
    assert_eq!(runs.add(&number(4, 4)), Seen::Again);
    assert_eq!(runs.add(&number(3, 3)), Seen::Late);
    assert_eq!(gaps(&runs), []);
}

#[test]
fn a_number_that_falls_while_the_clock_rises_is_a_restarted_writer() {
    let mut runs = Runs::default();
    for (seq, snd) in [(7, 1), (8, 2), (1, 3), (2, 4), (4, 6)] {
        assert_eq!(runs.add(&number(seq, snd)), Seen::InOrder, "{seq}");
    }
    assert_eq!((runs.iter().count(), gaps(&runs)), (2, vec![(3, 3)]));
    // Late ones find the run of their time.
    assert_eq!(runs.add(&number(6, 0)), Seen::Late);
    assert_eq!(runs.add(&number(3, 5)), Seen::Late);
    assert_eq!((runs.iter().count(), gaps(&runs)), (2, vec![]));
}

#[test]
fn behind_the_last_number_comes_the_first_again() {
    let mut runs = Runs::default();
    let last = i64::from(i32::MAX);
    for (seq, snd) in [(last - 1, 1), (last, 2), (1, 3), (2, 4)] {
        assert_eq!(runs.add(&number(seq, snd)), Seen::InOrder);
    }
    assert_eq!(gaps(&runs), []);
}

#[test]
fn a_clock_that_is_set_back_is_no_restart() {
    let mut runs = Runs::default();
    for (seq, snd) in [(1, 100), (2, 101), (3, 50), (4, 51)] {
        assert_eq!(runs.add(&number(seq, snd)), Seen::InOrder);
    }
    assert_eq!(runs.iter().count(), 1);
}

#[test]
fn what_partitions_saw_apart_is_joined() {
    let (mut even, mut odd) = (Runs::default(), Runs::default());
    for seq in 1..=20 {
        // Two runs of ten; 5 is missing in each.
        let of_run = (seq - 1) % 10 + 1;
        let runs = if seq % 2 == 0 { &mut even } else { &mut odd };
        if of_run != 5 {
            runs.add(&number(of_run, seq));
        }
    }
    even.absorb(&[&odd]);
    assert_eq!((even.iter().count(), gaps(&even)), (2, vec![(5, 5), (5, 5)]));
    let alone = even.clone();
    even.absorb(&[]);
    assert_eq!(even, alone);
}

#[test]
fn the_oldest_holes_are_forgotten_beyond_the_bound() {
    let mut runs = Runs::default();
    let mut forgotten = 0;
    for seq in 1..=100 {
        runs.add(&number(seq * 3, seq));
        forgotten += runs.shrink(10);
    }
    assert_eq!(gaps(&runs).len(), 9);
    assert_eq!(forgotten + 9 * 2, 99 * 2);
}

proptest! {
    /// Numbers with gaps, shuffled within a window: what is missing is exactly what was left out.
    #[test]
    fn gaps_are_what_was_left_out(
        left_out in proptest::collection::btree_set(2_i64..199, 0..60),
        swaps in proptest::collection::vec((0_usize..199, 1_usize..10), 0..60),
    ) {
        let mut sent: Vec<i64> = (1..=200).filter(|seq| !left_out.contains(seq)).collect();
        for (at, by) in swaps {
            if at + by < sent.len() {
                sent.swap(at, at + by);
            }
        }
        let mut runs = Runs::default();
        let mut top = 0;
        for seq in &sent {
            let seen = runs.add(&number(*seq, *seq));
            prop_assert_eq!(seen, if *seq > top { Seen::InOrder } else { Seen::Late });
            top = top.max(*seq);
        }
        let missing: Vec<i64> = gaps(&runs).iter().flat_map(|(first, last)| *first..=*last).collect();
        prop_assert_eq!(missing, left_out.into_iter().collect::<Vec<_>>());
        for seq in &sent {
            prop_assert_eq!(runs.add(&number(*seq, *seq)), Seen::Again);
        }
    }
}
