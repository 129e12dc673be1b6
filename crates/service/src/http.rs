//! One HTTP client for all: plain or TLS, connections kept alive, every wait and every body bounded.
//!
//! TLS trusts the roots of the machine, and those of a file where one is given. Messages name method and
//! address, never user, password or query, since these carry credentials.

use std::error::Error as _;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, Uri};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use thiserror::Error;

use crate::{Secret, chain};

/// Longest body [`Client::send`] reads: 64 MiB.
pub const MAX_BODY_BYTES: usize = 64 * 1024 * 1024;

/// Connections kept open without use, for each host.
const MAX_IDLE: usize = 32;

/// How long a connection is kept open without use; shorter than what servers and load balancers commonly
/// allow.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// A client; clones share its connections.
#[derive(Clone)]
pub struct Client {
    pool: Pool<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

/// Why a request has no answer. `request` is its method and its address without credentials.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum HttpError {
    /// The file with certificate authorities cannot be used.
    #[error("cannot use the certificate authorities in {}: {reason}", path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// No connection: nothing was sent.
    #[error("{request}: cannot connect: {reason}")]
    Connect {
        /// The request.
        request: String,
        /// Why.
        reason: String,
    },
    /// No answer in time; whether the server acted is not known.
    #[error("{request}: no answer within {}", humantime_serde::re::humantime::format_duration(*timeout))]
    TimedOut {
        /// The request.
        request: String,
        /// How long it was waited for.
        timeout: Duration,
    },
    /// The answer broke off.
    #[error("{request}: answer broke off: {reason}")]
    Body {
        /// The request.
        request: String,
        /// Why.
        reason: String,
    },
    /// The answer is longer than the bound.
    #[error("{request}: answer is longer than {limit} bytes")]
    TooLarge {
        /// The request.
        request: String,
        /// The bound in bytes.
        limit: usize,
    },
    /// The request is malformed, or the connection broke before the answer began; whether the server acted is
    /// not known.
    #[error("{request}: {reason}")]
    Request {
        /// The request.
        request: String,
        /// Why.
        reason: String,
    },
}

impl Client {
    /// A client that trusts the machine's roots and the certificates in `ca_file` (PEM). Connects at the
    /// first request.
    ///
    /// # Errors
    /// [`HttpError::CaFile`].
    pub fn new(ca_file: Option<&Path>) -> Result<Self, HttpError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring supports the default protocol versions")
            .with_root_certificates(roots(ca_file)?)
            .with_no_client_auth();
        let mut tcp = HttpConnector::new();
        tcp.set_nodelay(true);
        tcp.enforce_http(false);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let pool = Pool::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(MAX_IDLE)
            .build(connector);
        Ok(Self { pool })
    }

    /// Sends a request and reads the whole answer; `timeout` is for all of it.
    ///
    /// # Errors
    /// See [`HttpError`]. An answer with an error status is an answer.
    pub async fn send(
        &self,
        request: Request<Bytes>,
        timeout: Duration,
    ) -> Result<Response<Bytes>, HttpError> {
        let name = name(request.method(), request.uri());
        let exchange = async {
            let answer = self.begin(request, &name).await?;
            whole(answer, &name).await
        };
        match tokio::time::timeout(timeout, exchange).await {
            Ok(outcome) => outcome,
            Err(_) => Err(HttpError::TimedOut { request: name, timeout }),
        }
    }

    /// Sends a request and gives the answer while its body still arrives; `timeout` is for its head only.
    ///
    /// # Errors
    /// See [`HttpError`]. An answer with an error status is an answer.
    pub async fn stream(
        &self,
        request: Request<Bytes>,
        timeout: Duration,
    ) -> Result<Response<Incoming>, HttpError> {
        let name = name(request.method(), request.uri());
        match tokio::time::timeout(timeout, self.begin(request, &name)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(HttpError::TimedOut { request: name, timeout }),
        }
    }

    async fn begin(&self, request: Request<Bytes>, name: &str) -> Result<Response<Incoming>, HttpError> {
        self.pool.request(request.map(Full::new)).await.map_err(|error| {
            let reason = error.source().map_or_else(|| error.to_string(), chain);
            let request = name.to_owned();
            if error.is_connect() {
                HttpError::Connect { request, reason }
            } else {
                HttpError::Request { request, reason }
            }
        })
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client")
    }
}

/// The value of an `Authorization` header for basic authentication, marked as secret.
pub fn basic_authorization(user: &str, password: &str) -> HeaderValue {
    let text = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
    let mut value = HeaderValue::from_str(&text).expect("Base64 is ASCII without control characters");
    value.set_sensitive(true);
    value
}

/// The value of an `Authorization` header for a user with its password, else for a token; none where there is neither. Marked as
/// secret.
pub fn authorization(user: Option<&str>, password: &Secret, token: &Secret) -> Option<HeaderValue> {
    if let Some(user) = user {
        return Some(basic_authorization(user, password.expose()));
    }
    // A secret of the environment may hold what a header cannot; then the server will ask for one.
    let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose())).ok()?;
    value.set_sensitive(true);
    (!token.is_empty()).then_some(value)
}

/// Whether the text is an address that [`Client`] can ask: `http` or `https`, and a host.
pub fn is_address(text: &str) -> bool {
    let is_scheme = |uri: &Uri| matches!(uri.scheme_str(), Some("http" | "https"));
    text.parse().is_ok_and(|uri: Uri| is_scheme(&uri) && uri.host().is_some_and(|host| !host.is_empty()))
}

async fn whole(answer: Response<Incoming>, name: &str) -> Result<Response<Bytes>, HttpError> {
    let (head, body) = answer.into_parts();
    if body.size_hint().lower() > MAX_BODY_BYTES as u64 {
        return Err(HttpError::TooLarge { request: name.to_owned(), limit: MAX_BODY_BYTES });
    }
    let collected = Limited::new(body, MAX_BODY_BYTES).collect().await.map_err(|error| {
        let request = name.to_owned();
        if error.is::<LengthLimitError>() {
            HttpError::TooLarge { request, limit: MAX_BODY_BYTES }
        } else {
            HttpError::Body { request, reason: chain(error.as_ref()) }
        }
    })?;
    Ok(Response::from_parts(head, collected.to_bytes()))
}

/// The machine's roots, read once for the process, and those of the file. No roots at all is no error: plain
/// HTTP needs none.
fn roots(ca_file: Option<&Path>) -> Result<RootCertStore, HttpError> {
    static MACHINE: OnceLock<RootCertStore> = OnceLock::new();
    let machine = MACHINE.get_or_init(|| {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        roots
    });
    let mut roots = machine.clone();
    let Some(path) = ca_file else { return Ok(roots) };
    let unusable = |reason: String| HttpError::CaFile { path: path.to_owned(), reason };
    let file = CertificateDer::pem_file_iter(path).map_err(|error| unusable(error.to_string()))?;
    let mut found = false;
    for certificate in file {
        let certificate = certificate.map_err(|error| unusable(error.to_string()))?;
        roots.add(certificate).map_err(|error| unusable(error.to_string()))?;
        found = true;
    }
    if found { Ok(roots) } else { Err(unusable("there is no certificate in it".to_owned())) }
}

/// Method and address, without user, password and query.
fn name(method: &Method, uri: &Uri) -> String {
    let scheme = uri.scheme_str().unwrap_or("http");
    let host = uri.host().unwrap_or_default();
    let port = uri.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{method} {scheme}://{host}{port}{}", uri.path())
}

#[cfg(test)]
#[path = "http_tests.rs"]
mod tests;
