//! The demo itself, shortened.

use efd_tests::efd;
use rstest::rstest;

#[rstest]
#[case::influxdb_1("1")]
#[case::influxdb_2("2")]
#[tokio::test]
async fn the_demo_accounts_for_every_record(#[case] generation: &str) {
    let interfaces = efd_tests::interfaces();
    let interfaces = interfaces.to_string_lossy();
    let arguments = ["demo", "--duration", "8s", "--influxdb", generation, "--interfaces", &interfaces];
    let answer = efd(None, &arguments, &[]).await.unwrap();
    assert_eq!(answer.code, Some(0), "{}{}", answer.out, answer.err);
    assert_eq!(answer.out.lines().last(), Some("lost 0"), "{}", answer.out);
    assert!(answer.out.contains("export EFD_CONFIG="), "{}", answer.out);
    for component in ["ATCamera", "MTM1M3", "Test"] {
        let row = answer.out.lines().find(|line| line.trim_start().starts_with(component)).unwrap();
        let cells: Vec<&str> = row.split_whitespace().collect();
        let counts: Vec<u64> = cells[1..5].iter().map(|cell| cell.parse().unwrap()).collect();
        assert!(counts[0] > 0 && counts[1] > 0, "{row}");
        assert_eq!(counts[1], counts[3], "produced and points: {row}");
    }
    assert!(!answer.err.contains("panic"), "{}", answer.err);
}
