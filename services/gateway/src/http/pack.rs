//! Answers as gzip, for clients that accept it (pure).

use std::io::{self, Write as _};

use flate2::Compression;
use flate2::write::GzEncoder;

/// Packs an answer while it goes out.
#[derive(Debug)]
pub struct Packer(GzEncoder<Vec<u8>>);

impl Default for Packer {
    fn default() -> Self {
        Self(GzEncoder::new(Vec::new(), Compression::fast()))
    }
}

impl Packer {
    /// Takes what comes next and gives it packed; nothing of it waits for more.
    ///
    /// # Errors
    /// Never: memory does not refuse.
    pub fn push(&mut self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        self.0.write_all(bytes)?;
        self.0.flush()?;
        Ok(std::mem::take(self.0.get_mut()))
    }

    /// Takes the last, and gives it with the end.
    ///
    /// # Errors
    /// Never: memory does not refuse.
    pub fn finish(&mut self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        self.0.write_all(bytes)?;
        self.0.try_finish()?;
        Ok(std::mem::take(self.0.get_mut()))
    }
}

/// Whether the header `Accept-Encoding` names gzip and does not rule it out.
pub fn accepts_gzip(header: &str) -> bool {
    header.split(',').any(|coding| {
        let (name, parameters) = coding.split_once(';').unwrap_or((coding, ""));
        let quality =
            parameters.trim().strip_prefix("q=").and_then(|quality| quality.trim().parse::<f32>().ok());
        name.trim().eq_ignore_ascii_case("gzip") && quality.is_none_or(|quality| quality > 0.0)
    })
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::MultiGzDecoder;

    use super::*;

    #[test]
    fn what_was_packed_in_parts_comes_back_whole_and_no_part_waits() {
        let mut packer = Packer::default();
        let first = packer.push(b"{\"results\":[").unwrap();
        // Without its end, but all that was put in.
        let mut back = Vec::new();
        MultiGzDecoder::new(first.as_slice()).read_to_end(&mut back).unwrap_err();
        assert_eq!(back, b"{\"results\":[");
        let rest = packer.finish(b"]}\n").unwrap();
        let mut back = String::new();
        MultiGzDecoder::new([first, rest].concat().as_slice()).read_to_string(&mut back).unwrap();
        assert_eq!(back, "{\"results\":[]}\n");
    }

    #[test]
    fn gzip_is_accepted_where_it_is_named_and_not_ruled_out() {
        for header in ["gzip", "gzip, deflate", "deflate;q=0.5, GZIP;q=0.1", "br , gzip ; q=1"] {
            assert!(accepts_gzip(header), "{header}");
        }
        for header in ["", "identity", "deflate, gzip;q=0", "xgzip", "*;q=0"] {
            assert!(!accepts_gzip(header), "{header}");
        }
    }
}
