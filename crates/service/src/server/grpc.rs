//! Connections of a gRPC server: with TLS or without, and only so many; further ones wait in the backlog of the system.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::serve::{Listener, ListenerExt as _};
use futures::stream::{self, Stream};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::transport::Error;
use tonic::transport::server::{Connected, Router};

use crate::server::connections::without_delay;
use crate::server::tls_listener::TlsListener;

/// Where a server takes its connections from, and how many.
pub struct Incoming<F> {
    /// Listens.
    pub listener: TcpListener,
    /// None: no TLS.
    pub tls: Option<Arc<ServerConfig>>,
    /// Connections at the same time, at least 1.
    pub max_connections: usize,
    /// Called for each connection; what it gives is dropped when that ends.
    pub opened: F,
}

impl<F, H> Incoming<F>
where
    F: FnMut() -> H + Send + 'static,
    H: Send + Unpin + 'static,
{
    /// Serves until `stopped` is done and all calls have ended.
    ///
    /// # Errors
    /// When the listening socket fails.
    pub async fn serve(self, router: Router, stopped: impl Future<Output = ()>) -> Result<(), Error> {
        let Self { listener, tls, max_connections, opened } = self;
        match tls {
            Some(tls) => {
                let connections = bounded(TlsListener::new(listener, tls), max_connections, opened);
                router.serve_with_incoming_shutdown(connections, stopped).await
            }
            None => {
                let connections = bounded(listener.tap_io(without_delay), max_connections, opened);
                router.serve_with_incoming_shutdown(connections, stopped).await
            }
        }
    }
}

/// A connection and its place among those that may be.
struct Held<C, H> {
    connection: C,
    _place: OwnedSemaphorePermit,
    _opened: H,
}

/// The connections of `listener`, `most` at the same time; never ends.
fn bounded<L: Listener, H>(
    listener: L,
    most: usize,
    opened: impl FnMut() -> H,
) -> impl Stream<Item = io::Result<Held<L::Io, H>>> {
    let places = Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS)));
    stream::unfold((listener, places, opened), |(mut listener, places, mut opened)| async move {
        // Nobody closes it.
        let place = places.clone().acquire_owned().await.ok()?;
        let (connection, _) = listener.accept().await;
        let held = Held { connection, _place: place, _opened: opened() };
        Some((Ok(held), (listener, places, opened)))
    })
}

impl<C: Connected, H> Connected for Held<C, H> {
    type ConnectInfo = C::ConnectInfo;

    fn connect_info(&self) -> Self::ConnectInfo {
        self.connection.connect_info()
    }
}

impl<C: AsyncRead + Unpin, H: Unpin> AsyncRead for Held<C, H> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_read(context, buffer)
    }
}

impl<C: AsyncWrite + Unpin, H: Unpin> AsyncWrite for Held<C, H> {
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

#[cfg(test)]
mod tests {
    use futures::StreamExt as _;
    use tokio::io::DuplexStream;

    use super::*;

    /// Gives a new connection whenever it is asked.
    struct Pipes;

    impl Listener for Pipes {
        type Io = DuplexStream;
        type Addr = ();

        async fn accept(&mut self) -> (DuplexStream, ()) {
            (tokio::io::duplex(1).0, ())
        }

        fn local_addr(&self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_further_connection_waits_until_one_ends() {
        let open = Arc::new(());
        let mut connections = Box::pin(bounded(Pipes, 2, || open.clone()));
        let first = connections.next().await.unwrap().unwrap();
        let _second = connections.next().await.unwrap().unwrap();
        let mut third = std::pin::pin!(connections.next());
        assert!(futures::poll!(third.as_mut()).is_pending());
        drop(first);
        let _third = third.await.unwrap().unwrap();
        assert_eq!(Arc::strong_count(&open), 3, "the third took the place of the first");
    }
}
