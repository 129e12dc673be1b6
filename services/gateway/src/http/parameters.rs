//! What a request to `/query` asks for (pure).

use std::borrow::Cow;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// The parameters that InfluxDB knows, from address and form together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parameters {
    /// Text of the query; may hold several statements.
    pub query: Option<String>,
    /// Database.
    pub database: Option<String>,
    /// Retention policy.
    pub policy: Option<String>,
    /// How times are given: `ns`, `u`, `ms`, `s`, `m`, `h`; none: as text.
    pub epoch: Option<String>,
    /// Values for `$name` in the query, as a JSON object.
    pub values: Option<String>,
    /// Whether the answer may come in pieces.
    pub is_chunked: bool,
    /// Rows of a piece.
    pub chunk_size: Option<usize>,
    /// Whether the answer is laid out for people.
    pub is_pretty: bool,
}

/// How InfluxDB is asked for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pieces {
    /// In one piece.
    Whole,
    /// In pieces of so many rows; none: InfluxDB's own size.
    Rows(Option<usize>),
}

impl Parameters {
    /// Of the query of an address and of a form; what stands in the form counts first, as for InfluxDB.
    pub fn parse(address: &str, form: &[u8]) -> Self {
        let mut parameters = Self::default();
        let pairs = form_urlencoded::parse(form).chain(form_urlencoded::parse(address.as_bytes()));
        for (name, value) in pairs {
            parameters.take(&name, value);
        }
        parameters
    }

    fn take(&mut self, name: &str, value: Cow<'_, str>) {
        let place = match name {
            "q" => &mut self.query,
            "db" => &mut self.database,
            "rp" => &mut self.policy,
            "epoch" => &mut self.epoch,
            "params" => &mut self.values,
            "chunked" => {
                self.is_chunked |= value == "true";
                return;
            }
            "chunk_size" => {
                self.chunk_size = self.chunk_size.or(value.parse().ok().filter(|rows| *rows > 0));
                return;
            }
            "pretty" => {
                self.is_pretty |= value == "true";
                return;
            }
            // Names and tokens are for the gateway; what InfluxDB does not know it does not miss.
            _ => return,
        };
        if place.is_none() && !value.is_empty() {
            *place = Some(value.into_owned());
        }
    }

    /// The form that asks InfluxDB for `statement` in place of the query.
    pub fn form(&self, statement: &str, pieces: Pieces) -> String {
        let mut form = format!("q={}", encoded(statement));
        let texts =
            [("db", &self.database), ("rp", &self.policy), ("epoch", &self.epoch), ("params", &self.values)];
        for (name, value) in texts {
            if let Some(value) = value {
                form.push_str(&format!("&{name}={}", encoded(value)));
            }
        }
        if let Pieces::Rows(rows) = pieces {
            form.push_str("&chunked=true");
            if let Some(rows) = rows {
                form.push_str(&format!("&chunk_size={rows}"));
            }
        }
        if self.is_pretty {
            form.push_str("&pretty=true");
        }
        form
    }
}

fn encoded(text: &str) -> impl std::fmt::Display {
    utf8_percent_encode(text, NON_ALPHANUMERIC)
}

/// The name and token in InfluxDB's parameters `u` and `p` of an address.
pub fn shown(address: &str) -> Option<(String, String)> {
    let find = |wanted: &str| {
        let mut pairs = form_urlencoded::parse(address.as_bytes());
        pairs.find(|(name, value)| name == wanted && !value.is_empty()).map(|(_, value)| value.into_owned())
    };
    Some((find("u")?, find("p")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn form_and_address_are_read_together() {
        let parameters = Parameters::parse(
            "q=no&db=efd&epoch=ms&pretty=true&u=me&p=s3cret&chunked=false",
            b"q=SELECT+%22a%22+FROM+m&chunked=true&chunk_size=10&params=%7B%7D&rp=",
        );
        let expected = Parameters {
            query: Some("SELECT \"a\" FROM m".into()),
            database: Some("efd".into()),
            policy: None,
            epoch: Some("ms".into()),
            values: Some("{}".into()),
            is_chunked: true,
            chunk_size: Some(10),
            is_pretty: true,
        };
        assert_eq!(parameters, expected);
        assert_eq!(shown("u=me&p=s%2Bt"), Some(("me".into(), "s+t".into())));
        assert_eq!(shown("u=me"), None);
    }

    #[test]
    fn influxdb_is_told_everything_but_who_asks() {
        let parameters = Parameters::parse("q=a&db=e+f&epoch=ns&u=me&p=pw&x=y", b"");
        assert_eq!(
            parameters.form("SELECT 'ä&'", Pieces::Rows(Some(5))),
            "q=SELECT%20%27%C3%A4%26%27&db=e%20f&epoch=ns&chunked=true&chunk_size=5"
        );
        assert_eq!(parameters.form("a", Pieces::Whole), "q=a&db=e%20f&epoch=ns");
    }

    #[test]
    fn a_chunk_size_that_is_none_is_left_to_influxdb() {
        for size in ["0", "-1", "x", ""] {
            assert_eq!(Parameters::parse(&format!("chunk_size={size}"), b"").chunk_size, None, "{size}");
        }
    }
}
