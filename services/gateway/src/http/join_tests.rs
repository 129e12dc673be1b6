use proptest::prelude::*;

use super::*;

/// The joined text, whatever the pieces of the network are.
fn joined(answer: &str, piece: usize) -> Result<String, JoinError> {
    let mut joiner = Joiner::new(10_000);
    let mut text = Vec::new();
    for bytes in answer.as_bytes().chunks(piece.max(1)) {
        text.extend(joiner.push(bytes)?);
    }
    text.extend(joiner.finish()?);
    Ok(String::from_utf8(text).unwrap())
}

fn check(answer: &str, expected: &str) {
    for piece in [1, 2, 3, 7, 1000] {
        assert_eq!(joined(answer, piece).unwrap(), format!("{expected}\n"), "{piece}");
    }
}

#[test]
fn pieces_of_a_series_and_of_a_statement_become_one() {
    check(
        r#"{"results":[{"statement_id":0,"series":[{"name":"m","columns":["time","a"],"values":[[1,"x\"]"],[2,null]],"partial":true}],"partial":true}]}
{"results":[{"statement_id":0,"series":[{"name":"m","columns":["time","a"],"values":[[3,4]]}],"partial":true}]}
{"results":[{"statement_id":0,"series":[{"name":"n","tags":{"t":"[1]"},"columns":["time","a"],"values":[[5,6]]}]}]}
{"results":[{"statement_id":1}]}
{"results":[{"statement_id":2,"series":[{"columns":["name"],"values":[["x"]]},{"columns":["name","b"],"values":[["y",1]]}]}]}
"#,
        r#"{"results":[{"statement_id":0,"series":[{"name":"m","columns":["time","a"],"values":[[1,"x\"]"],[2,null],[3,4]]},{"name":"n","tags":{"t":"[1]"},"columns":["time","a"],"values":[[5,6]]}]},{"statement_id":1},{"statement_id":2,"series":[{"columns":["name"],"values":[["x"]]},{"columns":["name","b"],"values":[["y",1]]}]}]}"#,
    );
}

#[test]
fn errors_and_messages_stay_with_their_statement() {
    check(
        r#"{"results":[{"statement_id":0,"messages":[{"level":"warning","text":"a [b] {c}"}]}]}
{"results":[{"statement_id":1,"error":"no \"x\""}]}
{"results":[{"statement_id":2,"error":"not executed"}]}
"#,
        r#"{"results":[{"statement_id":0,"messages":[{"level":"warning","text":"a [b] {c}"}]},{"statement_id":1,"error":"no \"x\""},{"statement_id":2,"error":"not executed"}]}"#,
    );
    check(
        r#"{"results":[{"statement_id":0,"series":[{"name":"m","columns":["time"],"values":[[1]],"partial":true}],"partial":true}]}
{"results":[{"statement_id":0,"error":"timeout"}]}
"#,
        r#"{"results":[{"statement_id":0,"series":[{"name":"m","columns":["time"],"values":[[1]]}],"error":"timeout"}]}"#,
    );
    check(r#"{"error":"broken"}"#, r#"{"error":"broken"}"#);
    check("", "{}");
}

#[test]
fn an_answer_that_is_one_object_stays_as_it_is() {
    let answer = r#"{"results":[{"statement_id":0,"series":[{"columns":["a"]},{"name":"m","columns":["time","v"],"values":[[1,-2.5e3],[2,true]]}]},{"statement_id":1,"error":"x"}]}"#;
    check(answer, answer);
}

#[test]
fn what_breaks_off_or_is_no_answer_is_an_error() {
    let whole = r#"{"results":[{"statement_id":0,"series":[{"name":"m","columns":["time"],"values":[[1]],"partial":true}],"partial":true}]}"#;
    assert_eq!(joined(whole, 10), Err(JoinError::Ended));
    assert_eq!(joined(&whole[..90], 10), Err(JoinError::Ended));
    for answer in [
        "[1]",
        "]",
        "}",
        "nonsense",
        r#"{"results":[{"series":[{"values":[[1]]}]}]}"#,
        r#"{"results":[{"a":}]}"#,
    ] {
        assert!(matches!(joined(answer, 3), Err(JoinError::Malformed(_))), "{answer}");
    }
    let long = format!(r#"{{"results":[{{"statement_id":0,"error":"{}"}}]}}"#, "x".repeat(20_000));
    assert_eq!(joined(&long, 100), Err(JoinError::TooLong(10_000)));
}

proptest! {
    /// Series cut into pieces come out whole, wherever pieces and network cut them.
    #[test]
    fn what_was_cut_is_whole_again(
        rows in prop::collection::vec((any::<i64>(), ".{0,8}"), 1..30),
        chunk in 1usize..10,
        piece in 1usize..50,
    ) {
        let value = |rows: &[(i64, String)]| json!(rows);
        let mut answer = String::new();
        let count = rows.len().div_ceil(chunk);
        for (number, part) in rows.chunks(chunk).enumerate() {
            let mut series = json!({"name": "m", "columns": ["time", "a"], "values": value(part)});
            let mut result = json!({"statement_id": 0, "series": []});
            if number + 1 < count {
                series["partial"] = json!(true);
                result["partial"] = json!(true);
            }
            result["series"] = json!([series]);
            answer.push_str(&format!("{}\n", json!({"results": [result]})));
        }
        let expected = json!({"results": [{"statement_id": 0, "series": [
            {"name": "m", "columns": ["time", "a"], "values": value(&rows)}]}]});
        prop_assert_eq!(joined(&answer, piece).unwrap(), format!("{expected}\n"));
    }
}
