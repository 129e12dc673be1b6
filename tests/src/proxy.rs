//! An HTTP proxy between a service and a real server, which does to requests what networks and servers do on bad days.
//!
//! What it does concerns only the requests whose path begins as the proxy was told; all others pass. It notes when the server
//! acknowledged something, so that a test can say how long nothing was.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use efd_service::http::Client;
use http::{HeaderName, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

/// Bound on one request to the server.
const TIMEOUT: Duration = Duration::from_secs(120);
/// Headers that belong to a connection, not to what goes over it.
const OF_THE_CONNECTION: [HeaderName; 4] =
    [header::HOST, header::CONNECTION, header::CONTENT_LENGTH, header::TRANSFER_ENCODING];
/// What a spoiled line gets: no server of line protocol can read it.
const NONSENSE: &str = "efd_tests=nonsense,";

/// What is done to a request.
#[derive(Debug, Clone, Default)]
pub enum Trouble {
    /// Nothing.
    #[default]
    None,
    /// No connection comes about, and those there are break.
    Dead,
    /// It is answered, and the server never hears of it.
    Answer {
        /// Status.
        status: StatusCode,
        /// Body.
        body: &'static str,
        /// Seconds in the header `Retry-After`.
        retry_after: Option<u64>,
    },
    /// It is answered with 413 when its body has more bytes than this.
    Limit(usize),
    /// It reaches the server late, and so does its answer.
    Delay {
        /// Before it is passed on.
        request: Duration,
        /// Before its answer is.
        answer: Duration,
    },
    /// The connection is cut: by turns before the server hears of it, and before its answer arrives.
    Cut,
    /// One line in so many becomes nonsense on its way to the server; see [`is_spoiled`].
    Spoil(u64),
}

/// What a proxy has seen so far.
#[derive(Debug, Clone, Copy, Default)]
pub struct Traffic {
    /// Requests that trouble may befall.
    pub requests: u64,
    /// Those that trouble befell; of spoiled ones the lines.
    pub troubled: u64,
    /// Those that the server accepted and whose sender heard so.
    pub acknowledged: u64,
    /// Those that were answered otherwise.
    pub refused: u64,
    /// Longest time between two acknowledged ones, or from [`Proxy::watch`] to the first.
    pub worst_stall: Duration,
    last: Option<Instant>,
}

/// A running proxy; it ends when dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    server: tokio::task::JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    client: Client,
    paths: &'static [&'static str],
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    target: String,
    trouble: Trouble,
    one_in: u64,
    traffic: Traffic,
}

/// The connection is cut instead of an answer.
#[derive(Debug)]
struct Broken;

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("cut on purpose")
    }
}

impl std::error::Error for Broken {}

impl Proxy {
    /// Listens on a free port. Trouble concerns requests whose path begins with one of `paths`.
    ///
    /// # Errors
    /// When the system has no port left.
    pub async fn start(paths: &'static [&'static str]) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let state = Mutex::new(State::default());
        let shared = Arc::new(Shared { client: Client::new(None)?, paths, state });
        let server = tokio::spawn(accept(listener, shared.clone()));
        Ok(Self { address, shared, server })
    }

    /// Address of the proxy.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where requests are passed on to; before this is called, connections are cut.
    pub fn set_target(&self, url: String) {
        self.shared.state().target = url;
    }

    /// What is done from now on to each request.
    pub fn set(&self, trouble: Trouble) {
        self.set_for_one_in(trouble, 1);
    }

    /// What is done from now on to one request in so many.
    pub fn set_for_one_in(&self, trouble: Trouble, requests: u64) {
        let mut state = self.shared.state();
        state.trouble = trouble;
        state.one_in = requests.max(1);
    }

    /// From now on it counts how long nothing is acknowledged.
    pub fn watch(&self) {
        self.shared.state().traffic.last.get_or_insert_with(Instant::now);
    }

    /// What it has seen so far.
    pub fn traffic(&self) -> Traffic {
        self.shared.state().traffic
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Whether [`Trouble::Spoil`] with `one_in` spoils the line of this point; the same point always or never.
pub fn is_spoiled(measurement: &str, nanos: i64, one_in: u64) -> bool {
    let mut hasher = DefaultHasher::new();
    (measurement, nanos).hash(&mut hasher);
    hasher.finish().is_multiple_of(one_in)
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        if !matches!(shared.state().trouble, Trouble::Dead) {
            tokio::spawn(serve(stream, shared.clone()));
        }
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    let service = service_fn(move |request| {
        let shared = shared.clone();
        async move { shared.answer(request).await }
    });
    // It ends with an error when it is cut on purpose, or when the client goes away.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Broken> {
        let is_concerned = self.paths.iter().any(|path| request.uri().path().starts_with(path));
        let (head, body) = request.into_parts();
        let body = body.collect().await.map_err(|_| Broken)?.to_bytes();
        let request = Request::from_parts(head, body);
        if !is_concerned {
            return self.pass(request).await;
        }
        let trouble = self.trouble();
        let answer = self.befall(trouble, request).await?;
        if answer.status().is_success() {
            self.state().traffic.acknowledged();
        } else {
            self.state().traffic.refused += 1;
        }
        Ok(answer)
    }

    /// What is to be done to the request that came now.
    fn trouble(&self) -> Trouble {
        let mut state = self.state();
        state.traffic.requests += 1;
        if state.traffic.requests.is_multiple_of(state.one_in.max(1)) {
            state.trouble.clone()
        } else {
            Trouble::None
        }
    }

    async fn befall(
        &self,
        trouble: Trouble,
        request: Request<Bytes>,
    ) -> Result<Response<Full<Bytes>>, Broken> {
        match trouble {
            Trouble::None => self.pass(request).await,
            Trouble::Dead => {
                self.befell(1);
                Err(Broken)
            }
            Trouble::Answer { status, body, retry_after } => {
                self.befell(1);
                Ok(refusal(status, body, retry_after))
            }
            Trouble::Limit(bytes) if request.body().len() > bytes => {
                self.befell(1);
                Ok(refusal(StatusCode::PAYLOAD_TOO_LARGE, r#"{"error":"request entity too large"}"#, None))
            }
            Trouble::Limit(_) => self.pass(request).await,
            Trouble::Delay { request: before, answer: after } => {
                self.befell(1);
                tokio::time::sleep(before).await;
                let answer = self.pass(request).await?;
                tokio::time::sleep(after).await;
                Ok(answer)
            }
            Trouble::Cut => {
                if self.befell(1).is_multiple_of(2) {
                    self.pass(request).await?;
                }
                Err(Broken)
            }
            Trouble::Spoil(one_in) => {
                let (lines, spoiled) = spoil(request.body(), one_in);
                self.befell(spoiled);
                self.pass(request.map(|_| lines)).await
            }
        }
    }

    /// Counts, and gives the count.
    fn befell(&self, count: u64) -> u64 {
        let mut state = self.state();
        state.traffic.troubled += count;
        state.traffic.troubled
    }

    async fn pass(&self, request: Request<Bytes>) -> Result<Response<Full<Bytes>>, Broken> {
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        let url = format!("{}{path}", self.state().target);
        let (mut head, body) = request.into_parts();
        head.uri = url.parse().map_err(|_| Broken)?;
        OF_THE_CONNECTION.iter().for_each(|name| drop(head.headers.remove(name)));
        let answer = self.client.send(Request::from_parts(head, body), TIMEOUT).await;
        let mut answer = answer.map_err(|_| Broken)?;
        OF_THE_CONNECTION.iter().for_each(|name| drop(answer.headers_mut().remove(name)));
        Ok(answer.map(Full::new))
    }
}

impl Traffic {
    fn acknowledged(&mut self) {
        let now = Instant::now();
        if let Some(last) = self.last {
            self.worst_stall = self.worst_stall.max(now - last);
        }
        self.last = Some(now);
        self.acknowledged += 1;
    }
}

fn refusal(status: StatusCode, body: &'static str, retry_after: Option<u64>) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(Bytes::from_static(body.as_bytes())));
    *answer.status_mut() = status;
    if let Some(seconds) = retry_after {
        answer.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    answer
}

/// Makes nonsense of one line in so many; how many those were.
fn spoil(body: &Bytes, one_in: u64) -> (Bytes, u64) {
    let Ok(text) = std::str::from_utf8(body) else { return (body.clone(), 0) };
    let mut out = String::with_capacity(text.len() + NONSENSE.len());
    let mut spoiled = 0;
    for line in text.lines() {
        match parts(line) {
            Some((measurement, fields, nanos)) if is_spoiled(measurement, nanos, one_in) => {
                spoiled += 1;
                out.extend([measurement, " ", NONSENSE, fields]);
            }
            _ => out.push_str(line),
        }
        out.push('\n');
    }
    (Bytes::from(out), spoiled)
}

/// Measurement, fields with time, and the time of a line without tags; names of SAL have nothing that is escaped.
fn parts(line: &str) -> Option<(&str, &str, i64)> {
    let (measurement, fields) = line.split_once(' ')?;
    let (_, nanos) = fields.rsplit_once(' ')?;
    Some((measurement, fields, nanos.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_lines_are_spoiled_whenever_they_come() {
        let lines: String = (0..3000).map(|nanos| format!("m text=\"a b\",x=1 {nanos}\n")).collect();
        let (once, spoiled) = spoil(&Bytes::from(lines.clone()), 100);
        assert!((10..60).contains(&spoiled), "{spoiled}");
        assert_eq!(spoil(&Bytes::from(lines), 100).0, once);
        for line in std::str::from_utf8(&once).unwrap().lines() {
            let (measurement, fields, nanos) = parts(line).unwrap();
            assert_eq!(fields.starts_with(NONSENSE), is_spoiled(measurement, nanos, 100), "{line}");
        }
    }
}
