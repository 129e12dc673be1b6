//! InfluxQL over HTTP, as InfluxDB 1.x speaks it: `lsst-efd-client`, Chronograf, Grafana and scripts take the gateway for InfluxDB.
//!
//! Path of a query: [`route`] finds the call, the caller's credentials and quota are checked, [`parameters`] reads what is asked for,
//! [`statement`] understands it as far as [`rules`] need it, a place among all queries is waited for ([`room`]), InfluxDB is asked, and
//! [`answer`] passes on what it sends, through [`join`] where the client wants one object.
//!
//! Assumes that InfluxDB is the judge of what a statement means; here it is only found out whether it may be asked. On error: a status and
//! `{"error":…}`, as InfluxDB words it; once an answer has begun, it breaks off.

pub mod answer;
pub mod config;
pub mod discovery;
pub mod error;
pub mod join;
pub mod metrics;
pub mod pack;
pub mod parameters;
pub mod query;
pub mod room;
pub mod route;
pub mod rules;
pub mod statement;
pub mod token;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use axum::body::Body;
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use axum::serve::ListenerExt as _;
use efd_service::Stop;
use efd_service::server::connections::{self, Bounds, Respond, without_delay};
use efd_service::server::tls::ServerCertificate;
use efd_service::server::tls_listener::TlsListener;
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::Code;

use crate::config::Config;
use crate::credentials::{Access, Caller, Credential};
use crate::influxdb::InfluxDb;
use crate::metrics::{Kind, Metrics};
use crate::quota::Quotas;
use crate::running::Running;
use answer::Time;
use config::HttpConfig;
use discovery::{DiscoveryConfig, Document};
use error::HttpError;
use metrics::HttpMetrics;
use query::Asked;
use room::Room;
use route::Call;

/// Longest wait for InfluxDB's answer to a ping.
const PING_TIMEOUT: Duration = Duration::from_secs(5);

/// What requests are answered with.
#[derive(Debug)]
pub struct Api {
    config: HttpConfig,
    discovery: DiscoveryConfig,
    credentials: Vec<Credential>,
    /// Longest text around rows that is kept.
    max_around: usize,
    slow: Duration,
    database: String,
    policy: String,
    influxdb: InfluxDb,
    access: Access,
    quotas: Quotas,
    room: Room,
    queries: Metrics,
    metrics: HttpMetrics,
    cut: CancellationToken,
}

/// What the gateway has for all its servers.
#[derive(Debug, Clone)]
pub struct Shared {
    /// Who may ask.
    pub access: Access,
    /// How much.
    pub quotas: Quotas,
    /// Counts queries.
    pub metrics: Metrics,
    /// Cancelled when answers must end.
    pub cut: CancellationToken,
}

/// A server that listens.
#[derive(Debug)]
pub struct HttpServer {
    listener: TcpListener,
    api: Arc<Api>,
    bounds: Bounds,
    certificate: Option<Arc<ServerCertificate>>,
}

impl HttpServer {
    /// Listens, where the settings say so.
    ///
    /// # Errors
    /// When the address is in use.
    pub async fn listen(
        config: &Config,
        influxdb: InfluxDb,
        shared: Shared,
        metrics: HttpMetrics,
        certificate: Option<Arc<ServerCertificate>>,
    ) -> anyhow::Result<Option<Self>> {
        let http = &config.http;
        if !http.enabled {
            return Ok(None);
        }
        let listener = TcpListener::bind(http.address).await.with_context(|| {
            format!("HTTP server cannot listen on {} (setting http.address)", http.address)
        })?;
        let scheme = if certificate.is_some() { "https" } else { "http" };
        tracing::info!(address = %listener.local_addr()?, scheme, path = http.path, "serving InfluxQL over HTTP");
        let bounds = Bounds { max_connections: http.max_connections, header_timeout: http.header_timeout };
        let api = Arc::new(Api::new(config, influxdb, shared, metrics));
        Ok(Some(Self { listener, api, bounds, certificate }))
    }

    /// Answers until a stop is requested and all answers have ended, or were cut.
    pub async fn serve(self, stop: Stop) {
        let Self { listener, api, bounds, certificate } = self;
        match certificate.map(|certificate| certificate.server("http/1.1")) {
            Some(tls) => connections::serve(TlsListener::new(listener, tls), bounds, api, stop).await,
            None => connections::serve(listener.tap_io(without_delay), bounds, api, stop).await,
        }
    }
}

impl Respond for Api {
    /// A query whose client is gone is of use to nobody.
    const OUTLIVES_CLIENT: bool = false;

    async fn respond(&self, request: Request) -> Response {
        let (head, body) = request.into_parts();
        let call = Call::find(&head.method, head.uri.path(), &self.config.path, &self.discovery);
        let route = call.as_ref().map_or("other", Call::route);
        let outcome = match call {
            Ok(Call::Query) => self.query(&head, body).await,
            Ok(Call::Ping) => self.ping().await,
            Ok(Call::Health) => Ok(self.health().await),
            Ok(Call::Discovery(document)) => self.discovered(&head, &document),
            Err(error) => Err(error),
        };
        let mut response = outcome.unwrap_or_else(|error| error.response());
        if head.method == Method::HEAD {
            *response.body_mut() = Body::empty();
        }
        self.metrics.request(route, response.status().as_u16());
        response
    }

    fn connections(&self, count: usize) {
        self.metrics.connections(count);
    }
}

impl Api {
    fn new(config: &Config, influxdb: InfluxDb, shared: Shared, metrics: HttpMetrics) -> Self {
        let Shared { access, quotas, metrics: queries, cut } = shared;
        Self {
            config: config.http.clone(),
            discovery: config.discovery.clone(),
            credentials: config.credentials.clone(),
            max_around: usize::try_from(config.query.max_row_bytes.as_u64()).unwrap_or(usize::MAX),
            slow: config.query.slow,
            database: config.influxdb.database.clone(),
            policy: config.influxdb.retention_policy.clone(),
            influxdb,
            access,
            quotas,
            room: Room::new(&config.http),
            queries,
            metrics,
            cut,
        }
    }

    /// As InfluxDB: no content, its version in a header.
    async fn ping(&self) -> Result<Response, HttpError> {
        self.influxdb.ping(PING_TIMEOUT).await?;
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        self.add_version(&mut response);
        Ok(response)
    }

    async fn health(&self) -> Response {
        let outcome = self.influxdb.ping(PING_TIMEOUT).await;
        let (status, state, message) = match &outcome {
            Ok(()) => (StatusCode::OK, "pass", "ready for queries".to_owned()),
            Err(error) => (StatusCode::SERVICE_UNAVAILABLE, "fail", error.to_string()),
        };
        let version = self.influxdb.known_version().map(|version| version.text);
        let health = json!({"name": "influxdb", "message": message, "status": state, "checks": [], "version": version});
        let mut response = json_response(&health);
        *response.status_mut() = status;
        self.add_version(&mut response);
        response
    }

    fn add_version(&self, response: &mut Response) {
        let version = self.influxdb.known_version();
        if let Some(value) = version.and_then(|version| HeaderValue::from_str(&version.text).ok()) {
            response.headers_mut().insert(HeaderName::from_static("x-influxdb-version"), value);
        }
    }

    async fn query(&self, head: &Parts, body: Body) -> Result<Response, HttpError> {
        let mut running = Running::begin(&self.queries, Kind::InfluxQl, self.slow);
        let (started, time) = (Instant::now(), Time::new(self.config.max_time));
        let outcome = async {
            let caller = self.caller(head)?;
            let place = self.quotas.admit(&caller, started)?;
            let parameters = self.parameters(head, body).await?;
            running.about(parameters.query.as_deref().unwrap_or_default());
            let asking = self.ask(head, &caller, parameters, place);
            let asked = tokio::time::timeout_at(time.end.into(), asking).await;
            asked.unwrap_or(Err(HttpError::TooSlow(time.max)))
        };
        match outcome.await {
            Ok(Asked::Made(response)) => {
                running.ends(Code::Ok);
                Ok(response)
            }
            Ok(Asked::Passed(passing)) => {
                self.metrics.first_byte(started.elapsed().as_secs_f64());
                Ok(passing.response(self, running, time))
            }
            Err(error) => {
                running.ends(error.code());
                self.metrics.refused(&error);
                log(&error);
                Err(error)
            }
        }
    }

    fn discovered(&self, head: &Parts, document: &Document) -> Result<Response, HttpError> {
        let caller = self.caller(head);
        self.discovery
            .answer(document, caller, &self.database, &self.credentials)
            .map(|value| json_response(&value))
    }

    fn caller(&self, head: &Parts) -> Result<Caller, HttpError> {
        let authorization = text_header(head, &header::AUTHORIZATION);
        let shown = parameters::shown(head.uri.query().unwrap_or_default());
        let caller = match (authorization, shown) {
            (None, Some((user, token))) => self.access.named(Some(&user), &token),
            _ => self.access.caller(authorization),
        };
        Ok(caller?)
    }
}

fn json_response(value: &serde_json::Value) -> Response {
    let mut response = Response::new(Body::from(format!("{value}\n")));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// What the client did wrong is of no interest to an operator.
fn log(error: &HttpError) {
    let text = efd_service::chain(error);
    if matches!(error, HttpError::InfluxDb(_) | HttpError::Busy(_)) {
        tracing::warn!(error = text, "InfluxQL query failed");
    } else {
        tracing::debug!(error = text, "InfluxQL query refused");
    }
}

fn text_header<'a>(head: &'a Parts, name: &HeaderName) -> Option<&'a str> {
    head.headers.get(name).and_then(|value| value.to_str().ok())
}
