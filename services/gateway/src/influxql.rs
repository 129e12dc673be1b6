//! Builds the statements that InfluxDB is asked (pure).
//!
//! Every name is quoted and escaped, and times are integers, so that no text of a request can become part of a statement.

use std::fmt::Write as _;

use crate::time_range::TimeRange;

/// Where a topic is stored.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// Database.
    pub database: &'a str,
    /// Retention policy.
    pub retention_policy: &'a str,
    /// Measurement: the name of the topic.
    pub measurement: &'a str,
}

/// Columns of a measurement over a range of time, in the order of time.
pub fn select_range<'a>(
    source: Source<'_>,
    columns: impl IntoIterator<Item = &'a str>,
    range: TimeRange,
) -> String {
    let mut statement = String::from("SELECT ");
    for (index, column) in columns.into_iter().enumerate() {
        if index > 0 {
            statement.push(',');
        }
        quote_into(column, &mut statement);
    }
    statement.push_str(" FROM ");
    source_into(source, &mut statement);
    write!(statement, " WHERE time >= {} AND time <= {}", range.start_ns(), range.end_ns())
        .expect("writing to a string cannot fail");
    statement
}

/// Names of the fields of a measurement.
pub fn show_field_keys(source: Source<'_>) -> String {
    let mut statement = String::from("SHOW FIELD KEYS FROM ");
    source_into(source, &mut statement);
    statement
}

/// Names of the measurements of a database; all that InfluxDB 1.x can be asked.
pub fn show_measurements(database: &str) -> String {
    let mut statement = String::from("SHOW MEASUREMENTS ON ");
    quote_into(database, &mut statement);
    statement
}

/// Names of the measurements of a retention policy. InfluxDB 2.x answers the form without a policy only for a bucket that
/// is the database's default; InfluxDB 1.x does not parse this one.
pub fn show_measurements_of_policy(database: &str, retention_policy: &str) -> String {
    let mut statement = show_measurements(database);
    statement.push('.');
    quote_into(retention_policy, &mut statement);
    statement
}

fn source_into(source: Source<'_>, out: &mut String) {
    quote_into(source.database, out);
    out.push('.');
    quote_into(source.retention_policy, out);
    out.push('.');
    quote_into(source.measurement, out);
}

/// An identifier in double quotes, with the three escapes that InfluxQL knows.
fn quote_into(name: &str, out: &mut String) {
    out.push('"');
    for character in name.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            other => out.push(other),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: Source<'_> =
        Source { database: "efd", retention_policy: "autogen", measurement: "lsst.sal.X.y" };

    #[test]
    fn a_range_is_selected_by_name_with_both_bounds_inclusive() {
        let range = TimeRange::from_ns(1_700_000_000_000_000_001, 1_700_000_001_000_000_000).unwrap();
        assert_eq!(
            select_range(SOURCE, ["a0", "a1"], range),
            r#"SELECT "a0","a1" FROM "efd"."autogen"."lsst.sal.X.y" WHERE time >= 1700000000000000001 AND time <= 1700000001000000000"#
        );
    }

    #[test]
    fn no_name_can_end_its_quotes() {
        let source = Source { measurement: "x\"; DROP DATABASE efd; --", ..SOURCE };
        assert_eq!(
            show_field_keys(source),
            r#"SHOW FIELD KEYS FROM "efd"."autogen"."x\"; DROP DATABASE efd; --""#
        );
        let source = Source { measurement: "x\\\"\n", ..SOURCE };
        assert_eq!(show_field_keys(source), r#"SHOW FIELD KEYS FROM "efd"."autogen"."x\\\"\n""#);
    }

    #[test]
    fn measurements_are_asked_for_with_and_without_a_policy() {
        assert_eq!(show_measurements("efd"), r#"SHOW MEASUREMENTS ON "efd""#);
        assert_eq!(show_measurements_of_policy("efd", "autogen"), r#"SHOW MEASUREMENTS ON "efd"."autogen""#);
    }
}
