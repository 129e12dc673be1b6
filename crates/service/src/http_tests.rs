//! Tests of the HTTP client against small servers on real sockets.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

const TIMEOUT: Duration = Duration::from_secs(10);
const SHORT: Duration = Duration::from_millis(50);

/// What the server does with each request.
#[derive(Clone, Copy)]
enum Behaviour {
    /// Sends these bytes and keeps the connection.
    Answer(&'static str),
    /// Sends these bytes and closes the connection.
    Break(&'static str),
}

struct Server {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

async fn serve(behaviour: Behaviour) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(answer(socket, behaviour));
        }
    });
    Server { address, connections }
}

/// Reads requests up to the end of their heads, which is all of them when they have no body.
async fn answer(mut socket: impl AsyncRead + AsyncWrite + Unpin, behaviour: Behaviour) {
    let mut received = Vec::new();
    while socket.read_buf(&mut received).await.is_ok_and(|count| count > 0) {
        if !received.ends_with(b"\r\n\r\n") {
            continue;
        }
        received.clear();
        match behaviour {
            Behaviour::Answer(text) => socket.write_all(text.as_bytes()).await.unwrap(),
            Behaviour::Break(text) => {
                socket.write_all(text.as_bytes()).await.unwrap();
                return;
            }
        }
    }
}

fn get(url: &str) -> Request<Bytes> {
    Request::get(url).body(Bytes::new()).unwrap()
}

fn client() -> Client {
    Client::new(None).unwrap()
}

async fn send(behaviour: Behaviour, timeout: Duration) -> (String, Result<Response<Bytes>, HttpError>) {
    let url = format!("http://{}/write", serve(behaviour).await.address);
    let outcome = client().send(get(&url), timeout).await;
    (format!("GET {url}"), outcome)
}

#[tokio::test]
async fn an_answer_comes_with_status_headers_and_body() {
    let text = "HTTP/1.1 503 Busy\r\nretry-after: 7\r\ncontent-length: 4\r\n\r\nbusy";
    let answer = send(Behaviour::Answer(text), TIMEOUT).await.1.unwrap();
    assert_eq!(answer.status(), 503);
    assert_eq!(answer.headers().get("retry-after").unwrap(), "7");
    assert_eq!(answer.body().as_ref(), b"busy");
}

#[tokio::test]
async fn a_connection_serves_many_requests() {
    let server = serve(Behaviour::Answer("HTTP/1.1 204 No Content\r\n\r\n")).await;
    let client = client();
    for _ in 0..10 {
        let url = format!("http://{}/", server.address);
        client.clone().send(get(&url), TIMEOUT).await.unwrap();
    }
    // The next request may come before the connection is back in the pool, so one more is no fault.
    assert!(server.connections.load(Ordering::Relaxed) <= 2);
}

#[tokio::test]
async fn a_refused_connection_is_named_without_credentials() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let request = get(&format!("http://reader:s3cret@{address}/query?u=reader&p=s3cret"));
    let error = client().send(request, TIMEOUT).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "GET http://{address}/query: cannot connect: tcp connect error: Connection refused (os error 111)"
        )
    );
}

#[tokio::test]
async fn a_silent_server_is_given_up_after_the_timeout() {
    let (request, outcome) = send(Behaviour::Answer(""), SHORT).await;
    let error = outcome.unwrap_err();
    assert_eq!(error, HttpError::TimedOut { request: request.clone(), timeout: SHORT });
    assert_eq!(error.to_string(), format!("{request}: no answer within 50ms"));
}

#[tokio::test]
async fn a_body_that_stalls_ends_send_but_not_stream() {
    let stalling = Behaviour::Answer("HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nhalf");
    let (request, outcome) = send(stalling, SHORT).await;
    assert_eq!(outcome.unwrap_err(), HttpError::TimedOut { request, timeout: SHORT });
    let url = format!("http://{}/", serve(stalling).await.address);
    let mut answer = client().stream(get(&url), TIMEOUT).await.unwrap();
    let frame = answer.body_mut().frame().await.unwrap().unwrap();
    assert_eq!(frame.into_data().unwrap().as_ref(), b"half");
}

#[tokio::test]
async fn a_broken_answer_is_told_apart_from_none() {
    let half = Behaviour::Break("HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nhalf");
    let error = send(half, TIMEOUT).await.1.unwrap_err();
    assert!(matches!(&error, HttpError::Body { .. }), "{error}");
    let error = send(Behaviour::Break(""), TIMEOUT).await.1.unwrap_err();
    assert!(matches!(&error, HttpError::Request { .. }), "{error}");
}

#[tokio::test]
async fn a_body_beyond_the_bound_is_refused() {
    let text = "HTTP/1.1 200 OK\r\ncontent-length: 67108865\r\n\r\nbegin";
    let (request, outcome) = send(Behaviour::Answer(text), TIMEOUT).await;
    assert_eq!(outcome.unwrap_err(), HttpError::TooLarge { request, limit: MAX_BODY_BYTES });
}

#[tokio::test]
async fn an_address_without_a_scheme_is_an_error() {
    let error = client().send(get("/write"), TIMEOUT).await.unwrap_err();
    assert!(matches!(&error, HttpError::Request { .. }), "{error}");
}

#[tokio::test]
async fn tls_trusts_the_authorities_of_the_file_and_no_others() {
    let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let ca_file = folder.path().join("ca.pem");
    std::fs::write(&ca_file, issued.cert.pem()).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(issued.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![issued.cert.der().clone()], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(tls));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}/", listener.local_addr().unwrap().port());
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            if let Ok(socket) = acceptor.accept(socket).await {
                tokio::spawn(answer(socket, Behaviour::Answer("HTTP/1.1 204 No Content\r\n\r\n")));
            }
        }
    });
    let trusting = Client::new(Some(&ca_file)).unwrap();
    assert_eq!(trusting.send(get(&url), TIMEOUT).await.unwrap().status(), 204);
    let error = client().send(get(&url), TIMEOUT).await.unwrap_err();
    assert!(matches!(&error, HttpError::Connect { .. }), "{error}");
    assert!(error.to_string().contains("certificate"), "{error}");
}

#[test]
fn a_ca_file_that_cannot_be_used_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing.pem");
    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, "no certificate\n").unwrap();
    for path in [missing, empty] {
        let message = Client::new(Some(&path)).unwrap_err().to_string();
        let start = format!("cannot use the certificate authorities in {}: ", path.display());
        assert!(message.starts_with(&start), "{message}");
    }
}

#[test]
fn basic_authorization_is_marked_as_secret() {
    let value = basic_authorization("Aladdin", "open sesame");
    assert_eq!(value, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    assert!(value.is_sensitive());
}

#[test]
fn a_user_is_shown_before_a_token_and_nothing_where_there_is_neither() {
    let (password, token) = (Secret::from("pw"), Secret::from("t0ken"));
    let shown = |user: Option<&str>, token: &Secret| {
        authorization(user, &password, token).map(|value| value.to_str().unwrap().to_owned())
    };
    assert_eq!(shown(Some("me"), &token).unwrap(), basic_authorization("me", "pw").to_str().unwrap());
    assert_eq!(shown(None, &token).unwrap(), "Bearer t0ken");
    assert_eq!(shown(None, &Secret::default()), None);
    assert_eq!(shown(None, &Secret::from("two\nlines")), None);
}
