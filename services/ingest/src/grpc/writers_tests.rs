//! Private fields that clients left out.

use efd_sal::FieldType;

use super::*;
use crate::testing;

const NOW: Moment = Moment { utc_micros: 1_700_000_000_000_000, tai_minus_utc: 37 };

struct Rig {
    writers: Writers,
    topic: Arc<SampleTopic>,
    clock: Clock,
}

impl Rig {
    fn new(component: &str, max_writers: usize) -> Self {
        let fields = vec![testing::field("number", FieldType::Int, 1)];
        let topic = testing::sample_topic(testing::topic(component, "counts", fields));
        Self { writers: Writers::new(1, max_writers), topic, clock: Clock::new(None).unwrap() }
    }

    fn stamps(&self, author: &Author, given: Given, now: Moment) -> Result<Stamps, Refusal> {
        let times = GivenTimes::new(&given, &self.clock)?;
        let mut writers = self.writers.of(&self.topic).unwrap();
        Ok(self.writers.stamps((&self.topic, &mut writers), author, (given, times), now))
    }
}

fn author(credential: &str, identity: Option<&str>) -> Author {
    Author { credential: credential.into(), identity: identity.map(Arc::from) }
}

fn index(sal_index: i32) -> Given {
    Given { sal_index: Some(sal_index), ..Given::default() }
}

#[test]
fn two_samples_of_a_topic_never_share_a_microsecond_whoever_wrote_them() {
    let rig = Rig::new("Test", 10);
    let before = Moment { utc_micros: NOW.utc_micros - 50, ..NOW };
    let times = [(1, NOW), (2, NOW), (1, before)].map(|(sal_index, now)| {
        let stamps = rig.stamps(&author("", None), index(sal_index), now).unwrap();
        assert_eq!(stamps.snd_stamp - stamps.efd_stamp, 37.0);
        assert_eq!((stamps.kafka_stamp, stamps.rcv_stamp), (stamps.snd_stamp, 0.0));
        (stamps.efd_stamp * 1e6).round() as i64 - NOW.utc_micros
    });
    assert_eq!(times, [0, 1, 2]);
}

#[test]
fn numbers_count_up_for_each_writer_and_index_and_are_taken_as_given() {
    let rig = Rig::new("Test", 10);
    let number = |author: &Author, given| rig.stamps(author, given, NOW).unwrap().seq_num;
    let (a, b) = (author("a", None), author("b", None));
    assert_eq!([number(&a, index(1)), number(&a, index(1)), number(&a, index(2))], [1, 2, 1]);
    assert_eq!(number(&b, index(1)), 1);
    assert_eq!(number(&a, Given { seq_num: Some(77), ..index(1) }), 77);
    assert_eq!(number(&a, index(1)), 3);
}

#[test]
fn the_identity_is_the_one_given_then_the_authors_then_the_components() {
    let (indexed, plain) = (Rig::new("Test", 10), Rig::new("ATCamera", 10));
    let identity = |rig: &Rig, author: &Author, given| {
        let stamps = rig.stamps(author, given, NOW).unwrap();
        (stamps.identity.to_string(), stamps.sal_index)
    };
    let nobody = author("", None);
    assert_eq!(identity(&indexed, &nobody, Given::default()), ("Test:0".into(), Some(0)));
    assert_eq!(identity(&indexed, &nobody, index(4)), ("Test:4".into(), Some(4)));
    assert_eq!(identity(&plain, &nobody, Given::default()), ("ATCamera".into(), None));
    let named = author("scripts", Some("scripts"));
    assert_eq!(identity(&plain, &named, Given::default()).0, "scripts");
    let given = Given { identity: Some("me@here".into()), ..Given::default() };
    assert_eq!(identity(&plain, &named, given).0, "me@here");
}

#[test]
fn one_time_follows_from_the_other_and_impossible_ones_are_refused() {
    let rig = Rig::new("Test", 10);
    let nobody = author("", None);
    let times = |snd_stamp, efd_stamp| {
        let given = Given { snd_stamp, efd_stamp, ..Given::default() };
        rig.stamps(&nobody, given, NOW).map(|stamps| (stamps.snd_stamp, stamps.efd_stamp))
    };
    let (tai, utc) = (1_600_000_037.123456, 1_600_000_000.123456);
    assert_eq!(times(Some(tai), None), Ok((tai, utc)));
    assert_eq!(times(None, Some(utc)), Ok((tai, utc)));
    assert_eq!(times(Some(tai), Some(utc - 1.5)), Ok((tai, utc - 1.5)));
    for (snd, efd, field) in [
        (Some(f64::NAN), None, "private_sndStamp"),
        (None, Some(f64::INFINITY), "private_efdStamp"),
        (Some(tai), Some(-1.0), "private_efdStamp"),
        (Some(1e11), Some(utc), "private_sndStamp"),
    ] {
        let refusal = times(snd, efd).unwrap_err();
        assert_eq!((refusal.code(), refusal.field()), (tonic::Code::OutOfRange, field), "{refusal}");
    }
    let stamps = rig.stamps(&nobody, Given { snd_stamp: Some(tai), ..Given::default() }, NOW).unwrap();
    assert_eq!(stamps.kafka_stamp, NOW.tai(), "the record is made now");
}

#[test]
fn of_too_many_writers_the_one_silent_longest_is_forgotten() {
    let rig = Rig::new("Test", 2);
    let number = |sal_index: i32, second: i64| {
        let now = Moment { utc_micros: NOW.utc_micros + second * 1_000_000, ..NOW };
        rig.stamps(&author("", None), index(sal_index), now).unwrap().seq_num
    };
    assert_eq!([number(1, 0), number(2, 1), number(1, 2)], [1, 1, 2]);
    assert_eq!(number(3, 3), 1, "2 is forgotten");
    assert_eq!([number(1, 4), number(2, 5)], [3, 1]);
}
