use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};

use super::*;

fn parse(text: &str) -> Result<TextRecord<'_>, LineError> {
    TextRecord::parse(text.as_bytes())
}

fn items(content: &str) -> Result<Vec<String>, LineError> {
    items_behind("'abc'", content)
}

fn items_behind(rev_code: &str, content: &str) -> Result<Vec<String>, LineError> {
    let text = format!("Test Test_scalars:( {rev_code}, 1.5, 2.5, 7, 1, 42, {content} )");
    parse(&text).map(|record| record.items.into_iter().map(str::to_owned).collect())
}

#[test]
fn a_record_is_component_topic_preamble_and_items() {
    let record = parse(
        "ATCamera ATCamera_logevent_endReadout:( 'ab12cd34', '1548000000.25', 1548000001, '3', 9, '-1', 'x', 2 )\n",
    );
    let expected = TextRecord {
        component: "ATCamera",
        topic: "ATCamera_logevent_endReadout",
        preamble: Preamble {
            rev_code: "ab12cd34",
            created: 1_548_000_000.25,
            ingested: 1_548_000_001.0,
            sequence: 3,
            host: 9,
            origin: -1,
        },
        items: vec!["x", "2"],
    };
    assert_eq!(record.unwrap(), expected);
}

#[test]
fn a_text_keeps_its_commas_quotes_and_any_other_character() {
    let cases: [(&str, &[&str]); 13] = [
        ("'a, b', 'c'", &["a, b", "c"]),
        ("'it's', 'so'", &["it's", "so"]),
        ("'a''b', 'c''', ''", &["a''b", "c''", ""]),
        ("'say \"no\", he said', 1", &["say \"no\", he said", "1"]),
        ("', so', 1", &[", so", "1"]),
        ("\"quoted\", 5\" gun", &["\"quoted\"", "5\" gun"]),
        ("'(x), [y]: {z}; <w>/=+*&^%$#@!~`|\\?', 2", &["(x), [y]: {z}; <w>/=+*&^%$#@!~`|\\?", "2"]),
        ("'grün\tund\nblau ☃'", &["grün\tund\nblau ☃"]),
        ("' blanks stay '", &[" blanks stay "]),
        ("'a', b', 'c'", &["a', b", "c"]),
        ("bare text, -1.5e3 ,true", &["bare text", "-1.5e3", "true"]),
        ("'',,''", &["", "", ""]),
        ("'only one)'", &["only one)"]),
    ];
    for (content, expected) in cases {
        assert_eq!(items(content).unwrap(), expected, "{content}");
    }
    let doubled = items_behind("\"abc\"", "\"it's\", \"a, 'b', \", 5'").unwrap();
    assert_eq!(doubled, ["it's", "a, 'b', ", "5'"]);
    assert_eq!(items_behind("abc", "\"it's\", \"a, b\"").unwrap(), ["it's", "a, b"]);
}

#[test]
fn a_text_of_another_form_says_what_is_wrong() {
    let full = "'r', 1, 2, 3, 4, 5";
    let cases = [
        (String::new(), "`:(` is missing"),
        ("no record".into(), "`:(` is missing"),
        (format!("Test Test_x:( {full}"), "`)` is missing"),
        (format!("Test Test_x:( {full} ) 'more"), "follows the last"),
        (format!("Test_x:( {full} )"), "name of the topic"),
        (format!("Te-st Test_x:( {full} )"), "letters, digits"),
        ("Test Test_x:( )".into(), "has 0 items"),
        ("Test Test_x:( 1, 2 )".into(), "has 2 items"),
        (format!("Test Test_x:( {full}, 'open )"), "item 6 has no closing quote"),
        (format!("Test Test_x:( {full}, in'side )"), "item 6 has a quote"),
        (format!("Test Test_x:( {full}, 'a',', 'b' )"), "item 7 begins with a quote and a comma"),
        ("Test Test_x:( 'r', soon, 2, 3, 4, 5 )".into(), "created is \"soon\""),
        ("Test Test_x:( 'r', nan, 2, 3, 4, 5 )".into(), "created is \"nan\""),
        ("Test Test_x:( 'r', 1, 2, 3, 3000000000, 5 )".into(), "host is"),
    ];
    for (text, expected) in cases {
        let error = parse(&text).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
    assert_eq!(TextRecord::parse(b"Test Test_x:( '\xff' )").unwrap_err(), LineError::NotUtf8);
}

#[test]
fn random_texts_come_back_as_they_were_written() {
    let alphabet: Vec<char> = "ab0 ,'\"()\\:\n\u{e9}\u{1f980}".chars().collect();
    let mut random = SmallRng::seed_from_u64(1);
    let mut told_apart = 0;
    for _ in 0..50_000 {
        let count = random.random_range(1..5);
        let texts: Vec<String> = (0..count)
            .map(|_| {
                let length = random.random_range(0..8);
                (0..length).map(|_| alphabet[random.random_range(0..alphabet.len())]).collect()
            })
            .collect();
        let content: Vec<String> = texts.iter().map(|text| format!("'{text}'")).collect();
        let found = items(&content.join(", "));
        if texts.iter().any(|text| is_ambiguous(text)) {
            // Split too often or refused, but never wrong with the right length.
            let is_same = found.as_ref().is_ok_and(|found| *found == texts);
            let is_told = found.as_ref().map_or(true, |found| found.len() > count);
            assert!(is_same || is_told, "{content:?}: {found:?}");
            told_apart += u32::from(is_told);
        } else {
            assert_eq!(found.as_ref(), Ok(&texts), "{content:?}");
        }
    }
    assert!(told_apart > 0);
}

/// Whether a quote of the text, or the one before it, is followed by a comma.
fn is_ambiguous(text: &str) -> bool {
    text.trim_start().starts_with(',')
        || text.match_indices('\'').any(|(at, _)| text[at + 1..].trim_start().starts_with(','))
}

#[test]
fn no_bytes_make_the_parser_panic() {
    let mut random = SmallRng::seed_from_u64(2);
    let frame = b"Test Test_x:( 'r', 1, 2, 3, 4, 5, 'a, b' )";
    for _ in 0..50_000 {
        let mut bytes = frame.to_vec();
        for _ in 0..random.random_range(1..6) {
            let place = random.random_range(0..bytes.len());
            match random.random_range(0..3) {
                0 => bytes[place] = random.random(),
                1 => bytes.insert(place, *b"'\",():".get(random.random_range(0..6)).unwrap()),
                _ => drop(bytes.remove(place)),
            }
        }
        let _ = TextRecord::parse(&bytes);
    }
}
