//! The commands of an analyst on rows that are known: newest, statistics, samples, files, charts, schemas, and what they refuse.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use efd_tests::{GATEWAY_TOKENS, Generation, Output, binary, certificates, efd, efd_python, eventually};
use rstest::rstest;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::gateway_calls::Gateway;
use crate::gateway_calls::rows::{FIRST, MAIN, MAIN_SCHEMA, OTHER, PACKED, ROWS, SECOND};

/// All that was recorded.
const RANGE: [&str; 4] = ["--start", "2023-11-14T22:13:20Z", "--end", "2023-11-14T22:14:00Z"];

/// Runs commands beside one gateway.
struct Commands {
    config: PathBuf,
    folder: TempDir,
}

impl Commands {
    async fn run(&self, arguments: &[&str]) -> Output {
        efd(Some(&self.config), arguments, &[]).await.unwrap()
    }

    /// What a command prints that ends well.
    async fn out(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments).await;
        assert_eq!(output.code, Some(0), "{arguments:?}: {}", output.err);
        output.out
    }

    /// The same over all that was recorded.
    async fn out_of_all(&self, arguments: &[&str]) -> String {
        self.out(&[arguments, &RANGE].concat()).await
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).into_os_string().into_string().unwrap()
    }

    fn files(&self) -> usize {
        std::fs::read_dir(self.folder.path()).unwrap().count()
    }
}

#[rstest]
#[case::influxdb_1(Generation::V1)]
#[case::influxdb_2(Generation::V2)]
#[tokio::test]
async fn each_command_gives_what_was_recorded(#[case] generation: Generation) {
    let gateway = Gateway::start(generation).await;
    let config = gateway.stack.efd_config().unwrap();
    let commands = Commands { config, folder: tempfile::tempdir().unwrap() };
    newest_and_statistics(&commands).await;
    samples(&commands).await;
    files(&commands).await;
    schemas_and_activity(&commands).await;
    charts(&commands).await;
    terminals(&commands).await;
    refusals(&commands).await;
    an_interrupted_file_is_not_left(&gateway, &commands).await;
    credentials(gateway, commands).await;
}

async fn newest_and_statistics(commands: &Commands) {
    let newest = commands.out(&["latest", MAIN, "-n", "2", "--fields", "count,a", "--format", "csv"]).await;
    let expected = "time,count,a\n2023-11-14T22:13:58.000000Z,38,\"[38.0,null,0.25]\"\n\
                    2023-11-14T22:13:59.000000Z,39,\"[39.0,null,0.25]\"\n";
    assert_eq!(newest, expected);
    let before =
        ["latest", MAIN, "--before", "2023-11-14T22:13:21Z", "--fields", "count", "--format", "json"];
    let expected = "{\"time\":\"2023-11-14T22:13:20.000000Z\",\"count\":0}\n";
    assert_eq!(commands.out(&before).await, expected);

    let window = ["window", MAIN, "--interval", "20s", "--fields", "count"];
    let statistics = ["--statistics", "min,mean,max,count", "--format", "csv"];
    let expected = "time,count_min,count_mean,count_max,count_count\n\
                    2023-11-14T22:13:20.000000Z,0,9.5,19,20\n2023-11-14T22:13:40.000000Z,20,29.5,39,20\n";
    assert_eq!(commands.out_of_all(&[&window[..], &statistics].concat()).await, expected);
}

async fn samples(commands: &Commands) {
    let packed = ["packed", PACKED, "--fields", "x,y", "--format", "csv"];
    let samples = commands.out_of_all(&packed).await;
    let lines: Vec<&str> = samples.lines().collect();
    assert_eq!(
        lines[..3],
        ["time,x,y", "2023-11-14T22:13:20.000000Z,0.0,0", "2023-11-14T22:13:20.250000Z,0.5,7"]
    );
    assert_eq!((lines[8], lines.len()), ("2023-11-14T22:13:21.750000Z,3.5,7", 9));
    // The records are evenly apart, so that the old way gives the same.
    assert_eq!(commands.out_of_all(&[&packed[..], &["--first-rows"]].concat()).await, samples);
    let utc = commands.out_of_all(&[&packed[..], &["--reference-scale", "utc"]].concat()).await;
    assert_eq!(utc.lines().nth(1), Some("2023-11-14T22:13:57.000000Z,0.0,0"));
}

async fn files(commands: &Commands) {
    let lines = commands.out_of_all(&["get", MAIN, "--format", "json"]).await;
    let mut written = Vec::new();
    for name in ["a.parquet", "a.arrow", "a.csv", "a.jsonl"] {
        let path = commands.path(name);
        let said = commands.out_of_all(&["get", MAIN, "--output", &path]).await;
        assert!(said.starts_with(&format!("{path}: {ROWS} rows, ")), "{said}");
        written.push(path);
    }
    assert_eq!(std::fs::read_to_string(&written[3]).unwrap(), lines);
    let csv = commands.out_of_all(&["get", MAIN, "--format", "csv"]).await;
    assert_eq!(std::fs::read_to_string(&written[2]).unwrap(), csv);

    let (packed, empty) = (commands.path("packed.parquet"), commands.path("empty.parquet"));
    commands.out_of_all(&["packed", PACKED, "--fields", "x", "--output", &packed]).await;
    commands.out(&["latest", OTHER, "--before", "2001-01-01", "--output", &empty]).await;
    let script = "../tests/clients/columns_of_files.py";
    let read = efd_python(&[script, &written[0], &written[1], &packed, &empty], &[]).await.unwrap();
    assert_eq!(read.code, Some(0), "{}", read.err);
    let read: Vec<Value> = read.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for file in &read[..2] {
        columns_are_those_of_the_topic(file, &lines);
    }
    let sample = |place: i64| json!([FIRST + place * SECOND / 4, place as f64 / 2.0]);
    assert_eq!(read[2]["rows"], (0..8).map(sample).collect::<Value>());
    assert_eq!((&read[3]["rows"], &read[3]["topic"]), (&json!([]), &json!(OTHER)));
    // Nothing but the files is left in the folder.
    assert_eq!(commands.files(), 6);

    // Into a pipe there is no name to be given.
    let piped = commands.out_of_all(&["get", MAIN, "--format", "parquet"]).await;
    assert!(piped.starts_with("PAR1") && piped.ends_with("PAR1"));
    let piped = commands.out_of_all(&["get", MAIN, "--format", "arrow", "--output", "-"]).await;
    assert!(piped.starts_with("ARROW1") && piped.ends_with("ARROW1"));
}

/// Values of a file beside those of JSON lines, and what it says of them.
fn columns_are_those_of_the_topic(file: &Value, lines: &str) {
    assert_eq!(file["topic"], MAIN);
    let fields = &file["fields"];
    assert_eq!(fields["time"]["arrow"], "timestamp[ns, tz=UTC]");
    let force = json!({"arrow": "double", "type": "double", "unit": "N", "description": "pull"});
    assert_eq!(fields["force"], force);
    assert_eq!((&fields["a"]["unit"], &fields["a"]["type"]), (&json!("m"), &json!("float")));
    let array = fields["a"]["arrow"].as_str().unwrap();
    assert!(array.starts_with("fixed_size_list<") && array.ends_with("[3]"), "{array}");
    assert_eq!(fields["state"]["symbols"], "[\"OFF\",\"IDLE\"]");
    assert_eq!((&fields["count"]["arrow"], &fields["on"]["arrow"]), (&json!("int64"), &json!("bool")));

    let rows = file["rows"].as_array().unwrap();
    assert_eq!(rows.len() as i64, ROWS);
    for ((row, line), number) in rows.iter().zip(lines.lines()).zip(0..) {
        let line: serde_json::Map<String, Value> = serde_json::from_str(line).unwrap();
        assert_eq!(row[0], FIRST + number * SECOND);
        let values: Vec<&Value> = line.values().skip(1).collect();
        assert_eq!(row.as_array().unwrap()[1..].iter().collect::<Vec<_>>(), values, "row {number}");
    }
}

async fn schemas_and_activity(commands: &Commands) {
    let table = commands.out(&["schema", MAIN]).await;
    let row =
        |field: &str| table.lines().find(|line| line.trim_start().starts_with(field)).unwrap_or_default();
    assert!(table.starts_with(&format!("{MAIN}: what it is\nschema ")), "{table}");
    assert!(["double", "N", "pull"].iter().all(|part| row("force").contains(part)), "{table}");
    assert!(row("a ").contains("float[3]") && row("a ").contains("a0 … a2"), "{table}");
    assert!(row("state").contains("[OFF, IDLE]"), "{table}");

    let expected: Value = serde_json::from_str(MAIN_SCHEMA).unwrap();
    let found: Value =
        serde_json::from_str(&commands.out(&["schema", MAIN, "--format", "json"]).await).unwrap();
    assert_eq!((&found["schema"], &found["version"]), (&expected, &json!(1)));
    let array = &found["fields"][6];
    assert_eq!(
        (&array["name"], &array["length"], &array["influxdb"]),
        (&json!("a"), &json!(3), &json!(["a0", "a1", "a2"]))
    );
    let avro: Value =
        serde_json::from_str(&commands.out(&["schema", MAIN, "--format", "avro"]).await).unwrap();
    assert_eq!(avro, expected);

    let topics = commands.out(&["topics", "lsst.sal.X.", "--activity"]).await;
    let line = topics.lines().find(|line| line.contains(MAIN)).unwrap_or_default();
    let cells: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(cells, [MAIN, "yes", "yes", "2023-11-14T22:13:59.000000Z", "0.00"], "{topics}");
}

async fn charts(commands: &Commands) {
    let chart = commands.out_of_all(&["get", MAIN, "--fields", "force,a,state", "--plot"]).await;
    let lines: Vec<&str> = chart.lines().collect();
    assert!(lines[0].starts_with(&format!("{MAIN}, 2023-11-14T22:13:20.000000Z to ")), "{chart}");
    let has = |wanted: &str| lines.iter().any(|line| line.trim() == wanted);
    assert!(has("force (N)") && has("a (m): [0], [1], [2]") && has("state"), "{chart}");
    assert!(chart.contains("22:13:40") && chart.contains("22:14:00"), "{chart}");
    let is_braille = |letter: char| ('\u{2801}'..='\u{28ff}').contains(&letter);
    // The line of the force climbs over the whole width, from the bottom to the top.
    let columns = (1..12).filter_map(|line| lines.get(line)?.chars().position(is_braille));
    let columns: Vec<usize> = columns.collect();
    assert!(columns.len() > 6 && columns.is_sorted_by(|above, below| above > below), "{chart}");
    assert!(lines.iter().all(|line| line.chars().count() <= 80) && !chart.contains('\x1b'), "{chart}");

    let window = ["window", MAIN, "--interval", "5s", "--fields", "force", "--plot"];
    let chart = commands.out_of_all(&window).await;
    assert!(chart.contains("force (N): min, mean, max") && chart.contains(is_braille), "{chart}");
    let chart = commands.out_of_all(&["packed", PACKED, "--fields", "x", "--plot"]).await;
    assert!(chart.contains(is_braille), "{chart}");
    let range = ["--start", "2001-01-01", "--end", "2001-01-02"];
    let empty = commands.run(&[&["get", MAIN, "--fields", "force", "--plot"][..], &range].concat()).await;
    assert!(empty.out.contains("force (N): no values") && empty.err.starts_with("no records"), "{empty:?}");
}

/// At a terminal lines have colours, and what is no text is refused.
async fn terminals(commands: &Commands) {
    let line = format!("get {MAIN} --fields force,a --plot {}", RANGE.join(" "));
    let chart = at_terminal(&commands.config, &line).await;
    assert!(chart.contains("a (m): \x1b[38;5;14m[0]"), "{chart}");
    let refused = at_terminal(&commands.config, &format!("latest {MAIN} --format arrow")).await;
    assert!(refused.contains("nothing for a terminal: give --output FILE"), "{refused}");
    assert!(!refused.contains("ARROW1"), "{refused}");
}

/// What a command prints at a terminal, which the program `script` makes.
async fn at_terminal(config: &Path, arguments: &str) -> String {
    let line = format!("{} {arguments}", binary("efd").unwrap().display());
    let mut command = tokio::process::Command::new("script");
    command.args(["--quiet", "--command", &line, "/dev/null"]);
    command.env("EFD_CONFIG", config).env("TERM", "xterm").env_remove("NO_COLOR");
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output();
    let output = tokio::time::timeout(efd_tests::DEADLINE, output).await.unwrap().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

async fn refusals(commands: &Commands) {
    let before = commands.files();
    let (new, missing) = (commands.path("new.parquet"), commands.path("no/new.parquet"));
    let folder = commands.folder.path().to_str().unwrap();
    let reversed = ["--start", "2023-11-15", "--end", "2023-11-14"];
    let all = |arguments: &[&'static str]| [arguments, &RANGE].concat();
    for (arguments, says) in [
        (all(&["get", "lsst.sal.X.mian"]), "lsst.sal.X.main"),
        (all(&["get", MAIN, "--fields", "farce"]), "force"),
        ([&["get", MAIN, "--output", &new], &reversed[..]].concat(), "start"),
        ([&["get", "lsst.sal.X.mian", "--output", &new], &RANGE[..]].concat(), "lsst.sal.X.main"),
        ([&["get", MAIN, "--output", &missing], &RANGE[..]].concat(), missing.as_str()),
        ([&["get", MAIN, "--format", "arrow", "--output", folder], &RANGE[..]].concat(), "folder"),
        ([&["get", MAIN, "--format", "csv", "--output", "/dev/full"], &RANGE[..]].concat(), "space"),
        ([&["get", MAIN, "--format", "parquet", "--output", "/dev/full"], &RANGE[..]].concat(), "space"),
        (all(&["get", MAIN, "--fields", "note", "--plot"]), "note"),
        (all(&["window", MAIN, "--interval", "10s", "--fields", "note", "--statistics", "mean"]), "note"),
        (all(&["packed", PACKED, "--fields", "cRIO_timestamp"]), "cRIO_timestamp"),
        (all(&["packed", PACKED, "--fields", "x", "--reference", "clock"]), "clock"),
        (vec!["latest", MAIN, "-n", "0"], "count"),
        (vec!["latest", "lsst.sal.X.mian"], "lsst.sal.X.main"),
        (vec!["schema", "lsst.sal.X.mian"], "lsst.sal.X.main"),
        (vec!["tail", MAIN, "--format", "table"], "csv"),
        (vec!["tail", "lsst.sal.X.mian"], "lsst.sal.X.main"),
    ] {
        let refused = commands.run(&arguments).await;
        assert_eq!(refused.code, Some(1), "{arguments:?}: {} {}", refused.out, refused.err);
        let is_clear = refused.err.contains(says) && refused.err.lines().count() == 1;
        assert!(is_clear, "{arguments:?}: {}", refused.err);
    }
    let plain = commands.run(&all(&["get", MAIN, "--plot"])).await;
    assert_eq!(plain.code, Some(2), "{}", plain.err);
    assert_eq!(commands.files(), before, "nothing is left of what failed");
}

/// The command waits for a gateway that is paused, with its file begun.
async fn an_interrupted_file_is_not_left(gateway: &Gateway, commands: &Commands) {
    let before = commands.files();
    let service = gateway.stack.gateway.as_ref().unwrap();
    service.pause().unwrap();
    let path = commands.path("interrupted.parquet");
    let mut command = tokio::process::Command::new(binary("efd").unwrap());
    command.args(["get", MAIN, "--output", &path]).args(RANGE).env("EFD_CONFIG", &commands.config);
    let child = command.stderr(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    eventually("the file is begun", async || Ok(commands.files() == before + 1)).await.unwrap();
    let pid = child.id().unwrap().to_string();
    tokio::process::Command::new("kill").args(["-INT", &pid]).status().await.unwrap();
    let output = tokio::time::timeout(efd_tests::DEADLINE, child.wait_with_output()).await.unwrap().unwrap();
    service.resume().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "efd: interrupted\n");
    assert_eq!((output.status.code(), commands.files()), (Some(1), before));
}

/// A gateway with TLS and credentials, and a command that has both, one, or a wrong one.
async fn credentials(gateway: Gateway, commands: Commands) {
    let Gateway { mut stack, client } = gateway;
    drop(client);
    stack.gateway.take().unwrap().terminate().await.unwrap();
    let files = certificates(stack.folder()).unwrap();
    let settings = json!({
        "tls": {"certificate_file": files.keystore, "key_file": files.keystore},
        "credentials": [{"name": "notebooks"}],
    });
    stack.start_gateway_with(&settings).await.unwrap();
    let mut config: Value =
        serde_json::from_str(&std::fs::read_to_string(&commands.config).unwrap()).unwrap();
    config["gateway"] = stack.gateway_url().replace("http://", "https://").into();
    config["gateway_access"] = json!({"ca_file": files.authority});
    std::fs::write(&commands.config, config.to_string()).unwrap();

    let [(name, token), _] = GATEWAY_TOKENS;
    let ask = async |environment: &[(&str, &str)]| {
        efd(Some(&commands.config), &["latest", MAIN, "--fields", "count"], environment).await.unwrap()
    };
    let basic = [("EFD_GATEWAY_USERNAME", name), ("EFD_GATEWAY_PASSWORD", token)];
    for environment in [&[("EFD_GATEWAY_TOKEN", token)][..], &basic] {
        let answer = ask(environment).await;
        assert!(answer.code == Some(0) && answer.out.contains("39"), "{answer:?}");
    }
    for environment in [&[][..], &[("EFD_GATEWAY_TOKEN", "wrong")]] {
        let answer = ask(environment).await;
        assert!(answer.code == Some(1) && answer.err.lines().count() == 1, "{answer:?}");
        assert!(answer.err.contains("EFD_GATEWAY_TOKEN"), "{}", answer.err);
    }
    config["gateway_access"] = json!({});
    std::fs::write(&commands.config, config.to_string()).unwrap();
    let untrusting = ask(&[("EFD_GATEWAY_TOKEN", token)]).await;
    assert!(untrusting.code == Some(1) && untrusting.err.contains("certificate"), "{untrusting:?}");
}
