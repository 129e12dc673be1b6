//! Connections over real sockets.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::*;

const DEADLINE: Duration = Duration::from_secs(20);
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n";
const BOUNDS: Bounds = Bounds { max_connections: 8, header_timeout: DEADLINE };

struct Braces;

impl Respond for Braces {
    const OUTLIVES_CLIENT: bool = true;

    async fn respond(&self, _: Request) -> Response {
        Response::new(Body::from("{}"))
    }

    fn connections(&self, _: usize) {}
}

struct Server {
    stop: Stop,
    address: SocketAddr,
    served: JoinHandle<()>,
}

impl Server {
    async fn start(bounds: Bounds) -> Self {
        let stop = Stop::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let served = tokio::spawn(serve(listener, bounds, Arc::new(Braces), stop.clone()));
        Self { stop, address, served }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    async fn stop(self) {
        self.stop.request();
        tokio::time::timeout(DEADLINE, self.served).await.expect("the server ends").unwrap();
    }
}

/// What comes until the server closes the connection.
async fn rest(connection: &mut TcpStream) -> String {
    let mut text = Vec::new();
    let read = tokio::time::timeout(DEADLINE, connection.read_to_end(&mut text)).await;
    // A connection that is reset is closed too.
    let _ = read.expect("the server closes the connection");
    String::from_utf8(text).unwrap()
}

async fn answered(connection: &mut TcpStream) {
    connection.write_all(REQUEST).await.unwrap();
    let mut text = Vec::new();
    while !text.ends_with(b"{}") {
        let read = tokio::time::timeout(DEADLINE, connection.read_buf(&mut text)).await;
        assert!(read.expect("an answer").unwrap() > 0, "the connection is closed");
    }
    assert!(text.starts_with(b"HTTP/1.1 200"), "{text:?}");
}

#[tokio::test]
async fn a_client_that_sends_nothing_or_half_a_head_or_no_further_request_is_not_kept() {
    let server = Server::start(Bounds { header_timeout: Duration::from_millis(50), ..BOUNDS }).await;
    let mut silent = server.connect().await;
    assert_eq!(rest(&mut silent).await, "");
    let mut slow = server.connect().await;
    slow.write_all(&REQUEST[..20]).await.unwrap();
    rest(&mut slow).await;
    let mut idle = server.connect().await;
    answered(&mut idle).await;
    assert_eq!(rest(&mut idle).await, "");
    server.stop().await;
}

#[tokio::test]
async fn a_connection_more_than_there_may_be_waits_for_the_end_of_another() {
    let server = Server::start(Bounds { max_connections: 1, ..BOUNDS }).await;
    let mut first = server.connect().await;
    answered(&mut first).await;
    let mut second = server.connect().await;
    second.write_all(REQUEST).await.unwrap();
    let early = tokio::time::timeout(Duration::from_millis(200), second.read_u8()).await;
    assert!(early.is_err(), "answered beside the first");
    answered(&mut first).await;
    drop(first);
    let first_byte = tokio::time::timeout(DEADLINE, second.read_u8()).await.expect("an answer");
    assert_eq!(first_byte.unwrap(), b'H');
    drop(second);
    server.stop().await;
}

#[tokio::test]
async fn a_stop_closes_connections_that_nobody_uses() {
    let server = Server::start(BOUNDS).await;
    let mut idle = server.connect().await;
    answered(&mut idle).await;
    let closed = tokio::spawn(async move { rest(&mut idle).await });
    server.stop().await;
    assert_eq!(closed.await.unwrap(), "");
}
