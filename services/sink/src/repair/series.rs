//! The series of a line: with tags, points of one measurement and time are several, and only one of them is the record's own.

use std::collections::BTreeMap;

/// Names and values of tags, as InfluxDB gives them back: without escapes.
pub type Tags = BTreeMap<String, String>;

/// The tags of a line that begins with a measurement of so many bytes.
pub fn tags(line: &[u8], measurement: usize) -> Tags {
    let mut tags = Tags::new();
    let mut rest = line.get(measurement..).unwrap_or_default();
    while let Some(tag) = rest.strip_prefix(b",") {
        let (name, after) = part(tag);
        let (value, behind) = part(after.strip_prefix(b"=").unwrap_or_default());
        tags.insert(name, value);
        rest = behind;
    }
    tags
}

/// The text before the next comma, equal sign or blank that is not escaped, and what stands from there on.
fn part(mut rest: &[u8]) -> (String, &[u8]) {
    let mut text = Vec::new();
    loop {
        match rest {
            [b'\\', escaped @ (b',' | b'=' | b' '), behind @ ..] => {
                text.push(*escaped);
                rest = behind;
            }
            [] | [b',' | b'=' | b' ', ..] => break,
            [byte, behind @ ..] => {
                text.push(*byte);
                rest = behind;
            }
        }
    }
    (String::from_utf8_lossy(&text).into_owned(), rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of<const N: usize>(pairs: [(&str, &str); N]) -> Tags {
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
    }

    #[test]
    fn tags_are_read_without_their_escapes() {
        let table = [
            ("m x=1,y=2 5\n", of([])),
            ("m,b=2,a=one x=1 5\n", of([("a", "one"), ("b", "2")])),
            (r#"m,a=1\,2\=3\ 4,b=c\d"e x="f,g=h" 5"#, of([("a", "1,2=3 4"), ("b", r#"c\d"e"#)])),
            ("m,ä=µ x=1 5\n", of([("ä", "µ")])),
        ];
        for (line, expected) in table {
            assert_eq!(tags(line.as_bytes(), 1), expected, "{line}");
        }
    }

    #[test]
    fn no_text_is_a_panic() {
        for line in ["", "m", "m,", "m,a", "m,a=", "m,a=\\", "m,,", "m,=,="] {
            let _ = tags(line.as_bytes(), 1);
        }
    }
}
