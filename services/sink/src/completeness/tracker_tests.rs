use super::*;

const BOUNDS: Bounds = Bounds { spans: 100, entries: 100 };

fn partition(number: i32) -> TopicPartition {
    TopicPartition { topic: "lsst.sal.Test.scalars".into(), partition: number }
}

fn fact(tracker: &mut Tracker, offset: i64, seq: i64, time: i64) -> Fact {
    let slot = tracker.slot(&partition(0)).unwrap();
    let writer = tracker.writer(slot, 1, b"Test:1", 7);
    Fact { slot, writer, record: Observed { offset, seq, snd: seq, time, dead: 0 }, tags: 0 }
}

/// A batch is done, and Kafka says nothing of it.
fn account(tracker: &mut Tracker, batch: u64, facts: Vec<Fact>) {
    tracker.done(batch, facts);
    while let Some((batch, _)) = tracker.next_done() {
        tracker.advance(batch);
    }
}

fn kept(changes: Vec<Stored>) -> PartitionView {
    let mut view = super::super::view::View::default();
    for stored in changes {
        let (key, value) = stored.encode().unwrap();
        assert!(view.apply(Stored::decode(&key, value.as_deref()).unwrap()));
    }
    view.partition(&partition(0)).cloned().unwrap_or_default()
}

fn only_writer(view: &PartitionView) -> &super::super::writer::WriterState {
    view.writers.values().next().unwrap()
}

#[test]
fn batches_are_judged_in_the_order_of_reading() {
    let mut tracker = Tracker::new(BOUNDS);
    tracker.own(&[partition(0)]);
    tracker.follow(&partition(0), None);
    let second = vec![fact(&mut tracker, 2, 3, 3), fact(&mut tracker, 3, 4, 4)];
    let first = vec![fact(&mut tracker, 0, 1, 1), fact(&mut tracker, 1, 2, 2)];
    account(&mut tracker, 1, second);
    assert!(tracker.take_changes(0, 10).is_empty());
    account(&mut tracker, 0, first);
    let view = kept(tracker.take_changes(0, 10));
    assert_eq!((only_writer(&view).records, only_writer(&view).late.count()), (4, 0));
    assert_eq!(view.state.unwrap().next_offset, Some(4));
    assert!(tracker.take_changes(0, 10).is_empty());
}

#[test]
fn a_successor_goes_on_where_the_account_was_kept() {
    let mut tracker = Tracker::new(BOUNDS);
    tracker.own(&[partition(0)]);
    tracker.follow(&partition(0), None);
    let facts = vec![fact(&mut tracker, 0, 1, 1), fact(&mut tracker, 1, 2, 2)];
    account(&mut tracker, 0, facts);
    let view = kept(tracker.take_changes(0, 10));
    let mut successor = Tracker::new(BOUNDS);
    successor.own(&[partition(0)]);
    successor.follow(&partition(0), Some(&view));
    // Offset 1 is read again; 3 has a hole before it in the offsets, not in the numbers.
    let facts: Vec<Fact> =
        [(1, 2, 2), (2, 2, 2), (4, 4, 4)].map(|(o, s, t)| fact(&mut successor, o, s, t)).to_vec();
    account(&mut successor, 0, facts);
    let view = kept(successor.take_changes(0, 10));
    let writer = only_writer(&view);
    assert_eq!((writer.records, writer.duplicates.count(), writer.merged.count()), (4, 1, 0));
    let gaps: Vec<_> = writer.runs.iter().flat_map(|run| run.gaps()).collect();
    assert_eq!((gaps[0].first, gaps[0].last, gaps[0].before), (3, 3, super::super::runs::Before::OffsetHole));
}

#[test]
fn retention_is_told_from_other_holes_and_its_offsets_are_listed() {
    let mut tracker = Tracker::new(BOUNDS);
    tracker.own(&[partition(0)]);
    tracker.follow(&partition(0), None);
    let first = vec![fact(&mut tracker, 0, 1, 1)];
    account(&mut tracker, 0, first);
    let second = vec![fact(&mut tracker, 10, 11, 11)];
    tracker.done(1, second);
    assert_eq!(tracker.next_done(), Some((1, vec![(partition(0), Some(1))])));
    assert!(!tracker.learn(&partition(0), Some(1), (10, 11)));
    tracker.advance(1);
    let view = kept(tracker.take_changes(0, 10));
    let gap = only_writer(&view).runs.iter().flat_map(|run| run.gaps()).next().unwrap();
    assert_eq!((gap.count(), gap.before), (9, super::super::runs::Before::Retention));
    let lost = view.state.unwrap().lost;
    let [item] = lost.items() else { panic!("{lost:?}") };
    assert_eq!((lost.count(), item.first, item.last), (9, 1, 9));
    assert_eq!((item.first_time, item.last_time), (Some(1), Some(11)));
}

#[test]
fn a_tombstone_moves_the_account_on_and_is_no_hole() {
    let mut tracker = Tracker::new(BOUNDS);
    tracker.own(&[partition(0)]);
    tracker.follow(&partition(0), None);
    let slot = tracker.slot(&partition(0)).unwrap();
    let tombstone = |offset| {
        let record = Observed { offset, seq: 0, snd: 0, time: 0, dead: 0 };
        Fact { slot, writer: None, record, tags: 0 }
    };
    let facts = vec![fact(&mut tracker, 0, 1, 1), tombstone(1), fact(&mut tracker, 2, 3, 3), tombstone(3)];
    tracker.done(0, facts);
    assert_eq!(tracker.next_done(), Some((0, Vec::new())));
    tracker.advance(0);
    let view = kept(tracker.take_changes(0, 10));
    let writer = only_writer(&view);
    let gap = writer.runs.iter().flat_map(|run| run.gaps()).next().unwrap();
    assert_eq!((writer.records, gap.before), (2, super::super::runs::Before::Contiguous));
    let state = view.state.unwrap();
    assert_eq!((state.next_offset, state.undecodable.count()), (Some(4), 0));
}

#[test]
fn the_account_of_a_topic_that_was_made_again_starts_anew() {
    let mut tracker = Tracker::new(BOUNDS);
    tracker.own(&[partition(0)]);
    tracker.follow(&partition(0), None);
    let facts: Vec<Fact> =
        [(7, 1, 1), (8, 2, 2), (9, 4, 4)].map(|(o, s, t)| fact(&mut tracker, o, s, t)).to_vec();
    account(&mut tracker, 0, facts);
    let mut view = super::super::view::View::default();
    for stored in tracker.take_changes(0, 10) {
        assert!(view.apply(stored));
    }
    let facts = vec![fact(&mut tracker, 0, 5, 5), fact(&mut tracker, 1, 6, 6)];
    tracker.done(1, facts);
    assert_eq!(tracker.next_done(), Some((1, vec![(partition(0), Some(10))])));
    // Read again after a crash, the partition would end at 10 or behind.
    assert!(!tracker.learn(&partition(0), Some(9), (0, 2)), "another question was faster");
    assert!(tracker.learn(&partition(0), Some(10), (0, 2)));
    tracker.advance(1);
    for stored in tracker.take_changes(0, 10) {
        assert!(view.apply(stored), "readers take the new account, although it reaches less far");
    }
    let view = view.partition(&partition(0)).unwrap();
    assert_eq!((only_writer(view).records, only_writer(view).runs.iter().count()), (2, 1));
    assert_eq!(view.state.as_ref().unwrap().next_offset, Some(2));
}

#[test]
fn what_is_read_again_is_not_counted_again() {
    let mut tracker = Tracker::new(BOUNDS);
    tracker.own(&[partition(0)]);
    tracker.follow(&partition(0), None);
    let facts = vec![fact(&mut tracker, 0, 1, 1), fact(&mut tracker, 1, 2, 2)];
    account(&mut tracker, 0, facts);
    let again = vec![fact(&mut tracker, 0, 1, 1), fact(&mut tracker, 1, 2, 2)];
    tracker.done(1, again);
    assert_eq!(tracker.next_done(), Some((1, vec![(partition(0), Some(2))])));
    assert!(!tracker.learn(&partition(0), Some(2), (0, 2)));
    tracker.advance(1);
    let view = kept(tracker.take_changes(0, 10));
    assert_eq!((only_writer(&view).records, only_writer(&view).duplicates.count()), (2, 0));
}

#[test]
fn two_records_of_one_microsecond_are_one_point_also_over_a_restart() {
    let mut tracker = Tracker::new(BOUNDS);
    tracker.own(&[partition(0)]);
    tracker.follow(&partition(0), None);
    let facts: Vec<Fact> =
        [(0, 1, 5), (1, 2, 5), (2, 3, 6)].map(|(o, s, t)| fact(&mut tracker, o, s, t)).to_vec();
    account(&mut tracker, 0, facts);
    let view = kept(tracker.take_changes(0, 10));
    assert_eq!(only_writer(&view).merged.items()[0].first, 2);
    let mut successor = Tracker::new(BOUNDS);
    successor.own(&[partition(0)]);
    successor.follow(&partition(0), Some(&view));
    let facts = vec![fact(&mut successor, 3, 4, 6)];
    account(&mut successor, 0, facts);
    assert_eq!(only_writer(&kept(successor.take_changes(0, 10))).merged.count(), 2);
}

#[test]
fn points_with_different_tags_are_not_merged() {
    let mut tracker = Tracker::new(BOUNDS);
    tracker.own(&[partition(0)]);
    tracker.follow(&partition(0), None);
    let facts: Vec<Fact> = [(0, 1, 111), (1, 2, 222), (2, 3, 222)]
        .map(|(o, s, tags)| Fact { tags, ..fact(&mut tracker, o, s, 5) })
        .to_vec();
    account(&mut tracker, 0, facts);
    let view = kept(tracker.take_changes(0, 10));
    let merged = &only_writer(&view).merged;
    assert_eq!((merged.count(), merged.items()[0].first), (1, 3));
    // Also over a restart.
    let mut successor = Tracker::new(BOUNDS);
    successor.own(&[partition(0)]);
    successor.follow(&partition(0), Some(&view));
    let facts: Vec<Fact> = [(3, 4, 111), (4, 5, 333)]
        .map(|(o, s, tags)| Fact { tags, ..fact(&mut successor, o, s, 5) })
        .to_vec();
    account(&mut successor, 0, facts);
    assert_eq!(only_writer(&kept(successor.take_changes(0, 10))).merged.count(), 2);
}

#[test]
fn silent_writers_are_forgotten() {
    let mut tracker = Tracker::new(BOUNDS);
    tracker.own(&[partition(0)]);
    tracker.follow(&partition(0), None);
    let slot = tracker.slot(&partition(0)).unwrap();
    let mut facts = Vec::new();
    for origin in 0..5 {
        let writer = tracker.writer(slot, 0, b"Test", origin);
        let record = Observed { offset: origin, seq: 1, snd: origin, time: origin * 10, dead: 0 };
        facts.push(Fact { slot, writer, record, tags: 0 });
    }
    account(&mut tracker, 0, facts);
    let changes = tracker.take_changes(15, 2);
    let forgotten = changes.iter().filter(|stored| stored.kept.is_none()).count();
    assert_eq!((forgotten, changes.len()), (3, 3 + 2 + 1));
    let next = vec![fact(&mut tracker, 5, 1, 60)];
    account(&mut tracker, 1, next);
    assert_eq!(tracker.take_changes(15, 10).len(), 2);
}

#[test]
fn what_belongs_to_another_owner_now_is_not_counted() {
    let mut tracker = Tracker::new(BOUNDS);
    tracker.own(&[partition(0)]);
    tracker.follow(&partition(0), None);
    let facts = vec![fact(&mut tracker, 0, 1, 1)];
    tracker.leave(&[partition(0)]);
    account(&mut tracker, 0, facts);
    assert!(tracker.take_changes(0, 10).is_empty());
    assert_eq!(tracker.slot(&partition(0)), None);
}
