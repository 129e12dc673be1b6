//! `efd interfaces` on our own interfaces, on the reference data where it is, and on a release of the real size.

use std::fs;
use std::path::{Path, PathBuf};

use efd_sal::{ClashKind, Component, Release, clashes};
use efd_schema::RecordSchema;
use efd_sink::{MappingConfig, Plan};
use efd_tests::{Output, efd, interfaces, release, write_release};

/// Time to load a whole release; a debug build takes several times as long.
const LOAD_SECONDS: f64 = if cfg!(debug_assertions) { 20.0 } else { 0.5 };

/// Data of the observatory that is not part of the project.
fn reference_data() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("SKIPPED, no shared/data folder beside the workspace");
    None
}

async fn run(arguments: &[&str]) -> Output {
    efd(None, arguments, &[]).await.unwrap()
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// The line of a report that begins so.
fn line<'a>(output: &'a Output, start: &str) -> &'a str {
    output
        .out
        .lines()
        .find(|line| line.starts_with(start))
        .unwrap_or_else(|| panic!("no {start}: {}", output.out))
}

#[tokio::test]
async fn all_golden_schemas_are_equal_to_the_byte() {
    let Some(data) = reference_data() else {
        return;
    };
    let mut golden: Vec<String> =
        fs::read_dir(data.join("avro_golden")).unwrap().map(|entry| text(&entry.unwrap().path())).collect();
    golden.sort();
    let folder = text(&data.join("ts_xml"));
    let mut arguments = vec!["interfaces", "check", "--interfaces", &folder, "--golden"];
    arguments.extend(golden.iter().map(String::as_str));
    let answer = run(&arguments).await;
    assert_eq!(answer.code, Some(0), "{}{}", answer.out, answer.err);
    assert_eq!(
        line(&answer, "golden"),
        "golden      563 of 563 equal to the byte, revCodes and subjects too"
    );
    assert!(line(&answer, "found").starts_with("found       0 errors, 10 collisions, "), "{}", answer.out);
    let ours =
        run(&["interfaces", "check", "--interfaces", &text(&interfaces()), "--golden", &golden[0]]).await;
    assert_eq!(ours.code, Some(1), "our descriptions are our own, so the schemas are others");
    assert!(line(&ours, "golden").starts_with("golden      1 of 184 equal"), "{}", ours.out);
}

#[tokio::test]
async fn a_release_of_the_real_size_loads_in_time() {
    let folder = tempfile::tempdir().unwrap();
    write_release(folder.path(), &interfaces().join("SALGenerics.xml")).unwrap();
    let answer = run(&["interfaces", "check", "--interfaces", &text(folder.path())]).await;
    assert_eq!(answer.code, Some(0), "{}{}", answer.out, answer.err);
    assert_eq!(line(&answer, "components"), "components  63, 21 of them indexed");
    assert_eq!(
        line(&answer, "topics"),
        "topics      3188: 840 commands, 1883 events, 402 telemetry, 63 ackcmd"
    );
    assert_eq!(
        line(&answer, "found"),
        "found       0 errors, 0 collisions, 0 ambiguities, 0 names that SAL does not allow"
    );
    let loaded = line(&answer, "loaded");
    eprintln!("{loaded}");
    let seconds: f64 = loaded.split_whitespace().nth(2).unwrap().parse().unwrap();
    assert!(seconds < LOAD_SECONDS, "{loaded}");

    let release = efd_ingest::interfaces::open(folder.path()).unwrap();
    let own: Vec<usize> = components(&release)
        .iter()
        .flat_map(|component| &component.topics)
        .filter(|topic| topic.sal_name.contains("topic"))
        .flat_map(|topic| topic.fields.iter().filter(|field| !field.is_private).map(|field| field.count))
        .collect();
    assert_eq!((own.len(), own.iter().sum::<usize>()), (release::OWN_FIELDS, release::OWN_VALUES));
    assert_eq!(own.iter().max(), Some(&3024));
}

fn components(release: &Release) -> Vec<Component> {
    let names: Vec<&str> = release.names().collect();
    // Of the reference data, six components have files.
    names.into_iter().filter_map(|name| release.component(name).ok()).collect()
}

/// What a person is told before a release is used is what the sink does with it.
#[tokio::test]
async fn the_sink_resolves_exactly_the_collisions_that_check_reports() {
    let folders = [Some(interfaces()), reference_data().map(|data| data.join("ts_xml"))];
    let mut collisions = 0;
    for folder in folders.into_iter().flatten() {
        for topic in
            components(&efd_ingest::interfaces::open(&folder).unwrap()).iter().flat_map(|c| &c.topics)
        {
            let schema = RecordSchema::parse(&topic.avro_schema()).unwrap();
            let plan = Plan::compile(1, &schema, &MappingConfig::default()).unwrap();
            let mut reported: Vec<String> = clashes(&topic.fields)
                .into_iter()
                .filter(|clash| clash.kind != ClashKind::Ambiguity)
                .flat_map(|clash| clash.names)
                .collect();
            let mut resolved = plan.collisions().to_vec();
            reported.sort();
            resolved.sort();
            assert_eq!(reported, resolved, "{}", topic.measurement());
            collisions += reported.len();
        }
    }
    assert!(collisions == 0 || collisions == 10, "{collisions}");
}

#[tokio::test]
async fn our_own_interfaces_have_nothing_to_report() {
    let answer = run(&["interfaces", "check", "--interfaces", &text(&interfaces())]).await;
    assert_eq!(answer.code, Some(0), "{}", answer.err);
    assert_eq!(
        line(&answer, "found"),
        "found       0 errors, 0 collisions, 0 ambiguities, 0 names that SAL does not allow"
    );
}

#[tokio::test]
async fn components_and_topics_are_shown() {
    let folder = text(&interfaces());
    let shown = async |arguments: &[&str]| {
        let mut all = vec!["interfaces", "--interfaces", &folder];
        all.extend(arguments);
        run(&all).await
    };
    let list = shown(&["list"]).await;
    let row = list.out.lines().find(|line| line.trim_start().starts_with("Test ")).unwrap();
    let cells: Vec<&str> = row.split_whitespace().collect();
    assert_eq!(cells, ["Test", "yes", "10", "11", "2", "24", "105", "225"]);
    assert!(shown(&["show", "Test"]).await.out.contains("ValueEnum: 0 Zero, 2 Two, 4 Four, 5 Five"));
    let topic = shown(&["show", "ATCamera", "logevent_heartbeat"]).await;
    for says in [
        "lsst.sal.ATCamera.logevent_heartbeat-value",
        r#"{ "name": "ATCamera", "topic": "logevent_heartbeat" }"#,
        "kept: the last record of each key",
        "private_efdStamp",
    ] {
        assert!(topic.out.contains(says), "{says}: {}", topic.out);
    }
    let schema = shown(&["show", "ATCamera", "logevent_heartbeat", "--schema"]).await;
    assert_eq!(RecordSchema::parse(&schema.out).unwrap().name, "lsst.sal.ATCamera.logevent_heartbeat");
    for (arguments, says) in [
        (["show", "ATCamera", "logevent_heartbeet"], "did you mean logevent_heartbeat"),
        (["show", "ATCamra", "ackcmd"], "did you mean ATCamera"),
    ] {
        let answer = shown(&arguments).await;
        assert_eq!(answer.code, Some(1));
        assert!(answer.err.contains(says) && answer.err.lines().count() == 1, "{}", answer.err);
    }
}

/// A release with one component, `Dome`.
fn dome(events: &str, telemetry: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let list = "<SALSubsystemSet><SALSubsystem><Name>Dome</Name><IndexEnumeration>no</IndexEnumeration></SALSubsystem>\
                </SALSubsystemSet>";
    let files = [
        ("SALSubsystems.xml", list.to_owned()),
        ("SALGenerics.xml", "<SALObjects/>".to_owned()),
        ("Dome/Dome_Events.xml", format!("<SALEventSet>\n{events}\n</SALEventSet>")),
        ("Dome/Dome_Telemetry.xml", format!("<SALTelemetrySet>\n{telemetry}\n</SALTelemetrySet>")),
    ];
    fs::create_dir(folder.path().join("Dome")).unwrap();
    for (path, text) in files {
        fs::write(folder.path().join(path), text).unwrap();
    }
    folder
}

fn telemetry(name: &str, fields: &[(&str, &str, usize)]) -> String {
    let item = |(name, ty, count): &(&str, &str, usize)| {
        format!("<item><EFDB_Name>{name}</EFDB_Name><IDL_Type>{ty}</IDL_Type><Count>{count}</Count></item>")
    };
    let items: String = fields.iter().map(item).collect();
    format!("<SALTelemetry><EFDB_Topic>Dome_{name}</EFDB_Topic>{items}</SALTelemetry>")
}

#[tokio::test]
async fn a_new_release_says_what_it_changes_and_what_influxdb_cannot_take() {
    let old = dome(
        "",
        &(telemetry("doors", &[("open", "int", 1), ("force", "float", 3)]) + &telemetry("gone", &[])),
    );
    let harmless =
        dome("", &telemetry("doors", &[("open", "long long", 1), ("force", "double", 3), ("new", "int", 1)]));
    let harmful = dome(
        "",
        &telemetry("doors", &[("open", "string", 1), ("force", "float", 3), ("force2", "float", 1)]),
    );
    let diff = async |new: &Path| run(&["interfaces", "diff", &text(old.path()), &text(new)]).await;

    let answer = diff(harmless.path()).await;
    assert_eq!(answer.code, Some(0), "{}", answer.err);
    let expected = "~ component Dome\n  - gone\n  ~ doors\n    + new int\n    ~ open: int -> long\n    ~ force: float[3] -> double[3]\n\
                    components  0 added, 0 removed, 1 changed\n\
                    topics      0 added, 1 removed, 1 with other fields, 0 with only other texts or order\n\
                    fields      1 added, 0 removed, 2 changed in topics that stay\n";
    assert_eq!(answer.out, expected);

    let answer = diff(harmful.path()).await;
    assert_eq!(answer.code, Some(1));
    for says in [
        "    ! InfluxDB has open as integer and refuses string in the same shard\n",
        "    ! array force and force2 both claim force2; the value of force, declared first, is stored\n",
    ] {
        assert!(answer.out.contains(says), "{}", answer.out);
    }
    assert!(answer.err.contains("1 names change their type in InfluxDB") && answer.err.lines().count() == 1);
    assert_eq!(run(&["interfaces", "diff", &text(old.path()), &text(old.path())]).await.code, Some(0));
}

#[tokio::test]
async fn a_wrong_file_is_named_with_line_and_element_and_the_rest_is_still_looked_at() {
    let folder = dome("<SALEvent>\n<EFDB_Topic>Dome_open</EFDB_Topic></SALEvent>", "");
    let path = text(folder.path());
    let answer = run(&["interfaces", "check", "--interfaces", &path]).await;
    assert_eq!(answer.code, Some(1));
    let expected = format!(
        "error      {path}/Dome/Dome_Events.xml:2: <SALEvent>: topic \"Dome_open\" is not named as its kind is"
    );
    assert!(line(&answer, "error").starts_with(&expected), "{}", answer.out);
    assert_eq!(line(&answer, "components"), "components  0, 0 of them indexed");
    assert_eq!(answer.err, "efd interfaces check: 1 errors\n");
    let missing = run(&["interfaces", "list", "--interfaces", "/nowhere"]).await;
    assert!(
        missing.code == Some(1) && missing.err.contains("no SALSubsystems.xml in /nowhere"),
        "{}",
        missing.err
    );
}
