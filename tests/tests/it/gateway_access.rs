//! The gateway over the network: found by name, over TLS, with credentials, by our Python package; killed in the middle of an answer; and
//! what it says in its log of queries that are slow.

use std::fmt::Write as _;

use efd_schema::{RegistryClient, RegistryConfig};
use efd_tests::{GATEWAY_TOKENS, Generation, Options, Stack, certificates, efd_python, eventually};
use rstest::rstest;
use serde_json::{Value, json};

use crate::gateway_http::server::Server;

const LABEL: &str = "test_efd";
const WIDE: &str = "lsst.sal.X.wide";
const FIELDS: usize = 20;
/// So many that no buffer between InfluxDB and client holds the answer.
const ROWS: usize = 60_000;

#[rstest]
#[case::influxdb_1(Generation::V1)]
#[case::influxdb_2(Generation::V2)]
#[tokio::test]
async fn the_python_package_reads_by_name_over_tls_with_credentials_and_resumes(
    #[case] generation: Generation,
) {
    let mut stack = Stack::recording(Options::new(generation)).await.unwrap();
    put_rows(&stack).await;
    if generation == Generation::V2 {
        // 2.x lists no tags without.
        Server::influxdb(&stack).map_default().await;
    }
    let files = certificates(stack.folder()).unwrap();
    let grpc = stack.gateway_url().replace("http://", "https://");
    let label = json!({"name": LABEL, "url": format!("https://{}/influxdb/", stack.gateway_http()),
        "grpc": grpc, "schema_registry": stack.registry_url()});
    let [(name, token), (other, other_token)] = GATEWAY_TOKENS;
    let settings = json!({
        "tls": {"certificate_file": files.keystore, "key_file": files.keystore},
        "http": {"path": "/influxdb/"},
        "credentials": [
            {"name": name, "prefixes": ["lsst.sal.Test.", "lsst.sal.X.", "lsst.MTCamera."]},
            {"name": other, "quota": {"max_running": 4, "per_second": 0.1, "burst": 5}},
        ],
        "discovery": {"labels": [label]},
        "query": {"slow": "1ms"},
    });
    stack.start_gateway_with(&settings).await.unwrap();
    stack.start_ingest().await.unwrap();

    let service = format!("https://{name}:{token}@{}/segwarides/", stack.gateway_http());
    let (folder, rows) = (stack.folder().to_owned(), ROWS.to_string());
    let (ca, signs) = (files.authority.to_string_lossy(), folder.to_string_lossy().into_owned());
    let (other, script) = (format!("{other}:{other_token}"), "../tests/clients/efd_access.py");
    let arguments = [script, "--service", &service, "--label", LABEL, "--ca", &ca, "--grpc", &grpc];
    let more = ["--other", &other, "--folder", &signs, "--rows", &rows];
    let arguments = [&arguments[..], &more[..]].concat();
    let gateway = stack.gateway.as_mut().unwrap();
    let interrupt = async {
        eventually("it reads", async || Ok(folder.join("reading").exists())).await?;
        let log = gateway.log()?;
        gateway.kill();
        gateway.start_again()?;
        gateway.ready().await?;
        std::fs::write(folder.join("again"), "")?;
        anyhow::Ok(log)
    };
    let reading = efd_python(&arguments, &[]);
    tokio::pin!(reading);
    // Where it fails before, nothing is to be waited for.
    let log = tokio::select! {
        output = &mut reading => panic!("it ended before: {output:?}"),
        log = interrupt => log.unwrap(),
    };
    let output = reading.await.unwrap();
    assert_eq!(output.code, Some(0), "{}\n{}", output.out, output.err);
    let seen: Value = serde_json::from_str(&output.out).unwrap();
    assert!(seen["followed"].as_u64() > Some(10) && seen["parts"].as_u64() > Some(2), "{seen}");
    // Its second life gave the rest, and only that.
    let metrics = stack.gateway.as_ref().unwrap().metrics().await.unwrap();
    let rest = metrics.sum("efd_gateway_rows_sent_total", &[]);
    assert!(rest > 0.0 && rest < ROWS as f64, "{rest}");
    slow_queries_are_told(&log);
}

/// Topics that no component has: a wide one, one with a tag, and one that is not for everybody.
async fn put_rows(stack: &Stack) {
    let registry = RegistryConfig { url: Some(stack.registry_url()), ..RegistryConfig::default() };
    let registry = RegistryClient::new(&registry).unwrap();
    let names: Vec<String> = (0..FIELDS).map(|field| format!("d{field}x")).collect();
    for (topic, names) in [(WIDE, names.as_slice()), ("lsst.sal.Secret.y", &["d".to_owned()])] {
        let fields: Vec<Value> = names.iter().map(|name| json!({"name": name, "type": "double"})).collect();
        let (space, name) = topic.rsplit_once('.').unwrap();
        let schema = json!({"type": "record", "name": name, "namespace": space, "fields": fields});
        registry.register(&format!("{topic}-value"), &schema.to_string()).await.unwrap();
    }
    let mut lines =
        "lsst.sal.Secret.y d=1 1000\nlsst.MTCamera.temperature,Raft=R01 ccd=1.5 1000\n".to_owned();
    for row in 0..ROWS {
        lines += WIDE;
        for (field, name) in names.iter().enumerate() {
            let separator = if field == 0 { ' ' } else { ',' };
            write!(lines, "{separator}{name}={}.5", row + field).unwrap();
        }
        writeln!(lines, " {row}000000000").unwrap();
        if lines.len() > 4 << 20 {
            stack.write_lines(&lines).await.unwrap();
            lines.clear();
        }
    }
    stack.write_lines(&lines).await.unwrap();
}

/// Each slow query stands there once, with what it asked for, and never with a token.
fn slow_queries_are_told(log: &str) {
    let slow: Vec<Value> = log
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .filter(|line: &Value| line["message"] == "slow query")
        .collect();
    let of = |kind: &str, about: &str| {
        let is_it = |line: &&Value| {
            line["kind"] == kind && line["request"].as_str().is_some_and(|text| text.contains(about))
        };
        slow.iter().find(is_it).unwrap_or_else(|| panic!("no {kind} with {about}: {slow:?}")).clone()
    };
    let range = of("query_range", WIDE);
    assert!(range["seconds"].as_f64() >= Some(0.001) && range["rows"].as_u64() == Some(30), "{range}");
    assert_eq!((&range["level"], &range["status"]), (&json!("WARN"), &json!("ok")));
    of("influxql", "SELECT d0x, d1x FROM");
    for (_, token) in GATEWAY_TOKENS {
        assert!(!log.contains(token), "a token stands in the log");
    }
}
