//! A server that takes every write and throws it away, or keeps the bodies for a bare loader.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// The answer that InfluxDB gives.
const ANSWER: &[u8] = b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n";

/// The server; it goes with its runtime.
#[derive(Debug)]
pub struct Discard {
    /// Address.
    pub url: String,
    kept: Option<Arc<Mutex<Vec<Bytes>>>>,
}

impl Discard {
    /// Listens on a free port.
    ///
    /// # Errors
    /// When there is none.
    pub async fn start(keeps: bool) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let kept = keeps.then(Arc::default);
        let writes = kept.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, writes.clone()));
            }
        });
        Ok(Self { url, kept })
    }

    /// What was kept, in the order of coming.
    pub fn take(&self) -> Vec<Bytes> {
        let kept = self.kept.as_ref().map(|kept| kept.lock().unwrap_or_else(PoisonError::into_inner));
        kept.map(|mut kept| std::mem::take(&mut *kept)).unwrap_or_default()
    }
}

/// Serves one connection until the client closes it.
async fn serve(stream: TcpStream, kept: Option<Arc<Mutex<Vec<Bytes>>>>) -> Option<()> {
    let mut stream = BufReader::with_capacity(1 << 18, stream);
    loop {
        let (mut head, mut length) = (String::new(), 0);
        loop {
            head.clear();
            if stream.read_line(&mut head).await.ok()? == 0 {
                return None;
            }
            if let Some((name, value)) = head.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().ok()?;
            }
            if head.trim().is_empty() {
                break;
            }
        }
        match &kept {
            Some(kept) => {
                let mut body = vec![0; length];
                stream.read_exact(&mut body).await.ok()?;
                if length > 0 {
                    kept.lock().unwrap_or_else(PoisonError::into_inner).push(body.into());
                }
            }
            None => {
                let mut body = (&mut stream).take(length as u64);
                tokio::io::copy_buf(&mut body, &mut tokio::io::sink()).await.ok()?;
            }
        }
        stream.get_mut().write_all(ANSWER).await.ok()?;
    }
}
