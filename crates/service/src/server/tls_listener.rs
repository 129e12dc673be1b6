//! Accepts connections with TLS, so that a slow handshake holds nobody up.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::serve::Listener;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// Handshakes that may go on at the same time; further connections wait in the backlog of the system.
const MAX_HANDSHAKES: usize = 128;
/// How long one may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause after the system gave no connection, for example for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A listener whose connections speak TLS.
pub struct TlsListener {
    listener: TcpListener,
    acceptor: TlsAcceptor,
    handshakes: JoinSet<io::Result<(TlsStream<TcpStream>, SocketAddr)>>,
}

impl TlsListener {
    /// Takes the connections of `listener`.
    pub fn new(listener: TcpListener, config: Arc<ServerConfig>) -> Self {
        Self { listener, acceptor: TlsAcceptor::from(config), handshakes: JoinSet::new() }
    }

    async fn accepted(&mut self, accepted: io::Result<(TcpStream, SocketAddr)>) {
        match accepted {
            Ok((connection, peer)) => self.begin(connection, peer),
            Err(error) => {
                tracing::debug!(%error, "no connection accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }

    fn begin(&mut self, connection: TcpStream, peer: SocketAddr) {
        // Only a matter of speed; a connection that is gone already fails when it is read.
        let _ = connection.set_nodelay(true);
        let handshake = self.acceptor.accept(connection);
        self.handshakes.spawn(async move {
            let stream = tokio::time::timeout(HANDSHAKE_TIMEOUT, handshake).await??;
            Ok((stream, peer))
        });
    }
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let has_room = self.handshakes.len() < MAX_HANDSHAKES;
            tokio::select! {
                accepted = self.listener.accept(), if has_room => self.accepted(accepted).await,
                Some(done) = self.handshakes.join_next() => match done.unwrap_or_else(|error| Err(error.into())) {
                    Ok(connection) => return connection,
                    // Port scanners and clients without our authority; they hear of it themselves.
                    Err(error) => tracing::debug!(%error, "TLS handshake failed"),
                },
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}
