use proptest::prelude::*;

use super::*;

fn one(text: &str) -> Statement {
    let mut found = statements(text).unwrap();
    assert_eq!(found.len(), 1, "{text}");
    found.remove(0)
}

/// Sources in one line: `database|measurement`, `~` before a regular expression, `?` for what is unclear.
fn sources(text: &str) -> String {
    let name = |name: &Name| match name {
        Name::Is(name) => name.clone(),
        Name::Matches(regex) => format!("~{regex}"),
        Name::Unclear => "?".to_owned(),
    };
    let sources = one(text).sources;
    let lines = sources.iter().map(|source| {
        format!("{}|{}", source.database.as_deref().unwrap_or_default(), name(&source.measurement))
    });
    lines.collect::<Vec<_>>().join(" ")
}

#[test]
fn what_only_reads_is_told_from_what_writes() {
    let reading = [
        "SELECT a FROM m",
        "select mean(a) from m group by time(1m) fill(null)",
        "EXPLAIN ANALYZE SELECT a FROM m",
        "explain select a from m",
        "SHOW DATABASES",
        "SHOW TAG VALUES FROM m WITH KEY = \"into\"",
        "SELECT \"into\" FROM m WHERE a = 'INTO x' -- into y",
        "SELECT /into/ FROM m /* INTO z */",
    ];
    for text in reading {
        assert_ne!(one(text).kind, Kind::Write, "{text}");
    }
    let writing = [
        ("CREATE DATABASE x", "CREATE DATABASE"),
        ("create continuous query c on d begin select a into b from m end", "CREATE CONTINUOUS"),
        ("DROP MEASUREMENT m", "DROP MEASUREMENT"),
        ("DROP SERIES FROM m", "DROP SERIES"),
        ("DELETE FROM m", "DELETE FROM"),
        ("ALTER RETENTION POLICY a ON b DEFAULT", "ALTER RETENTION"),
        ("GRANT ALL TO u", "GRANT ALL"),
        ("REVOKE ALL FROM u", "REVOKE ALL"),
        ("KILL QUERY 1", "KILL QUERY"),
        ("SET PASSWORD FOR u = 'p'", "SET PASSWORD"),
        ("SELECT a INTO b FROM m", "SELECT INTO"),
        ("SELECT a*1.5INTO b FROM m", "SELECT INTO"),
        ("SELECT a FROM (SELECT b INTO c FROM d)", "SELECT INTO"),
        ("EXPLAIN ANALYZE SELECT a INTO b FROM m", "EXPLAIN INTO"),
        ("EXPLAIN DROP DATABASE a", "EXPLAIN DROP"),
    ];
    for (text, words) in writing {
        let statement = one(text);
        assert_eq!((statement.kind, statement.words.as_str()), (Kind::Write, words), "{text}");
    }
}

#[test]
fn statements_are_told_apart_and_empty_ones_are_none() {
    let found = statements(" ; SELECT a FROM m WHERE b = ';' ;; DROP DATABASE \"x;y\"; -- SELECT").unwrap();
    let words: Vec<_> = found.iter().map(|statement| statement.words.as_str()).collect();
    assert_eq!(words, ["SELECT", "DROP DATABASE"]);
    assert!(statements("").unwrap().is_empty());
}

#[test]
fn every_source_is_found() {
    let cases = [
        (r#"SELECT a FROM "efd"."autogen"."lsst.sal.X.y" WHERE time > now()"#, "efd|lsst.sal.X.y"),
        ("SELECT a FROM m, \"n\"", "|m |n"),
        ("SELECT a FROM autogen.m", "|m"),
        ("SELECT a FROM efd..m", "efd|m"),
        ("SELECT a FROM /^x/, d.r./y/", "|~^x d|~y"),
        ("SELECT a FROM (SELECT b FROM c, e WHERE d > (1 + 2)), f", "|c |e |f"),
        ("SELECT a FROM x, (SELECT b FROM (SELECT c FROM y) WHERE z), w", "|x |y |w"),
        ("SELECT a FROM a.b.c.d", "|?"),
        ("SELECT a FROM $m", "|?"),
        ("SELECT a FROM a.$m", "|?"),
        ("SELECT a FROM", "|?"),
        ("SHOW FIELD KEYS ON efd FROM m", "|m"),
        ("SHOW SERIES", ""),
    ];
    for (text, expected) in cases {
        assert_eq!(sources(text), expected, "{text}");
    }
}

#[test]
fn a_show_names_its_database_and_its_filter() {
    let measurements = |text: &str| match one(text) {
        Statement { kind: Kind::Measurements(found), on, .. } => {
            (text[..found.on_end].to_owned(), found.on_parts, found.filter, on)
        }
        other => panic!("{other:?}"),
    };
    let is = |name: &str| Some(Name::Is(name.into()));
    assert_eq!(measurements("show measurements"), ("show measurements".into(), 0, None, None));
    let text = "SHOW MEASUREMENTS ON efd WITH MEASUREMENT =~ /^a/ LIMIT 1";
    let regex = Some(Name::Matches("^a".into()));
    assert_eq!(measurements(text), ("SHOW MEASUREMENTS ON efd".into(), 1, regex, is("efd")));
    let text = "SHOW MEASUREMENTS ON \"efd\".\"r\" WITH MEASUREMENT = \"m\"";
    assert_eq!(measurements(text), (r#"SHOW MEASUREMENTS ON "efd"."r""#.into(), 2, is("m"), is("efd")));
    assert_eq!(measurements("SHOW MEASUREMENTS ON *.*").3, Some(Name::Unclear));
    assert_eq!(measurements("SHOW MEASUREMENTS WITH MEASUREMENT != a").2, Some(Name::Unclear));
    assert_eq!(measurements("SHOW MEASUREMENTS LIMIT 1 WITH MEASUREMENT = a").2, Some(Name::Unclear));
    assert_eq!(one("SHOW TAG VALUES EXACT CARDINALITY ON x WITH KEY = a").on, is("x"));
    assert_eq!(one("SHOW RETENTION POLICIES").kind, Kind::Policies);
    for text in ["SHOW USERS", "SHOW QUERIES", "SHOW GRANTS FOR u", "SHOW", "SHOW WHATEVER"] {
        assert_eq!(one(text).kind, Kind::Server, "{text}");
    }
}

#[test]
fn what_is_no_statement_is_refused_with_its_place() {
    let refused = |text: &str| statements(text).unwrap_err().to_string();
    assert_eq!(
        refused("SELECT a FROM m;\n SELEC b"),
        "error parsing query: found SELEC, expected SELECT, SHOW, EXPLAIN at line 2, char 2"
    );
    assert!(refused("'a").starts_with("error parsing query: quotes without end"));
    assert!(refused("(SELECT a FROM m)").contains("found ("));
    let deep = format!("SELECT {}a{} FROM m", "(".repeat(200), ")".repeat(200));
    assert!(refused(&deep).contains("brackets"), "{}", refused(&deep));
}

#[test]
fn only_what_a_regular_expression_surely_begins_with_counts() {
    let cases = [
        (r"^lsst\.sal\.Test\..*", "lsst.sal.Test."),
        (r"^lsst\.sal\.Tests*", "lsst.sal.Test"),
        (r"^ab?c", "a"),
        (r"^ab{0}c", "a"),
        (r"^ab+c", "ab"),
        (r"^lsst.sal", "lsst"),
        (r"^a|b", ""),
        (r"lsst", ""),
        (r"^(?i)a", ""),
        (r"^\Qa\E", ""),
        (r"^a\d", "a"),
        (r"^a/b", "a/b"),
        (r"^[a]b", ""),
        (r"^", ""),
        (r"^a\", "a"),
    ];
    for (regex, expected) in cases {
        assert_eq!(literal_beginning(regex), expected, "{regex}");
    }
}

proptest! {
    /// A statement that writes is found wherever it stands between others, whatever they quote or comment.
    #[test]
    fn a_write_is_found_behind_any_text(
        quoted in ".{0,20}",
        comment in "[a-zA-Z;'\" ]{0,20}",
        regex in r"[a-z;\\'. ]{0,10}",
    ) {
        prop_assume!(!quoted.chars().any(|c| c.is_ascii_control()));
        let text = quoted.replace('\\', "\\\\").replace('\'', "\\'");
        // A backslash at its end would escape the slash.
        let regex = regex.trim_end_matches('\\');
        let query = format!(
            "/* {comment} */ SELECT a FROM m WHERE b = '{text}' AND c =~ /{regex}/ -- {comment}\n; DROP DATABASE x"
        );
        let found = statements(&query).unwrap();
        prop_assert_eq!(found.len(), 2);
        prop_assert_eq!(&found[0].kind, &Kind::Select);
        prop_assert_eq!(&found[1].kind, &Kind::Write);
    }

    /// Whatever comes: no panic.
    #[test]
    fn any_text_is_read_or_refused(text in "((SELECT|FROM|SHOW|MEASUREMENTS|ON|WITH|INTO|[a-z(),.;/'\"*$=~-])[ ]?){0,40}") {
        let _ = statements(&text);
    }
}
