//! What settings are accepted, and what the worker owns.

use super::*;

fn valid() -> Config {
    Config { components: vec!["Test".into()], ..Config::default() }
}

#[test]
fn the_sample_configuration_is_valid_and_says_the_defaults() {
    let config: Config = efd_service::parse(include_str!("../config.yaml"), "config.yaml").unwrap();
    config.check().unwrap();
    let expected = Config { components: config.components.clone(), ..Config::default() };
    let text = |config: &Config| serde_json::to_value(config).unwrap();
    assert_eq!(text(&config), text(&expected));
}

#[test]
fn components_are_anchored_expressions_and_topics_exact_names() {
    let config = Config {
        components: vec!["MTM1M3".into()],
        topics: vec!["lsst.sal.Test.scalars".into()],
        topic_subname: "lab".into(),
        ..Config::default()
    };
    assert_eq!(config.subscription(), [r"^lsst\.lab\.MTM1M3\.[^.]+$", "lsst.sal.Test.scalars"]);
}

#[test]
fn only_further_destinations_are_named_in_their_group() {
    let second = DestinationConfig { name: "standby".into(), ..DestinationConfig::default() };
    let config =
        Config { worker: "m1m3".into(), destinations: vec![DestinationConfig::default(), second], ..valid() };
    assert_eq!((config.group(0), config.group(1)), ("efd-sink-m1m3".into(), "efd-sink-m1m3-standby".into()));
}

#[test]
fn settings_that_make_no_sense_are_refused_by_name() {
    valid().check().unwrap();
    let destination = |change: fn(&mut DestinationConfig)| {
        let mut destination = DestinationConfig::default();
        change(&mut destination);
        Config { destinations: vec![destination], ..valid() }
    };
    let table = [
        (Config::default(), "components"),
        (Config { worker: "a b".into(), ..valid() }, "worker"),
        (Config { components: vec!["MTM1M3.*".into()], ..valid() }, "components"),
        (Config { topics: vec!["^lsst".into()], ..valid() }, "topics"),
        (Config { topics: vec!["lsst.sal.Test.scalars.dlq".into()], ..valid() }, "topics"),
        (Config { topic_subname: "a.b".into(), ..valid() }, "topic_subname"),
        (Config { destinations: vec![], ..valid() }, "destinations"),
        (Config { destinations: vec![DestinationConfig::default(); 2], ..valid() }, "destinations"),
        (destination(|d| d.version = 3), "destinations[0].version"),
        (destination(|d| d.version = 2), "destinations[0].org"),
        (destination(|d| d.url = "localhost".into()), "destinations[0].url"),
        (Config { queue_batches: 0, ..valid() }, "queue_batches"),
        (
            Config { batch: BatchConfig { bytes: ByteSize::gib(2), ..BatchConfig::default() }, ..valid() },
            "batch.bytes",
        ),
    ];
    for (config, setting) in table {
        let error = config.check().unwrap_err().to_string();
        assert!(error.starts_with(&format!("{setting} ")), "{setting}: {error}");
    }
}
