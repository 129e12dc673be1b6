//! Compression of what is sent. It costs the database 7 to 15 % of its throughput and pays only where the network is
//! narrower than that, so it is left out on the machine itself, and for lines that hardly shrink.

use bytes::Bytes;
use libdeflater::{CompressionLvl, Compressor};

/// Less is not worth the trouble: fewer bytes fit into one packet.
const MIN_BYTES: usize = 1400;

/// A body, compressed or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    /// The bytes.
    pub bytes: Bytes,
    /// Whether they are gzip.
    pub is_compressed: bool,
}

impl Body {
    /// As it is.
    pub fn plain(bytes: Bytes) -> Self {
        Self { bytes, is_compressed: false }
    }
}

/// Compresses, on a thread that may take its time; as it is when that saves less than a tenth.
pub async fn compressed(bytes: Bytes) -> Body {
    if bytes.len() < MIN_BYTES {
        return Body::plain(bytes);
    }
    let plain = bytes.clone();
    let packed = tokio::task::spawn_blocking(move || pack(&bytes)).await;
    match packed {
        Ok(Some(packed)) => Body { bytes: packed.into(), is_compressed: true },
        _ => Body::plain(plain),
    }
}

fn pack(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut compressor = Compressor::new(CompressionLvl::new(1).ok()?);
    // One that does not fit in here is no gain.
    let mut packed = vec![0; bytes.len() / 10 * 9];
    let length = compressor.gzip_compress(bytes, &mut packed).ok()?;
    packed.truncate(length);
    packed.shrink_to_fit();
    Some(packed)
}

#[cfg(test)]
mod tests {
    use libdeflater::Decompressor;
    use rand::{RngCore as _, SeedableRng};

    use super::*;

    #[tokio::test]
    async fn lines_shrink_and_come_back_whole() {
        let lines = Bytes::from(b"t private_efdStamp=1 1000000000\n".repeat(1000));
        let body = compressed(lines.clone()).await;
        assert!(body.is_compressed && body.bytes.len() < lines.len() / 10);
        let mut back = vec![0; lines.len()];
        let length = Decompressor::new().gzip_decompress(&body.bytes, &mut back).unwrap();
        assert_eq!(back[..length], lines);
    }

    #[tokio::test]
    async fn what_is_short_or_does_not_shrink_is_sent_as_it_is() {
        let mut random = vec![0; 100_000];
        rand::rngs::SmallRng::seed_from_u64(1).fill_bytes(&mut random);
        for bytes in [Bytes::from_static(b"t x=1 1"), Bytes::from(random), Bytes::new()] {
            assert_eq!(compressed(bytes.clone()).await, Body::plain(bytes));
        }
    }
}
