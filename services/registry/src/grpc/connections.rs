//! Connections of the gRPC server: as many at the same time as may be, further ones wait in the backlog of the system.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_stream::{Stream, StreamExt as _};
use tonic::transport::server::Connected;

/// A connection and its place among those that may be.
#[derive(Debug)]
pub(super) struct Held<T> {
    io: T,
    _place: OwnedSemaphorePermit,
}

/// The connections of `incoming`, at most `most` at the same time.
pub(super) fn bounded<T>(
    incoming: impl Stream<Item = io::Result<T>> + Unpin,
    most: usize,
) -> impl Stream<Item = io::Result<Held<T>>> {
    let places = Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS)));
    futures::stream::unfold(incoming, move |mut incoming| {
        let places = places.clone();
        async move {
            // Nobody closes it.
            let place = places.acquire_owned().await.ok()?;
            let accepted = incoming.next().await?;
            Some((accepted.map(|io| Held { io, _place: place }), incoming))
        }
    })
}

impl<T: AsyncRead + Unpin> AsyncRead for Held<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Held<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

impl<T: Connected> Connected for Held<T> {
    type ConnectInfo = T::ConnectInfo;

    fn connect_info(&self) -> Self::ConnectInfo {
        self.io.connect_info()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_further_connection_waits_until_one_ends() {
        let pipes = (0..3).map(|_| Ok(tokio::io::duplex(1).0));
        let mut connections = Box::pin(bounded(tokio_stream::iter(pipes), 2));
        let first = connections.next().await.unwrap().unwrap();
        let _second = connections.next().await.unwrap().unwrap();
        let mut third = std::pin::pin!(connections.next());
        assert!(futures::poll!(third.as_mut()).is_pending());
        drop(first);
        assert!(third.await.unwrap().is_ok());
    }
}
