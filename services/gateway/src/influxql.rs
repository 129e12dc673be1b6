//! Builds the statements that InfluxDB is asked (pure).
//!
//! Every name is quoted and escaped, and times are integers, so that no text of a request can become part of a statement.

use std::fmt::Write as _;

use crate::time_range::TimeRange;

/// Why formatting into a string is expected to succeed.
const INFALLIBLE: &str = "writing to a string cannot fail";

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

/// Which rows of a measurement.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    /// Measurement.
    pub source: Source<'a>,
    /// From when to when.
    pub range: TimeRange,
    /// What must hold for them.
    pub filter: &'a Filter,
}

/// What must hold for a row: all of it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Filter {
    /// Groups of comparisons, none of them empty where a statement is built; of each group one must hold.
    pub groups: Vec<Vec<Comparison>>,
}

/// A comparison of a stored field with a value.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// Stored name.
    pub column: String,
    /// InfluxQL's operator.
    pub operator: &'static str,
    /// Value.
    pub value: Literal,
}

/// A value in a statement.
#[derive(Debug, Clone, PartialEq)]
pub enum Literal {
    /// Integer; more than `i64::MIN`, whose digits InfluxQL cannot read.
    Long(i64),
    /// Finite number.
    Double(f64),
    /// Boolean.
    Boolean(bool),
    /// Text.
    Text(String),
}

/// Columns of a measurement, in the order of time.
pub fn select_range<'a>(rows: Rows<'_>, columns: impl IntoIterator<Item = &'a str>) -> String {
    let mut statement = String::from("SELECT ");
    list_into(columns, &mut statement);
    rows_into(rows, &mut statement);
    statement
}

/// The newest rows, newest first, at most `limit` of them.
pub fn select_newest<'a>(rows: Rows<'_>, columns: impl IntoIterator<Item = &'a str>, limit: usize) -> String {
    let mut statement = select_range(rows, columns);
    write!(statement, " ORDER BY time DESC LIMIT {limit}").expect(INFALLIBLE);
    statement
}

/// The oldest row.
pub fn select_oldest(rows: Rows<'_>, column: &str) -> String {
    select_range(rows, [column]) + " LIMIT 1"
}

/// How many values each of several ranges has, one statement for each.
pub fn count<'a>(ranges: impl IntoIterator<Item = Rows<'a>>, column: &str) -> String {
    let mut statements = String::new();
    for rows in ranges {
        statements.push_str(if statements.is_empty() { "SELECT count(" } else { ";SELECT count(" });
        quote_into(column, &mut statements);
        statements.push(')');
        rows_into(rows, &mut statements);
    }
    statements
}

/// Intervals of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Intervals {
    /// Length of one, more than 0.
    pub length_ns: i64,
    /// Where one begins: the others do so a multiple of the length from there.
    pub offset_ns: i64,
}

/// Functions of columns over intervals; only intervals with a value of one of them.
pub fn select_intervals<'a>(
    rows: Rows<'_>,
    calls: impl IntoIterator<Item = (&'static str, &'a str)>,
    intervals: Intervals,
) -> String {
    let mut statement = String::from("SELECT ");
    for (index, (function, column)) in calls.into_iter().enumerate() {
        let comma = if index > 0 { "," } else { "" };
        write!(statement, "{comma}{function}(").expect(INFALLIBLE);
        quote_into(column, &mut statement);
        statement.push(')');
    }
    rows_into(rows, &mut statement);
    let Intervals { length_ns, offset_ns } = intervals;
    write!(statement, " GROUP BY time({length_ns}ns,{offset_ns}ns) fill(none)").expect(INFALLIBLE);
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

fn list_into<'a>(names: impl IntoIterator<Item = &'a str>, out: &mut String) {
    for (index, name) in names.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        quote_into(name, out);
    }
}

/// From which measurement, and where.
fn rows_into(rows: Rows<'_>, out: &mut String) {
    out.push_str(" FROM ");
    source_into(rows.source, out);
    let (start, end) = (rows.range.start_ns(), rows.range.end_ns());
    write!(out, " WHERE time >= {start} AND time <= {end}").expect(INFALLIBLE);
    for group in &rows.filter.groups {
        for (index, comparison) in group.iter().enumerate() {
            out.push_str(if index == 0 { " AND (" } else { " OR " });
            quote_into(&comparison.column, out);
            write!(out, " {} ", comparison.operator).expect(INFALLIBLE);
            literal_into(&comparison.value, out);
        }
        if !group.is_empty() {
            out.push(')');
        }
    }
}

fn literal_into(value: &Literal, out: &mut String) {
    match value {
        Literal::Long(value) => write!(out, "{value}").expect(INFALLIBLE),
        // Rust writes no exponent here, which InfluxQL would not read; without a point it would read an integer.
        Literal::Double(value) if value.fract() == 0.0 => write!(out, "{value}.0").expect(INFALLIBLE),
        Literal::Double(value) => write!(out, "{value}").expect(INFALLIBLE),
        Literal::Boolean(value) => write!(out, "{value}").expect(INFALLIBLE),
        Literal::Text(value) => escape_into(value, '\'', out),
    }
}

fn source_into(source: Source<'_>, out: &mut String) {
    quote_into(source.database, out);
    out.push('.');
    quote_into(source.retention_policy, out);
    out.push('.');
    quote_into(source.measurement, out);
}

/// An identifier in double quotes.
pub fn quote(name: &str) -> String {
    let mut quoted = String::with_capacity(name.len() + 2);
    quote_into(name, &mut quoted);
    quoted
}

/// A regular expression, with its slashes, for all names that begin with one of these.
pub fn regex_of_beginnings(beginnings: &[String]) -> String {
    let mut regex = String::from("/^(");
    for (index, beginning) in beginnings.iter().enumerate() {
        if index > 0 {
            regex.push('|');
        }
        for character in beginning.chars() {
            if character.is_ascii_punctuation() && character != '_' {
                regex.push('\\');
            }
            regex.push(character);
        }
    }
    regex.push_str(")/");
    regex
}

/// An identifier in double quotes.
fn quote_into(name: &str, out: &mut String) {
    escape_into(name, '"', out);
}

/// A text in quotes, with the three escapes that InfluxQL knows.
fn escape_into(text: &str, quote: char, out: &mut String) {
    out.push(quote);
    for character in text.chars() {
        match character {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            other => {
                if other == quote {
                    out.push('\\');
                }
                out.push(other);
            }
        }
    }
    out.push(quote);
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: Source<'_> =
        Source { database: "efd", retention_policy: "autogen", measurement: "lsst.sal.X.y" };

    #[test]
    fn a_range_is_selected_by_name_with_both_bounds_inclusive() {
        let range = TimeRange::from_ns(1_700_000_000_000_000_001, 1_700_000_001_000_000_000).unwrap();
        let filter = Filter::default();
        assert_eq!(
            select_range(Rows { source: SOURCE, range, filter: &filter }, ["a0", "a1"]),
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

    #[test]
    fn conditions_are_quoted_and_all_must_hold() {
        let compare = |column: &str, operator, value| Comparison { column: column.into(), operator, value };
        let filter = Filter {
            groups: vec![
                vec![compare("salIndex", "=", Literal::Long(1)), compare("XID", "=", Literal::Long(1))],
                vec![compare("d", ">=", Literal::Double(-1e-7))],
                vec![compare("d", "<", Literal::Double(1e21))],
                vec![compare("b", "!=", Literal::Boolean(true))],
                vec![compare("t\"", "=", Literal::Text("a' OR '1'='1\\\n".into()))],
            ],
        };
        let range = TimeRange::from_ns(-1, 2).unwrap();
        let statement = select_range(Rows { source: SOURCE, range, filter: &filter }, ["a"]);
        let (_, conditions) = statement.split_once(" WHERE ").unwrap();
        assert_eq!(
            conditions,
            r#"time >= -1 AND time <= 2 AND ("salIndex" = 1 OR "XID" = 1) AND ("d" >= -0.0000001) AND ("d" < 1000000000000000000000.0) AND ("b" != true) AND ("t\"" = 'a\' OR \'1\'=\'1\\\n')"#
        );
    }

    #[test]
    fn newest_rows_counts_and_intervals_are_asked_for() {
        let (range, filter) = (TimeRange::from_ns(1, 2).unwrap(), Filter::default());
        let rows = Rows { source: SOURCE, range, filter: &filter };
        let from = r#" FROM "efd"."autogen"."lsst.sal.X.y" WHERE time >= 1 AND time <= 2"#;
        assert_eq!(
            select_newest(rows, ["a", "b"], 5),
            format!(r#"SELECT "a","b"{from} ORDER BY time DESC LIMIT 5"#)
        );
        assert_eq!(select_oldest(rows, "a"), format!(r#"SELECT "a"{from} LIMIT 1"#));
        let counted = format!(r#"SELECT count("a"){from}"#);
        assert_eq!(count([rows, rows], "a"), format!("{counted};{counted}"));
        let intervals = Intervals { length_ns: 1_000_000, offset_ns: 7 };
        assert_eq!(
            select_intervals(rows, [("min", "a0"), ("max", "a0")], intervals),
            format!(r#"SELECT min("a0"),max("a0"){from} GROUP BY time(1000000ns,7ns) fill(none)"#)
        );
    }
}
