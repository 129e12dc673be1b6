//! JSON text as Python's `json.dumps` writes it, because SAL takes the MD5 of that text.

use std::fmt::Write;

use serde_json::Value;

/// Writes one JSON text. The caller keeps keys and values in order.
pub(crate) struct Json {
    out: String,
    /// Blanks for each level; `None` writes one line.
    indent: Option<usize>,
    depth: usize,
    /// Nothing was written since the last bracket opened.
    is_first: bool,
}

impl Json {
    /// One line, with a blank after each comma and colon.
    pub(crate) fn one_line() -> Self {
        Json { out: String::new(), indent: None, depth: 0, is_first: true }
    }

    /// Each member on a line of its own.
    pub(crate) fn indented(blanks: usize) -> Self {
        Json { indent: Some(blanks), ..Json::one_line() }
    }

    /// The text.
    pub(crate) fn finish(self) -> String {
        self.out
    }

    /// Opens an object or array.
    pub(crate) fn open(&mut self, bracket: char) {
        self.out.push(bracket);
        self.depth += 1;
        self.is_first = true;
    }

    /// Closes it.
    pub(crate) fn close(&mut self, bracket: char) {
        self.depth = self.depth.saturating_sub(1);
        if !self.is_first {
            self.new_line();
        }
        self.out.push(bracket);
        self.is_first = false;
    }

    /// Begins the next member of an array.
    pub(crate) fn item(&mut self) {
        if !self.is_first {
            self.out.push_str(if self.indent.is_some() { "," } else { ", " });
        }
        self.is_first = false;
        self.new_line();
    }

    /// Begins the next member of an object.
    pub(crate) fn key(&mut self, key: &str) {
        self.item();
        self.string(key);
        self.out.push_str(": ");
    }

    /// A number, `true` or `false`, as it shall stand.
    pub(crate) fn literal(&mut self, text: &str) {
        self.out.push_str(text);
    }

    /// Any value, its keys in their order.
    pub(crate) fn value(&mut self, value: &Value) {
        match value {
            Value::Null => self.literal("null"),
            Value::Bool(value) => self.literal(if *value { "true" } else { "false" }),
            Value::Number(number) => match number.as_f64().filter(|_| number.is_f64()) {
                Some(number) => self.literal(&float(number)),
                None => self.literal(&number.to_string()),
            },
            Value::String(text) => self.string(text),
            Value::Array(items) => {
                self.open('[');
                for item in items {
                    self.item();
                    self.value(item);
                }
                self.close(']');
            }
            Value::Object(members) => {
                self.open('{');
                for (key, member) in members {
                    self.key(key);
                    self.value(member);
                }
                self.close('}');
            }
        }
    }

    /// A string: everything but printable ASCII is escaped, beyond 16 bits as a surrogate pair.
    pub(crate) fn string(&mut self, text: &str) {
        self.out.push('"');
        for c in text.chars() {
            match c {
                '"' => self.out.push_str("\\\""),
                '\\' => self.out.push_str("\\\\"),
                '\n' => self.out.push_str("\\n"),
                '\r' => self.out.push_str("\\r"),
                '\t' => self.out.push_str("\\t"),
                '\u{8}' => self.out.push_str("\\b"),
                '\u{c}' => self.out.push_str("\\f"),
                ' '..='~' => self.out.push(c),
                _ => self.escape(c),
            }
        }
        self.out.push('"');
    }

    fn escape(&mut self, c: char) {
        for unit in c.encode_utf16(&mut [0; 2]) {
            // Writing to a String cannot fail.
            let _ = write!(self.out, "\\u{unit:04x}");
        }
    }

    fn new_line(&mut self) {
        if let Some(blanks) = self.indent {
            self.out.push('\n');
            self.out.extend(std::iter::repeat_n(' ', blanks * self.depth));
        }
    }
}

/// The shortest text of a number, with an exponent of two digits at least where it is below -4 or above 15.
fn float(number: f64) -> String {
    let scientific = format!("{number:e}");
    let exponent = scientific.split_once('e').and_then(|(mantissa, exponent)| {
        let exponent: i32 = exponent.parse().ok()?;
        (!(-4..16).contains(&exponent)).then_some((mantissa, exponent))
    });
    match exponent {
        Some((mantissa, exponent)) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{mantissa}e{sign}{:02}", exponent.abs())
        }
        // Rust writes this form with a fraction always.
        None => format!("{number:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn escaped(text: &str) -> String {
        let mut json = Json::one_line();
        json.string(text);
        json.finish()
    }

    #[test]
    fn strings_are_escaped_as_python_does() {
        assert_eq!(escaped("a \"b\" \\ /"), r#""a \"b\" \\ /""#);
        assert_eq!(escaped("\n\r\t\u{8}\u{c}\u{1}\u{7f}"), r#""\n\r\t\b\f\u0001\u007f""#);
        assert_eq!(escaped("H₂O °C"), r#""H\u2082O \u00b0C""#);
        assert_eq!(escaped("𝛼"), r#""\ud835\udefc""#);
    }

    #[test]
    fn numbers_are_written_as_python_does() {
        for (number, text) in [
            (0.0, "0.0"),
            (-1.5, "-1.5"),
            (0.0001, "0.0001"),
            (0.000_012_3, "1.23e-05"),
            (1e15, "1000000000000000.0"),
            (1e16, "1e+16"),
            (1.797e308, "1.797e+308"),
            (5e-324, "5e-324"),
        ] {
            assert_eq!(float(number), text);
        }
    }

    #[test]
    fn a_value_keeps_the_order_of_its_keys_and_empty_brackets_stay_closed() {
        let text = r#"{"b": [1, 2.0, -3], "a": {"x": null, "y": true}, "c": [], "d": {}, "e": "\u00b0"}"#;
        let value: Value = serde_json::from_str(text).unwrap();
        let mut json = Json::one_line();
        json.value(&value);
        assert_eq!(json.finish(), text);
        let mut json = Json::indented(2);
        json.value(&serde_json::from_str(r#"{"a": [], "b": [{}]}"#).unwrap());
        assert_eq!(json.finish(), "{\n  \"a\": [],\n  \"b\": [\n    {}\n  ]\n}");
    }

    #[test]
    fn both_forms_have_pythons_separators() {
        let write = |mut json: Json| {
            json.open('{');
            json.key("a");
            json.open('[');
            json.item();
            json.literal("0.0");
            json.item();
            json.literal("0.0");
            json.close(']');
            json.key("b");
            json.string("x");
            json.close('}');
            json.finish()
        };
        assert_eq!(write(Json::one_line()), r#"{"a": [0.0, 0.0], "b": "x"}"#);
        assert_eq!(
            write(Json::indented(4)),
            "{\n    \"a\": [\n        0.0,\n        0.0\n    ],\n    \"b\": \"x\"\n}"
        );
    }
}
