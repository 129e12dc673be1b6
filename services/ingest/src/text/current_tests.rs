use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value as Avro;
use efd_schema::wire;

use super::*;
use crate::metrics::RejectReason;
use crate::testing;
use crate::text::translate::Translator;

const NOW: Moment = Moment { utc_micros: 1_700_000_000_000_000, tai_minus_utc: 37 };

fn translator(stamps: Stamps) -> Translator {
    let topics = [testing::heartbeat(), testing::scalars(), testing::arrays()];
    let clock = Clock::new(None).unwrap();
    Translator::Current(CurrentForm::new(&testing::sample_topics(topics), clock, stamps))
}

/// Fields, topic and key of a record.
type Read = (Vec<(String, Avro)>, String, String);

/// The record as Apache's reader has it.
fn record(text: &str, stamps: Stamps) -> Result<Read, Reject> {
    let translator = translator(stamps);
    let mut out = Vec::new();
    let encoded = translator.translate(text.as_bytes(), NOW, &mut out)?;
    let topics = [testing::heartbeat(), testing::scalars(), testing::arrays()];
    let topic = topics.iter().find(|topic| topic.kafka_name("sal") == encoded.topic).unwrap();
    let schema = apache_avro::Schema::parse_str(&topic.avro_schema()).unwrap();
    let (_, mut body) = wire::split(&out).unwrap();
    let Avro::Record(fields) =
        GenericDatumReader::builder(&schema).build().unwrap().read_value(&mut body).unwrap()
    else {
        panic!()
    };
    assert!(body.is_empty());
    Ok((fields, encoded.topic.to_owned(), encoded.key.unwrap()))
}

fn field<'a>(fields: &'a [(String, Avro)], name: &str) -> &'a Avro {
    &fields.iter().find(|(field, _)| field == name).unwrap().1
}

#[test]
fn a_line_becomes_a_record_with_todays_private_fields() {
    let text =
        "ATCamera ATCamera_logevent_heartbeat:( '147b3ad9', 1548000000.25, 1548000001.5, 12, 9, 42, '0' )";
    let (fields, topic, key) = record(text, Stamps::Utc).unwrap();
    assert_eq!(topic, "lsst.sal.ATCamera.logevent_heartbeat");
    assert_eq!(key, r#"{ "name": "ATCamera", "topic": "logevent_heartbeat" }"#);
    let expected = [
        ("private_sndStamp", Avro::Double(1_548_000_037.25)),
        ("private_rcvStamp", Avro::Double(1_548_000_038.5)),
        ("private_efdStamp", Avro::Double(1_548_000_000.25)),
        ("private_kafkaStamp", Avro::Double(1_700_000_037.0)),
        ("private_seqNum", Avro::Int(12)),
        ("private_revCode", Avro::String("147b3ad9".into())),
        ("private_identity", Avro::String("ATCamera".into())),
        ("private_origin", Avro::Int(42)),
        ("heartbeat", Avro::Boolean(false)),
    ];
    assert_eq!(fields, expected.map(|(name, value)| (name.to_owned(), value)));
    let (fields, ..) = record(text, Stamps::Tai).unwrap();
    assert_eq!(field(&fields, "private_sndStamp"), &Avro::Double(1_548_000_000.25));
    assert_eq!(field(&fields, "private_efdStamp"), &Avro::Double(1_547_999_963.25));
}

#[test]
fn texts_keep_their_characters_and_later_fields_their_places() {
    let text = "Test Test_scalars:( 'r', 1548000000, 1548000000, 1, 1, 1, False, -5, 9000000000, 0.1, nan, 'a, \"b\"; (c)='d' é' )";
    let (fields, ..) = record(text, Stamps::Utc).unwrap();
    assert_eq!(field(&fields, "boolean0"), &Avro::Boolean(false));
    assert_eq!(field(&fields, "int0"), &Avro::Int(-5));
    assert_eq!(field(&fields, "longLong0"), &Avro::Long(9_000_000_000));
    assert_eq!(field(&fields, "float0"), &Avro::Float(0.1));
    assert!(matches!(field(&fields, "double0"), Avro::Double(value) if value.is_nan()));
    assert_eq!(field(&fields, "string0"), &Avro::String("a, \"b\"; (c)='d' é".into()));
    assert_eq!(field(&fields, "salIndex"), &Avro::Int(0));
}

#[test]
fn an_indexed_component_may_send_its_index_first() {
    let array = ["1, 0, 1, 0, 1"; 10].join(", ");
    let text = format!("Test Test_arrays:( 'r', 1548000000, 1548000000, 1, 1, 1, 3, {array} )");
    let (fields, ..) = record(&text, Stamps::Utc).unwrap();
    assert_eq!(field(&fields, "salIndex"), &Avro::Int(3));
    let expected = [true, false, true, false, true].map(Avro::Boolean).to_vec();
    assert_eq!(field(&fields, "boolean0"), &Avro::Array(expected));
}

#[test]
fn a_line_that_cannot_be_used_says_why() {
    let line = |rest: &str| format!("ATCamera {rest}");
    let cases = [
        ("rubbish".to_owned(), RejectReason::Parse, "`:(` is missing"),
        (line("Test_scalars:( 'r', 1, 1, 1, 1, 1 )"), RejectReason::Parse, "not one of component ATCamera"),
        (
            line("ATCamera_nothing:( 'r', 1, 1, 1, 1, 1 )"),
            RejectReason::Encode,
            "ATCamera_nothing is not in the interfaces",
        ),
        (
            line("ATCamera_logevent_heartbeat:( 'r', 1548000000, 1548000000, 1, 1, 1, maybe )"),
            RejectReason::Encode,
            "field heartbeat is \"maybe\", not a boolean",
        ),
        (
            line("ATCamera_logevent_heartbeat:( 'r', 1548000000, 1548000000, 1, 1, 1, 1, 2 )"),
            RejectReason::Encode,
            "the text has 2 items and the topic 1",
        ),
        (
            line("ATCamera_logevent_heartbeat:( 'r', 1548000000, 1548000000, 9999999999, 1, 1, 1 )"),
            RejectReason::Encode,
            "sequence 9999999999",
        ),
        (line("ATCamera_logevent_heartbeat:( 'r', 0, 1548000000, 1, 1, 1, 1 )"), RejectReason::Encode, ""),
    ];
    for (text, reason, expected) in cases {
        let reject = record(&text, Stamps::Utc).unwrap_err();
        assert!(reject.reason == reason && reject.detail.contains(expected), "{text}: {reject:?}");
    }
}
