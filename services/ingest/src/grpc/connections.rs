//! Connections of the gRPC server: there are only so many; further ones wait in the backlog of the system.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::serve::Listener;
use futures::stream::{self, Stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::transport::server::Connected;

use crate::metrics::{Metrics, Open};

/// A connection, and its place among those that there may be.
#[derive(Debug)]
pub struct Placed<C> {
    connection: C,
    _place: OwnedSemaphorePermit,
    _counted: Open,
}

/// The connections of `listener`, `most` at the same time; never ends.
pub fn placed<L: Listener>(
    listener: L,
    most: usize,
    metrics: Metrics,
) -> impl Stream<Item = io::Result<Placed<L::Io>>> {
    let places = Arc::new(Semaphore::new(most));
    stream::unfold((listener, places, metrics), |(mut listener, places, metrics)| async move {
        let place = places.clone().acquire_owned().await.ok()?;
        let (connection, _) = listener.accept().await;
        let placed = Placed { connection, _place: place, _counted: metrics.open_connection() };
        Some((Ok(placed), (listener, places, metrics)))
    })
}

impl<C: Connected> Connected for Placed<C> {
    type ConnectInfo = C::ConnectInfo;

    fn connect_info(&self) -> Self::ConnectInfo {
        self.connection.connect_info()
    }
}

impl<C: AsyncRead + Unpin> AsyncRead for Placed<C> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_read(context, buffer)
    }
}

impl<C: AsyncWrite + Unpin> AsyncWrite for Placed<C> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.connection).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.connection.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.connection).poll_write_vectored(context, slices)
    }
}
