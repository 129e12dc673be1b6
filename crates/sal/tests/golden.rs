//! Real interface files against schemas, names, order and revCodes that SAL's own classes computed from them.
//!
//! The files are not part of the project: they are looked for in `shared/data` beside the workspace.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use efd_sal::{ClashKind, Component, Folder, Release, clashes};
use serde_json::Value;

/// Schemas in the golden files; 22 of them come from the camera's Avro files.
const SCHEMAS: usize = 563;

/// Component, topic, revCode and number of fields with the private ones. `power` is what its Avro file gives.
const VECTORS: [(&str, &str, &str, usize); 22] = [
    ("ATCamera", "logevent_heartbeat", "147b3ad9", 9),
    ("ATCamera", "logevent_summaryState", "1117f4bc", 9),
    ("ATCamera", "power", "91782d67", 15),
    ("ATCamera", "vacuum", "5279ca35", 13),
    ("ATCamera", "command_takeImages", "afe54678", 14),
    ("ATCamera", "focal_plane_Ccd", "7a399647", 15),
    ("ATCamera", "ackcmd", "c06077ab", 15),
    ("MTM1M3", "logevent_heartbeat", "aa47d303", 9),
    ("MTM1M3", "forceActuatorData", "b6107eef", 23),
    ("MTM1M3", "hardpointActuatorData", "4ccf05de", 27),
    ("MTM1M3", "accelerometerData", "02454dc4", 14),
    ("MTM1M3", "ackcmd", "2f0ed87c", 15),
    ("Test", "logevent_heartbeat", "9690f77a", 10),
    ("Test", "scalars", "6de335f2", 20),
    ("Test", "arrays", "dff61575", 19),
    ("Test", "logevent_scalars", "d861c89c", 20),
    ("Test", "command_setScalars", "30f4d877", 20),
    ("Test", "ackcmd", "3a49d1f3", 16),
    ("ESS", "temperature", "5e24dd78", 14),
    ("ESS", "accelerometer", "70cabc94", 16),
    ("MTMount", "azimuth", "36c848ca", 23),
    ("MTMount", "logevent_summaryState", "92c1546e", 9),
];

/// Says so, also where the test runner keeps back what passing tests print.
fn report(line: &str) {
    // A closed stderr is no reason to fail a test.
    let _ = writeln!(io::stderr(), "golden: {line}");
}

fn reference_data() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    if folder.is_dir() {
        return Some(folder);
    }
    report("SKIPPED, no shared/data folder beside the workspace");
    None
}

fn open_release(data: &Path) -> Release {
    open_folder(data, |folder| {
        let names = fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
        names.collect()
    })
}

fn open_folder(data: &Path, list: fn(&Path) -> io::Result<Vec<String>>) -> Release {
    let root = data.join("ts_xml");
    let (label, folders) = (root.display().to_string(), root.clone());
    let read = Box::new(move |path: &str| fs::read_to_string(root.join(path)));
    let list = Box::new(move |path: &str| list(&folders.join(path)));
    Release::open(Folder { label, read, list }).expect("a real release")
}

/// One line of a golden file: the object, and the schema's bytes as they stand in the line.
struct Golden {
    object: Value,
    schema: String,
}

impl Golden {
    fn text(&self, key: &str) -> &str {
        self.object.get(key).and_then(Value::as_str).expect("a text in each golden line")
    }
}

fn golden_files(data: &Path) -> BTreeMap<String, Vec<Golden>> {
    let mut components = BTreeMap::new();
    for entry in fs::read_dir(data.join("avro_golden")).expect("a folder") {
        let path = entry.expect("an entry").path();
        let lines = fs::read_to_string(&path).expect("a readable file");
        let golden = lines.lines().map(|line| {
            let object: Value = serde_json::from_str(line).expect("JSON in each line");
            let (_, schema) = line.split_once(r#""schema": "#).expect("the schema comes last");
            Golden { object, schema: schema.strip_suffix('}').expect("an object").to_owned() }
        });
        let component = path.file_stem().expect("a file").to_string_lossy().into_owned();
        components.insert(component, golden.collect());
    }
    components
}

/// Compares one component; gives how many topics were equal.
fn compare(component: &Component, golden: &[Golden]) -> usize {
    let mut order: Vec<&str> = golden.iter().map(|line| line.text("sal_name")).collect();
    // SAL has the camera's topics behind ackcmd in the order in which it found their files; ours is that of names.
    let xml = order.iter().position(|name| *name == "ackcmd").map_or(order.len(), |ackcmd| ackcmd + 1);
    order.split_at_mut(xml).1.sort_unstable();
    let ours: Vec<&str> = component.topics.iter().map(|topic| topic.sal_name.as_str()).collect();
    assert_eq!(ours, order, "topics of {}", component.name);

    for line in golden {
        let name = line.text("sal_name");
        let topic = component.topic(name).expect("the names are equal");
        assert_eq!(topic.avro_schema(), line.schema, "{} {name}", component.name);
        assert_eq!(topic.rev_code(), line.text("rev_code"), "{} {name}", component.name);
        assert_eq!(topic.kafka_name("sal"), line.text("kafka_name"));
        assert_eq!(topic.subject("sal"), line.text("subject"));
        assert_eq!(
            Some(u64::from(topic.partitions(1))),
            line.object.get("partitions").and_then(Value::as_u64)
        );
    }
    golden.len()
}

#[test]
fn every_golden_schema_matches_to_the_byte() {
    let Some(data) = reference_data() else {
        return;
    };
    let release = open_release(&data);
    let mut equal = 0;
    for (name, golden) in golden_files(&data) {
        let matched = compare(&release.component(&name).expect("a real component"), &golden);
        report(&format!("{name}: {matched} schemas equal"));
        equal += matched;
    }
    report(&format!("{equal} schemas equal"));
    assert_eq!(equal, SCHEMAS);
}

#[test]
fn without_the_avro_files_the_xml_topic_stays() {
    let Some(data) = reference_data() else {
        return;
    };
    let release = open_folder(&data, |_| Err(io::ErrorKind::NotFound.into()));
    let camera = release.component("ATCamera").expect("a real component");
    let power = camera.topic("power").expect("a real topic");
    assert_eq!((power.rev_code().as_str(), power.fields.len()), ("d96cc482", 28));
    assert!(camera.topic("version").is_none());
}

#[test]
fn known_rev_codes_are_computed() {
    let Some(data) = reference_data() else {
        return;
    };
    let release = open_release(&data);
    let components: BTreeMap<&str, Component> = VECTORS
        .iter()
        .map(|(name, ..)| (*name, release.component(name).expect("a real component")))
        .collect();
    for (component, name, rev_code, fields) in VECTORS {
        let topic = components.get(component).and_then(|component| component.topic(name));
        let topic = topic.expect("a real topic");
        assert_eq!((topic.rev_code().as_str(), topic.fields.len()), (rev_code, fields), "{component} {name}");
    }
    report(&format!("{} revCodes equal", VECTORS.len()));
}

#[test]
fn a_real_release_lists_its_components() {
    let Some(data) = reference_data() else {
        return;
    };
    let release = open_release(&data);
    assert_eq!(release.names().count(), 63);
    // Only six components have their files in the folder.
    let message = release.component("MTHexapod").unwrap_err().to_string();
    assert!(message.contains("component MTHexapod has no interface file"), "{message}");
    let message = release.component("MTM1M4").unwrap_err().to_string();
    assert!(message.contains("did you mean MTM1M3"), "{message}");
}

#[test]
fn the_known_collisions_of_a_real_component_are_found() {
    let Some(data) = reference_data() else {
        return;
    };
    let gis = open_release(&data).component("GIS").expect("a real component");
    let mut collisions = BTreeMap::new();
    for topic in &gis.topics {
        for clash in clashes(&topic.fields) {
            if clash.kind != ClashKind::Ambiguity {
                *collisions.entry(topic.sal_name.as_str()).or_insert(0) += clash.names.len();
            }
        }
    }
    let expected = [
        ("logevent_afeDecentralizedIOOutputs", 2),
        ("logevent_laserDecentralizedIOInput", 4),
        ("logevent_laserDecentralizedIOOutputs", 2),
        ("logevent_m2cDecentralizedIOInput", 1),
        ("logevent_m2cDecentralizedIOOutput", 1),
    ];
    assert_eq!(collisions, BTreeMap::from(expected));
}
