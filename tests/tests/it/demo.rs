//! The demo itself, shortened.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use efd_tests::{binary, efd, eventually};
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

/// A demo that goes on until it is stopped, in a process group of its own as a shell starts it.
async fn start(folder: &Path) -> Child {
    let out = std::fs::File::create(folder.join("out")).unwrap();
    let mut command = Command::new(binary("efd").unwrap());
    command.args(["demo", "--components", "Test", "--dir"]).arg(folder.join("demo"));
    command.arg("--interfaces").arg(efd_tests::interfaces());
    command.env_remove("EFD_CONFIG").process_group(0).stdin(Stdio::null()).stdout(out).stderr(Stdio::null());
    let mut demo = command.spawn().unwrap();
    eventually("the demo is up", || {
        let (text, ended) = (printed(folder), demo.try_wait());
        async move {
            anyhow::ensure!(ended?.is_none(), "it ended: {text}");
            Ok(text.contains("Ctrl-C stops everything"))
        }
    })
    .await
    .unwrap();
    demo
}

fn printed(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("out")).unwrap()
}

/// Kafka's and InfluxDB's process ids, as the demo prints them.
fn server_ids(folder: &Path) -> Vec<String> {
    let text = printed(folder);
    let ids = text.split("(process ").skip(1).filter_map(|rest| rest.split(')').next());
    ids.map(str::to_owned).collect()
}

fn kill(signal: &str, target: &str) {
    let status = Command::new("sh").args(["-c", &format!("kill -{signal} {target}")]).status().unwrap();
    assert!(status.success());
}

async fn servers_are_gone(ids: &[String]) {
    assert_eq!(ids.len(), 2, "{ids:?}");
    eventually("no server is left", || async {
        // What has ended and waits for its parent has no command line any more.
        let runs =
            |id: &String| std::fs::read(format!("/proc/{id}/cmdline")).is_ok_and(|line| !line.is_empty());
        Ok(!ids.iter().any(runs))
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn ctrl_c_in_a_terminal_ends_with_a_complete_account() {
    let folder = tempfile::tempdir().unwrap();
    let mut demo = start(folder.path()).await;
    let ids = server_ids(folder.path());
    // A terminal sends it to the whole process group.
    kill("INT", &format!("-{}", demo.id()));
    let status = tokio::task::spawn_blocking(move || demo.wait()).await.unwrap().unwrap();
    let text = printed(folder.path());
    assert_eq!(status.code(), Some(0), "{text}");
    assert_eq!(text.lines().last(), Some("lost 0"), "{text}");
    servers_are_gone(&ids).await;
}

#[tokio::test]
async fn a_killed_demo_leaves_no_server_behind() {
    let folder = tempfile::tempdir().unwrap();
    let mut demo = start(folder.path()).await;
    let ids = server_ids(folder.path());
    demo.kill().unwrap();
    demo.wait().unwrap();
    servers_are_gone(&ids).await;
}
