//! The text of an Avro schema: what makes two texts the same schema, and which are valid. Pure.
//!
//! A schema is its text, in the form of [`form`](crate::form): documentation, defaults and attributes that Avro does not know
//! (`units`, `description`) all count, because readers of the registry use them. White space and the order of the keys that Avro
//! knows do not, as it is for Confluent's registry.

use apache_avro::Schema;
use serde_json::Value;

use crate::form::printed;
use crate::inline::inlined;

/// Brings a schema into the form that is stored and compared: compact JSON.
///
/// # Errors
/// When the text is not JSON.
pub fn normal_form(text: &str) -> Result<String, serde_json::Error> {
    let schema: Value = serde_json::from_str(text)?;
    serde_json::to_string(&printed(schema, ""))
}

/// Reads a schema in its normal form.
///
/// # Errors
/// Why Avro does not allow it, on one line.
pub fn parse(normal_form: &str) -> Result<Schema, String> {
    Schema::parse_str(normal_form)
        .map_err(|error| error.to_string().split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Reads a schema that uses types of others, which are given as texts.
///
/// # Errors
/// Why Avro does not allow it, on one line.
pub fn parse_with(normal_form: &str, others: &[String]) -> Result<Schema, String> {
    if others.is_empty() {
        return parse(normal_form);
    }
    parse(&inlined(normal_form, others).map_err(|error| error.to_string())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A schema as SAL registers it: blanks, units, descriptions, an array with a default.
    const SAL: &str = r#"{"type": "record", "name": "arrays", "namespace": "lsst.sal.Test", "fields": [{"name": "private_sndStamp", "type": "double", "default": 0.0, "description": "Time of publication", "units": "second"}, {"name": "int0", "type": {"type": "array", "items": "int"}, "default": [0, 0, 0, 0, 0], "description": "caf\u00e9", "units": "unitless"}], "description": "Arrays"}"#;

    #[test]
    fn a_sal_schema_is_valid_and_keeps_everything_but_its_white_space() {
        let text = normal_form(SAL).unwrap();
        assert_eq!(
            text,
            r#"{"type":"record","name":"arrays","namespace":"lsst.sal.Test","fields":[{"name":"private_sndStamp","type":"double","default":0.0,"description":"Time of publication","units":"second"},{"name":"int0","type":{"type":"array","items":"int"},"default":[0,0,0,0,0],"description":"café","units":"unitless"}],"description":"Arrays"}"#
        );
        parse(&text).unwrap();
    }

    #[test]
    fn the_nullable_floats_of_2023_are_valid() {
        let text = r#"{"type":"record","name":"r","fields":[{"name":"a","type":["float","null"],"default":0.0},{"name":"b","type":["null","double"],"default":null}]}"#;
        parse(&normal_form(text).unwrap()).unwrap();
    }

    #[test]
    fn a_primitive_alone_in_an_object_is_its_name_wherever_a_schema_stands() {
        let table = [
            (r#"{"type":"string"}"#, r#""string""#),
            (r#" "string" "#, r#""string""#),
            (r#"[{"type":"null"},{"type":"int"}]"#, r#"["null","int"]"#),
            (r#"{"type":"array","items":{"type":"int"}}"#, r#"{"type":"array","items":"int"}"#),
            (r#"{"type":"map","values":[{"type":"int"}]}"#, r#"{"type":"map","values":["int"]}"#),
            (
                r#"{"type":"record","name":"r","fields":[{"name":"a","type":{"type":"long"},"default":0}]}"#,
                r#"{"type":"record","name":"r","fields":[{"name":"a","type":"long","default":0}]}"#,
            ),
        ];
        for (text, expected) in table {
            assert_eq!(normal_form(text).unwrap(), expected);
        }
    }

    #[test]
    fn what_only_looks_like_a_primitive_is_kept() {
        let table = [
            r#"{"type":"string","avro.java.string":"String"}"#,
            r#"{"type":"record","name":"r","fields":[{"name":"a","type":{"type":"map","values":"string"},"default":{"type":"string"}}]}"#,
            r#"{"type":"record","name":"r","fields":[],"units":{"type":"int"}}"#,
        ];
        for text in table {
            assert_eq!(normal_form(text).unwrap(), text);
        }
    }

    #[test]
    fn numbers_keep_their_value_to_the_last_digit() {
        for number in [
            "0.0",
            "-0.0",
            "0.1",
            "9007199254740993",
            "-9223372036854775808",
            "5e-324",
            "2.2250738585072014e-308",
        ] {
            assert_eq!(normal_form(number).unwrap(), number);
        }
        assert_eq!(normal_form("1.0E2").unwrap(), "100.0");
    }

    #[test]
    fn every_schema_of_the_reference_data_is_valid() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/avro_golden");
        let Ok(files) = std::fs::read_dir(folder) else {
            println!("skipped: no reference data in {folder}");
            return;
        };
        let mut schemas = 0;
        for file in files {
            for line in std::fs::read_to_string(file.unwrap().path()).unwrap().lines() {
                let topic: Value = serde_json::from_str(line).unwrap();
                let text = topic["schema"].to_string();
                let form = normal_form(&text).unwrap();
                let read: Value = serde_json::from_str(&form).unwrap();
                assert_eq!(read, topic["schema"], "{}", topic["subject"]);
                assert_eq!(normal_form(&form).unwrap(), form, "{}", topic["subject"]);
                parse(&text).unwrap_or_else(|reason| panic!("{}: {reason}", topic["subject"]));
                schemas += 1;
            }
        }
        println!("{schemas} schemas of the reference data are valid");
        assert!(schemas > 0);
    }

    #[test]
    fn invalid_schemas_are_errors_on_one_line() {
        let deep = format!("{}\"int\"{}", r#"{"type":"array","items":"#.repeat(120), "}".repeat(120));
        parse(&normal_form(&deep).unwrap()).unwrap();
        let too_deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
        for text in ["", "{", "string", "1e999", &too_deep] {
            normal_form(text).unwrap_err();
        }
        let table = [
            r#""strin""#,
            "{}",
            "7",
            r#"{"type":"record","name":"r"}"#,
            r#"{"type":"record","name":"r","fields":[{"name":"a"}]}"#,
            r#"{"type":"record","name":"r","fields":[{"name":"a","type":"int"},{"name":"a","type":"int"}]}"#,
            r#"{"type":"enum","name":"e","symbols":["A","A"]}"#,
            r#"{"type":"record","name":"r","fields":[{"name":"a","type":"unknown"}]}"#,
        ];
        for text in table {
            let reason = parse(&normal_form(text).unwrap()).expect_err(text);
            assert!(!reason.contains('\n'), "{reason}");
        }
    }
}
