//! What the simulator publishes, and in which order.

use super::*;
use crate::testing;

fn topics() -> Vec<Arc<SampleTopic>> {
    testing::sample_topics([testing::heartbeat(), testing::arrays(), testing::scalars()])
}

/// Makes everything due within `seconds`, all at the same moment.
fn make(seed: u64, seconds: u64) -> Vec<Sample> {
    let mut scene = Scene::new(seed, &topics(), None);
    let mut made = Vec::new();
    while scene.next_due().is_some_and(|due| due < Duration::from_secs(seconds)) {
        scene.make_next(Moment { utc_micros: 1_700_000_000_000_000, tai_minus_utc: 37 }, &mut made);
    }
    made
}

fn count(made: &[Sample], sal_name: &str) -> usize {
    made.iter().filter(|sample| sample.topic.topic.sal_name == sal_name).count()
}

#[test]
fn the_seed_decides_values_and_order() {
    let essence = |seed| {
        let made = make(seed, 20);
        made.into_iter().map(|sample| (sample.topic.id, sample.stamps, sample.values)).collect::<Vec<_>>()
    };
    assert_eq!(essence(1), essence(1));
    assert_ne!(essence(1), essence(2));
}

#[test]
fn every_topic_keeps_its_rate_to_the_record() {
    let made = make(1, 3600);
    assert_eq!(count(&made, "logevent_heartbeat"), 3600);
    assert_eq!(count(&made, "scalars"), 36_000);
    assert_eq!(count(&made, "arrays"), 18_000);
}

#[test]
fn stamps_and_sequence_numbers_increase_although_the_clock_stands_still() {
    let made = make(1, 60);
    for topic in topics() {
        let of_topic: Vec<&Sample> = made.iter().filter(|sample| sample.topic.id == topic.id).collect();
        assert!(of_topic.len() >= 60);
        for (before, after) in of_topic.iter().zip(of_topic.iter().skip(1)) {
            assert!(after.stamps.snd_stamp > before.stamps.snd_stamp);
            let micros = |sample: &Sample| (sample.stamps.efd_stamp * 1e6 + 0.5).floor() as i64;
            assert_eq!(micros(after), micros(before) + 1);
            assert_eq!(after.stamps.seq_num, before.stamps.seq_num + 1);
        }
    }
}
