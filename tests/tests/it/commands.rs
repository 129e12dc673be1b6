//! The command `efd` as an operator and an analyst use it.

use efd_tests::{Generation, Options, Stack, efd};
use rstest::rstest;

#[rstest]
#[case::influxdb_1(Generation::V1)]
#[case::influxdb_2(Generation::V2)]
#[tokio::test]
async fn init_creates_topics_and_schemas_once(#[case] generation: Generation) {
    let mut stack = Stack::servers(Options::new(generation)).await.unwrap();
    stack.start_registry().await.unwrap();
    let config = stack.efd_config().unwrap();
    let first = efd(Some(&config), &["init", "Test", "ATCamera"], &[]).await.unwrap();
    assert_eq!(first.code, Some(0), "{}", first.err);
    assert!(first.out.contains("ATCamera") && first.out.contains("Test"), "{}", first.out);
    let second = efd(Some(&config), &["init", "Test", "ATCamera"], &[]).await.unwrap();
    assert_eq!(second.code, Some(0), "{}", second.err);
    let created = |text: &str| -> Vec<String> {
        text.lines()
            .filter(|line| line.contains("Test") || line.contains("ATCamera"))
            .map(|line| line.split_whitespace().nth(2).unwrap().to_owned())
            .collect()
    };
    assert!(created(&first.out).iter().all(|count| count != "0"), "{}", first.out);
    assert_eq!(created(&second.out), ["0", "0"], "{}", second.out);
    let list = efd(Some(&config), &["init", "--list"], &[]).await.unwrap();
    assert_eq!(list.out, "ATCamera\nMTM1M3\nTest\n");
}

#[rstest]
#[case::influxdb_1(Generation::V1)]
#[case::influxdb_2(Generation::V2)]
#[tokio::test]
async fn topics_and_get_show_what_was_recorded(#[case] generation: Generation) {
    let mut stack = Stack::recording(Options::new(generation)).await.unwrap();
    stack.start_gateway().await.unwrap();
    let records = stack.simulate(400.0).await.unwrap();
    stack.points_reach(records).await.unwrap();
    let config = stack.efd_config().unwrap();
    let run = async |arguments: &[&str]| efd(Some(&config), arguments, &[]).await.unwrap();

    let topics = run(&["topics", "lsst.sal.Test"]).await;
    assert!(
        topics.out.contains("lsst.sal.Test.arrays") && topics.out.contains("lsst.sal.Test.scalars"),
        "{}",
        topics.out
    );
    let fields = run(&["topics", "lsst.sal.Test.arrays"]).await;
    assert!(fields.out.contains("double0") && fields.out.contains("double[5]"), "{}", fields.out);

    let csv = run(&[
        "get",
        "lsst.sal.Test.arrays",
        "--fields",
        "private_seqNum,int0",
        "--last",
        "1h",
        "--format",
        "csv",
    ])
    .await;
    assert_eq!(csv.code, Some(0), "{}", csv.err);
    let mut lines = csv.out.lines();
    assert_eq!(lines.next(), Some("time,private_seqNum,int0"));
    let first = lines.next().unwrap();
    let cells: Vec<&str> = first.splitn(3, ',').collect();
    assert!(cells[0].ends_with('Z') && cells[0].len() == 27, "{first}");
    assert_eq!(cells[1], "1");
    assert!(
        cells[2].starts_with("\"[") && cells[2].ends_with("]\"") && cells[2].split(',').count() == 5,
        "{first}"
    );
    let in_kafka = stack.records_of("lsst.sal.Test.arrays").await.unwrap();
    assert_eq!(csv.out.lines().count() as u64 - 1, in_kafka);

    // What was recorded, then what comes while it runs, until there are three more.
    let count = (in_kafka + 3).to_string();
    let arguments =
        ["tail", "lsst.sal.Test.arrays", "--fields", "private_seqNum", "--last", "1h", "--count", &count];
    let (tail, more) = tokio::join!(run(&arguments), stack.simulate(400.0));
    more.unwrap();
    assert_eq!(tail.code, Some(0), "{}", tail.err);
    let numbers: Vec<&str> = tail.out.lines().filter_map(|line| line.split(',').nth(1)).collect();
    assert_eq!((numbers[0], numbers.len() as u64), ("private_seqNum", in_kafka + 4));
    assert_eq!(numbers[1..].iter().take(3).collect::<Vec<_>>(), [&"1", &"2", &"3"]);

    let table = run(&["get", "lsst.sal.Test.scalars", "--fields", "int0", "--last", "1h"]).await;
    assert!(table.out.contains("int0"), "{}", table.out);
    let empty = run(&["get", "lsst.sal.Test.scalars", "--start", "2001-01-01", "--end", "2001-01-02"]).await;
    assert_eq!(empty.code, Some(0), "an empty range is no error: {}", empty.err);
    for (arguments, says) in [
        (vec!["get", "lsst.sal.Test.scalers", "--last", "1h"], "lsst.sal.Test.scalars"),
        (vec!["get", "lsst.sal.Test.scalars", "--fields", "nothing", "--last", "1h"], "nothing"),
        (vec!["get", "lsst.sal.Test.scalars", "--start", "2026-01-02", "--end", "2026-01-01"], "start"),
        (vec!["topics", "lsst.sal.Nobody"], "lsst.sal.Nobody"),
    ] {
        let answer = run(&arguments).await;
        assert_eq!(answer.code, Some(1), "{arguments:?}");
        assert!(
            answer.err.contains(says) && answer.err.lines().count() == 1,
            "{arguments:?}: {}",
            answer.err
        );
    }
}
