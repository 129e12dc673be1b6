//! Tests of reading InfluxDB's answers, cut at odd places.

use super::*;

/// Recorded from InfluxDB 1.6 with a chunk size of 2; 2.8 answers the same bytes.
const CHUNKED: &str = concat!(
    r#"{"results":[{"statement_id":0,"series":[{"name":"lsst.sal.X.y","columns":["time","a0","s"],"values":["#,
    r#"[1700000000000000000,1700000037.123456,"q\"u,\\o]\\né 0"],[1700000000000001000,1.5,null]],"partial":true}],"partial":true}]}"#,
    "\n",
    r#"{"results":[{"statement_id":0,"series":[{"name":"lsst.sal.X.y","columns":["time","a0","s"],"values":["#,
    r#"[1700000000009999000,1,"[{,}]"]]}]}]}"#,
    "\n"
);

/// Rows and ends that come out when the answer arrives in pieces of `size` bytes.
fn scan(text: &str, size: usize) -> Result<Vec<String>, ResponseError> {
    let mut scanner = Scanner::new(1000);
    let mut found = Vec::new();
    for piece in text.as_bytes().chunks(size) {
        scanner.push(piece)?;
        while let Some(item) = scanner.next()? {
            found.push(match item {
                Item::Row(row) => String::from_utf8(row.to_vec()).unwrap(),
                Item::End => "end".to_owned(),
            });
        }
    }
    scanner.finish()?;
    Ok(found)
}

#[test]
fn rows_come_out_whole_wherever_the_answer_is_cut() {
    let expected = [
        r#"[1700000000000000000,1700000037.123456,"q\"u,\\o]\\né 0"]"#,
        "[1700000000000001000,1.5,null]",
        "end",
        r#"[1700000000009999000,1,"[{,}]"]"#,
        "end",
    ];
    for size in 1..CHUNKED.len() + 1 {
        assert_eq!(scan(CHUNKED, size).unwrap(), expected, "pieces of {size} bytes");
    }
}

#[test]
fn an_answer_without_rows_is_only_an_end() {
    for size in [1, 7, 100] {
        assert_eq!(scan("{\"results\":[{\"statement_id\":0}]}\n", size).unwrap(), ["end"]);
        assert_eq!(
            scan(r#"{"results":[{"series":[{"columns":["a","b"],"values":[]}]}]}"#, size).unwrap(),
            ["end"]
        );
        assert!(scan("", 1).unwrap().is_empty());
    }
}

#[test]
fn a_pretty_answer_is_read_too() {
    let text = "{ \"results\": [ { \"series\": [ { \"values\": [\n [1, 2] ,\n [3, 4]\n ] } ] } ] }";
    assert_eq!(scan(text, 3).unwrap(), ["[1, 2]", "[3, 4]", "end"]);
}

#[test]
fn an_error_in_the_body_is_found_before_and_after_rows() {
    let refused = |text: &str| Err(ResponseError::Refused(text.to_owned()));
    for size in [1, 5, 1000] {
        let text = r#"{"results":[{"statement_id":0,"error":"database not found: efd"}]}"#;
        assert_eq!(scan(text, size), refused("database not found: efd"));
        assert_eq!(scan(r#"{"error":"no [luck]"}"#, size), refused("no [luck]"));
        let late = r#"{"results":[{"series":[{"values":[[1,2]],"partial":true}],"partial":true}]}{"results":[{"error":"late"}]}"#;
        assert_eq!(scan(late, size), refused("late"));
    }
}

#[test]
fn an_answer_that_breaks_off_is_not_taken_for_complete() {
    let first_object = CHUNKED.split_inclusive('\n').next().unwrap();
    assert_eq!(scan(first_object, 10), Err(ResponseError::Ended), "another object was announced");
    assert_eq!(scan(&CHUNKED[..CHUNKED.len() - 4], 10), Err(ResponseError::Ended));
    assert_eq!(scan(r#"{"results":[{"series":[{"values":[[1,"#, 10), Err(ResponseError::Ended));
}

#[test]
fn memory_is_bounded_by_the_longest_row() {
    let row = format!("[1,\"{}\"]", "x".repeat(2000));
    let text = format!(r#"{{"results":[{{"series":[{{"values":[{row}]}}]}}]}}"#);
    assert_eq!(scan(&text, 100), Err(ResponseError::TooLong(1000)));
    let column = format!(r#"{{"results":[{{"series":[{{"columns":["{}"]"#, "x".repeat(2000));
    assert_eq!(scan(&column, 100), Err(ResponseError::TooLong(1000)));
    let rows = vec!["[1,2]"; 10_000].join(",");
    let text = format!(r#"{{"results":[{{"series":[{{"values":[{rows}]}}]}}]}}"#);
    assert_eq!(scan(&text, 64).unwrap().len(), 10_001);
}

#[test]
fn no_answer_makes_it_panic() {
    for text in [
        "]",
        "}",
        "x",
        "[[[[1]]]]",
        "{]}",
        "\"",
        "{\"results\":1}",
        "{}}",
        "{[[[[1]]]]}",
        "<html>",
        "\\",
        "{\"a",
    ] {
        for size in 1..=text.len() {
            let _ = scan(text, size);
        }
    }
    for byte in 0..=u8::MAX {
        let _ = Scanner::new(8).push(&[byte]);
    }
    for cut in 0..CHUNKED.len() {
        if let Some(tail) = CHUNKED.get(cut..) {
            let _ = scan(tail, 11);
        }
    }
    assert!(matches!(scan("<html>", 6), Err(ResponseError::Malformed(_))));
}

#[test]
fn an_error_status_gives_the_message_of_either_generation() {
    assert_eq!(error_text(br#"{"error":"old"}"#), "old");
    assert_eq!(error_text(br#"{"code":"invalid","message":"new"}"#), "new");
    assert_eq!(error_text(b" <html> "), "<html>");
}
