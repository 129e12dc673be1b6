//! What the simulator publishes, and in which order.

use std::collections::HashMap;

use efd_sal::{Topic, Value};

use super::*;
use crate::simulator::made::{Kind, NotFinite};
use crate::simulator::rates::nominal;
use crate::simulator::settings::{Amount, Count};
use crate::testing::{ackcmd, arrays, field, heartbeat, sample_topics, scalars, topic};

const NOW: Moment = Moment { utc_micros: 1_700_000_000_000_000, tai_minus_utc: 37 };

fn topics() -> Vec<Arc<SampleTopic>> {
    let number = |component, name| topic(component, name, vec![field("x", efd_sal::FieldType::Int, 1)]);
    let more: [Topic; 7] = [
        number("ATCamera", "logevent_shutter"),
        number("Test", "command_wait"),
        number("Test", "command_fault"),
        number("Test", "command_enable"),
        number("Test", "command_disable"),
        number("Test", "logevent_summaryState"),
        ackcmd("Test"),
    ];
    let mut all = vec![heartbeat(), arrays(), scalars()];
    all.extend(more);
    all.sort_by(|a, b| a.component.cmp(&b.component));
    sample_topics(all)
}

fn settings(seed: u64, inject: InjectConfig) -> SimulatorConfig {
    SimulatorConfig { seed, inject, ..SimulatorConfig::default() }
}

/// Makes everything due within `seconds`, all at the same moment, and what still waits then.
fn make(settings: &SimulatorConfig, seconds: u64) -> Vec<Made> {
    let topics = topics();
    let rates: Vec<f64> = topics.iter().map(|topic| nominal(&topic.topic)).collect();
    let mut scene = Scene::new(settings, &topics, &rates, None);
    let mut made = Vec::new();
    while scene.next_due().is_some_and(|due| due < Duration::from_secs(seconds)) {
        scene.make_next(NOW, &mut made);
    }
    scene.finish(NOW, &mut made);
    made
}

fn of<'a>(made: &'a [Made], sal_name: &str) -> Vec<&'a Made> {
    made.iter().filter(|made| made.sample.topic.topic.sal_name == sal_name).collect()
}

/// What can be compared: topic, sequence number, values as text, since NaN is not equal to itself.
fn essence(made: &[Made]) -> Vec<(usize, i32, String)> {
    let one = |made: &Made| {
        (
            made.sample.topic.id,
            made.sample.stamps.seq_num,
            format!("{:?} {:?}", made.sample.values, made.mark),
        )
    };
    made.iter().map(one).collect()
}

fn everything() -> InjectConfig {
    InjectConfig {
        nan: Amount::Fraction(0.05),
        infinity: Amount::Fraction(0.05),
        gaps: Amount::Fraction(0.02),
        duplicates: Amount::Fraction(0.05),
        late: Amount::Fraction(0.05),
        undecodable: Amount::Fraction(0.02),
        ..InjectConfig::default()
    }
}

#[test]
fn the_seed_decides_values_and_order_and_what_goes_wrong() {
    for inject in [InjectConfig::default(), everything()] {
        let made = |seed| essence(&make(&settings(seed, inject.clone()), 120));
        assert_eq!(made(1), made(1));
        assert_ne!(made(1), made(2));
    }
}

#[test]
fn every_topic_keeps_its_rate_to_the_record() {
    let made = make(&settings(1, InjectConfig::default()), 3600);
    for (sal_name, count) in
        [("logevent_heartbeat", 3600), ("scalars", 36_000), ("arrays", 18_000), ("logevent_shutter", 60)]
    {
        assert_eq!(of(&made, sal_name).len(), count, "{sal_name}");
    }
}

#[test]
fn stamps_and_sequence_numbers_increase_although_the_clock_stands_still() {
    let made = make(&settings(1, InjectConfig::default()), 60);
    for topic in topics().iter().filter(|topic| topic.topic.kind == TopicKind::Telemetry) {
        let of_topic = of(&made, &topic.topic.sal_name);
        assert!(of_topic.len() >= 60);
        for (before, after) in of_topic.iter().zip(of_topic.iter().skip(1)) {
            let (before, after) = (&before.sample.stamps, &after.sample.stamps);
            assert!(after.snd_stamp > before.snd_stamp);
            let micros = |stamp: f64| (stamp * 1e6 + 0.5).floor() as i64;
            assert_eq!(micros(after.efd_stamp), micros(before.efd_stamp) + 1);
            assert_eq!(after.seq_num, before.seq_num + 1);
        }
    }
}

#[test]
fn every_command_is_answered_by_its_own_number_and_has_one_end() {
    let made = make(&settings(1, InjectConfig::default()), 7200);
    let names = ["command_disable", "command_enable", "command_fault", "command_wait"];
    let mut ends: HashMap<(i32, i32), u32> = HashMap::new();
    for answer in of(&made, "ackcmd") {
        let [Value::Int(ack), _, _, Value::String(identity), Value::Int(origin), Value::Int(command_type), _] =
            answer.sample.values.as_slice()
        else {
            panic!("{:?}", answer.sample.values)
        };
        let command = of(&made, names[usize::try_from(*command_type).unwrap()])
            .into_iter()
            .find(|command| command.sample.stamps.seq_num == answer.sample.stamps.seq_num)
            .expect("its command was given");
        assert_eq!(
            (identity.as_str(), *origin),
            (&*command.sample.stamps.identity, command.sample.stamps.origin)
        );
        let is_end = ![300, 301, 302].contains(ack);
        *ends.entry((*command_type, answer.sample.stamps.seq_num)).or_default() += u32::from(is_end);
    }
    let commands: usize = names.iter().map(|name| of(&made, name).len()).sum();
    assert!(commands > 200, "{commands}");
    assert_eq!(ends.len(), commands);
    assert!(ends.values().all(|count| *count == 1), "{ends:?}");
}

#[test]
fn a_rate_of_nothing_turns_a_topic_off_and_changes_no_other() {
    let topics = topics();
    let make = |off: &str| {
        let rate = |topic: &Arc<SampleTopic>| if topic.topic.sal_name == off { 0.0 } else { 1.0 };
        let rates: Vec<f64> = topics.iter().map(rate).collect();
        let mut scene = Scene::new(&settings(1, InjectConfig::default()), &topics, &rates, None);
        let mut made = Vec::new();
        while scene.next_due().is_some_and(|due| due < Duration::from_secs(20)) {
            scene.make_next(NOW, &mut made);
        }
        made
    };
    let without = make("arrays");
    assert!(of(&without, "arrays").is_empty());
    let mut with = make("");
    with.retain(|made| made.sample.topic.topic.sal_name != "arrays");
    assert_eq!(essence(&with), essence(&without));
}

#[test]
fn injections_are_what_they_say() {
    let made = make(&settings(1, everything()), 600);
    let scalars = of(&made, "scalars");
    let samples = |kind: fn(&Made) -> bool| scalars.iter().filter(|made| kind(made)).count();
    assert_eq!(samples(|made| made.mark.kind == Kind::Sample), 6000);
    let shares = [
        (samples(|made| made.mark.kind == Kind::Duplicate), 300),
        (samples(|made| matches!(made.mark.kind, Kind::Undecodable(_))), 120),
        (samples(|made| made.mark.kind == Kind::Sample && made.mark.late), 300),
        (samples(|made| made.mark.kind == Kind::Sample && made.mark.not_finite == Some(NotFinite::Nan)), 300),
        (
            samples(|made| {
                made.mark.kind == Kind::Sample && made.mark.not_finite == Some(NotFinite::Infinity)
            }),
            300,
        ),
    ];
    for (count, expected) in shares {
        assert!(count.abs_diff(expected) < expected / 3, "{count} instead of about {expected}");
    }
    let mut newest = 0;
    for sample in scalars.iter().filter(|made| made.mark.kind == Kind::Sample) {
        let seq_num = sample.sample.stamps.seq_num;
        if sample.mark.late {
            assert!(seq_num < newest, "{seq_num} was not overtaken, the newest is {newest}");
        } else {
            assert!(seq_num > newest);
            newest = seq_num;
        }
        let floats = format!("{:?}", sample.sample.values);
        assert_eq!(floats.contains("NaN"), sample.mark.not_finite == Some(NotFinite::Nan), "{floats}");
        assert_eq!(floats.contains("inf"), sample.mark.not_finite == Some(NotFinite::Infinity), "{floats}");
    }
    // Only telemetry is spoiled.
    assert!(
        of(&made, "logevent_heartbeat")
            .iter()
            .all(|made| made.mark == crate::simulator::made::Mark::default())
    );
}

#[test]
fn a_number_of_injections_is_exact_over_all_topics() {
    let count = |count| Amount::Count(Count { count });
    let inject = InjectConfig {
        nan: count(3),
        infinity: count(4),
        duplicates: count(5),
        late: count(6),
        undecodable: count(7),
        ..InjectConfig::default()
    };
    let made = make(&settings(1, inject), 600);
    let number = |is: fn(&Made) -> bool| made.iter().filter(|made| is(made)).count();
    assert_eq!(
        number(|made| made.mark.kind == Kind::Sample && made.mark.not_finite == Some(NotFinite::Nan)),
        3
    );
    assert_eq!(
        number(|made| made.mark.kind == Kind::Sample && made.mark.not_finite == Some(NotFinite::Infinity)),
        4
    );
    assert_eq!(number(|made| made.mark.kind == Kind::Duplicate), 5);
    assert_eq!(number(|made| made.mark.kind == Kind::Sample && made.mark.late), 6);
    assert_eq!(number(|made| matches!(made.mark.kind, Kind::Undecodable(_))), 7);
}

#[test]
fn a_changed_topic_goes_on_with_one_field_more() {
    let topics = topics();
    let mut scene =
        Scene::new(&settings(1, InjectConfig::default()), &topics, &vec![1.0; topics.len()], None);
    let mut made = Vec::new();
    let make_until = |scene: &mut Scene, seconds, made: &mut Vec<Made>| {
        while scene.next_due().is_some_and(|due| due < Duration::from_secs(seconds)) {
            scene.make_next(NOW, made);
        }
    };
    make_until(&mut scene, 5, &mut made);
    let old = scene.telemetry().find(|topic| topic.topic.sal_name == "scalars").unwrap().clone();
    let mut further = old.topic.clone();
    further.fields.push(field("added", efd_sal::FieldType::Double, 1));
    scene.change(&Arc::new(SampleTopic::new(old.id, old.component_id, further, "sal", 8)));
    make_until(&mut scene, 10, &mut made);
    let scalars = of(&made, "scalars");
    let shapes: Vec<(i32, u32, usize)> = scalars
        .iter()
        .map(|made| {
            (made.sample.stamps.seq_num, made.sample.topic.plan.schema_id(), made.sample.values.len())
        })
        .collect();
    let expected: Vec<_> = (1..=10).map(|n| if n <= 5 { (n, 7, 6) } else { (n, 8, 7) }).collect();
    assert_eq!(shapes, expected);
    assert_ne!(scalars[0].sample.topic.rev_code, scalars[9].sample.topic.rev_code);
}
