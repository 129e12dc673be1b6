//! What each answer means.

use super::*;

fn of(status: u16, body: &str) -> Outcome {
    classify(StatusCode::from_u16(status).unwrap(), None, body.as_bytes())
}

#[test]
fn only_answers_about_lines_make_them_doubtful() {
    let refused = |reason: &str, is_about_lines| Outcome::Refused { reason: reason.into(), is_about_lines };
    let table = [
        (
            of(400, r#"{"error":"partial write: field type conflict: input field \"a\" dropped=1"}"#),
            refused(r#"400: partial write: field type conflict: input field "a" dropped=1"#, true),
        ),
        (
            of(400, r#"{"code":"invalid","message":"unable to parse 'x': missing fields"}"#),
            refused("400: unable to parse 'x': missing fields", true),
        ),
        (
            of(
                422,
                r#"{"code":"unprocessable entity","message":"failure writing points to database: partial write: points beyond retention policy dropped=1"}"#,
            ),
            refused(
                "422: failure writing points to database: partial write: points beyond retention policy dropped=1",
                true,
            ),
        ),
        (of(400, "<html>bad gateway</html>"), refused("400: <html>bad gateway</html>", false)),
        (of(400, ""), refused("400 Bad Request", false)),
        (of(413, "too much"), Outcome::TooLarge { reason: "413: too much".into() }),
        (of(204, ""), Outcome::Written),
        (of(200, ""), Outcome::Written),
    ];
    for (outcome, expected) in table {
        assert_eq!(outcome, expected);
    }
}

#[test]
fn everything_else_is_written_again() {
    for status in [301, 401, 403, 404, 405, 406, 408, 411, 429, 431, 500, 501, 502, 503, 504, 599] {
        let outcome = of(status, r#"{"error":"timeout"}"#);
        let expected =
            Outcome::Retry { reason: format!("{status}: timeout"), after: None, is_missing: status == 404 };
        assert_eq!(outcome, expected);
    }
}

#[test]
fn the_end_of_a_long_answer_is_kept() {
    let line = "x".repeat(100_000);
    let text = shortened(&format!("unable to parse '{line}': invalid number"));
    assert!(text.starts_with("unable to parse 'xxx") && text.ends_with("': invalid number"));
    assert!(text.len() < 700);
}

#[test]
fn names_are_escaped_where_they_go() {
    let config = DestinationConfig { database: "e f&d".into(), ..DestinationConfig::default() };
    let client = InfluxDb::new(&config).unwrap();
    assert_eq!(
        client.write_uri.to_string(),
        "http://localhost:8086/write?db=e%20f%26d&rp=autogen&precision=ns"
    );
    let config = DestinationConfig {
        version: 2,
        org: "lsst".into(),
        token: "abc".into(),
        url: "http://h:1/".into(),
        ..DestinationConfig::default()
    };
    let client = InfluxDb::new(&config).unwrap();
    assert_eq!(
        client.write_uri.to_string(),
        "http://h:1/api/v2/write?org=lsst&bucket=efd%2Fautogen&precision=ns"
    );
    assert_eq!(client.authorization.as_ref().unwrap(), "Token abc");
    assert!(!format!("{client:?}").contains("abc"));
    assert_eq!(quoted(r#"a"b\c"#), r#""a\"b\\c""#);
}

#[test]
fn patience_asked_for_is_bounded() {
    let answer = |value: &str| Response::builder().header("Retry-After", value).body(Bytes::new()).unwrap();
    assert_eq!(retry_after(&answer("7")), Some(Duration::from_secs(7)));
    assert_eq!(retry_after(&answer("999999")), Some(MAX_RETRY_AFTER));
    assert_eq!(retry_after(&answer("Wed, 21 Oct 2015 07:28:00 GMT")), None);
}
