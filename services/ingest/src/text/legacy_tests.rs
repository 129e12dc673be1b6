use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value as Avro;

use super::*;
use crate::metrics::RejectReason;

const NOW: Moment = Moment { utc_micros: 1_700_000_000_123_999, tai_minus_utc: 37 };

fn form() -> LegacyForm {
    let item = |name: &str, ty: &str, rest: &str| {
        format!("<item><EFDB_Name>{name}</EFDB_Name><IDL_Type>{ty}</IDL_Type>{rest}</item>")
    };
    let items = [
        item("flags", "boolean", "<Count>3</Count>"),
        item("count", "unsigned int", ""),
        item("big", "long", ""),
        item("x", "float", ""),
        item("note", "string", ""),
        item("raw", "char", ""),
        item("state", "int", "<Enumeration>Off,On=5</Enumeration>"),
    ];
    let text =
        format!("<S><SALEvent><EFDB_Topic>ATCamera_logevent_x</EFDB_Topic>{}</SALEvent></S>", items.concat());
    let topics = super::super::interface::read("ATCamera", &[("x.xml".into(), text)]).unwrap();
    LegacyForm::new(topics.into_iter().map(|topic| RegisteredTopic { topic, schema_id: 7, component_id: 2 }))
}

fn encode(items: &str, out: &mut Vec<u8>) -> Result<(), Reject> {
    let text = format!(
        "ATCamera ATCamera_logevent_x:( 'abc', 1548000000.1239999, 1548000001, 3000000000, 9, 42, {items} )"
    );
    let form = form();
    let encoded = form.encode(&TextRecord::parse(text.as_bytes()).unwrap(), NOW, out)?;
    assert_eq!(encoded.topic, "lsst.sal.ATCamera_logevent_x");
    assert_eq!((encoded.key, encoded.component_id), (None, 2));
    Ok(())
}

#[test]
fn a_record_is_what_apache_reads_with_the_schema_of_2019() {
    let mut out = Vec::new();
    encode("0, 'False', 1, -1, 9000000000, 0.5, 'it's, so: (x)', a, 5", &mut out).unwrap();
    let (id, mut body) = wire::split(&out).unwrap();
    assert_eq!(id, 7);
    let schema = &form().topics["ATCamera_logevent_x"].topic.schema;
    let schema = apache_avro::Schema::parse_str(schema).unwrap();
    let Avro::Record(fields) =
        GenericDatumReader::builder(&schema).build().unwrap().read_value(&mut body).unwrap()
    else {
        panic!()
    };
    assert!(body.is_empty());
    let expected = [
        ("kafka_timestamp", Avro::TimestampMillis(1_700_000_000_123)),
        ("sal_revcode", Avro::String("abc".into())),
        ("sal_created", Avro::TimestampMillis(1_548_000_000_124)),
        ("sal_ingested", Avro::TimestampMillis(1_548_000_001_000)),
        ("sal_sequence", Avro::Long(3_000_000_000)),
        ("sal_origin", Avro::Int(42)),
        ("sal_host", Avro::Int(9)),
        ("flags", Avro::Array(vec![Avro::Boolean(false), Avro::Boolean(false), Avro::Boolean(true)])),
        ("count", Avro::Int(-1)),
        ("big", Avro::Long(9_000_000_000)),
        ("x", Avro::Float(0.5)),
        ("note", Avro::String("it's, so: (x)".into())),
        ("raw", Avro::Bytes(b"a".to_vec())),
        ("state", Avro::Enum(1, "On".into())),
    ];
    assert_eq!(fields, expected.map(|(name, value)| (name.to_owned(), value)));
}

#[test]
fn what_does_not_fit_is_refused_and_leaves_nothing_behind() {
    let cases = [
        ("0, 0, 0, 3000000000, 1, 1, n, r, Off", "field count is \"3000000000\""),
        ("0, 0, maybe, 1, 1, 1, n, r, Off", "field flags is \"maybe\""),
        ("0, 0, 0, 1, 1, 1, n, r, Broken", "one of Off, On"),
        ("0, 0, 0, 1, 1, 1, n, r", "field state has no item, the text has 8 items and the topic 9"),
        ("0, 0, 0, 1, 1, 1, n, r, Off, 7", "the text has 10 items and the topic 9"),
    ];
    for (items, expected) in cases {
        let mut out = vec![1, 2, 3];
        let reject = encode(items, &mut out).unwrap_err();
        assert!(
            reject.reason == RejectReason::Encode && reject.detail.contains(expected),
            "{}",
            reject.detail
        );
        assert_eq!(out, [1, 2, 3]);
    }
}
