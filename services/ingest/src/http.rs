//! A source that is compatible with Confluent's REST Proxy, as the observatory's scripts use it.
//!
//! Path of a record: [`route`] finds the call, [`credentials`](crate::credentials) and the allowed prefixes are checked,
//! [`body`] reads the request, [`schemas`] gives an encoder for its schema, which is registered if need be,
//! [`avro_json`] turns each value into bytes, and [`delivery`] sends them and waits; the answer has the offset or the error
//! of each record. Nothing of a request is sent before all of it is encoded.
//!
//! Assumes that topics exist: they are created by a call of their own, never by being written to. On error: the client
//! gets `{error_code, message}` with the proxy's code; a record that Kafka does not take in time is reported
//! as one that may be sent again.

pub mod answer;
pub mod avro_json;
pub mod body;
pub mod cluster;
pub mod config;
pub mod delivery;
pub mod error;
pub mod metrics;
pub mod produce;
pub mod route;
pub mod schemas;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use axum::serve::ListenerExt as _;
use bytesize::ByteSize;
use efd_schema::RegistryClient;
use efd_service::server::connections::{self, Bounds, Respond, without_delay};
use efd_service::server::tls_listener::TlsListener;
use efd_service::{Context, Latch};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::config::Config;
use crate::credentials::{Access, Caller};
use crate::source::Surroundings;
use crate::trace;
use answer::Links;
use cluster::Cluster;
use config::HttpConfig;
use delivery::Delivery;
use error::ProxyError;
use metrics::HttpMetrics;
use route::Call;
use schemas::Schemas;

/// Media type of answers of the second version.
const V2_JSON: &str = "application/vnd.kafka.v2+json";
/// Media type of answers of the third version, and of the second for clients that ask for nothing else.
const JSON: &str = "application/json";
/// Looks for a topic that was just created, and the pause between them.
const CREATED_LOOKS: u32 = 20;
const CREATED_PAUSE: Duration = Duration::from_millis(100);

/// What requests are answered with.
#[derive(Debug)]
pub struct Api {
    config: HttpConfig,
    access: Access,
    scheme: &'static str,
    cluster: Cluster,
    schemas: Schemas,
    delivery: Delivery,
    metrics: HttpMetrics,
    /// Requests that may still be taken.
    room: Semaphore,
    /// Kilobytes of bodies that may still be taken.
    body_room: Semaphore,
}

/// An answer and its status.
type Answer = (StatusCode, Value);

/// Listens and answers requests until a stop is requested; those under way are answered if that takes no longer than
/// `finish_within`.
///
/// # Errors
/// When the address cannot be listened on, or a setting of Kafka cannot be used.
pub async fn run(
    (config, ctx): (&Config, &Context),
    is_listening: Latch,
    around: &Surroundings,
    finish_within: Duration,
) -> anyhow::Result<()> {
    let address = config.http.address;
    let tls = around.certificate.as_ref().map(|certificate| certificate.server("http/1.1"));
    let scheme = if tls.is_some() { "https" } else { "http" };
    let metrics = HttpMetrics::new(&ctx.meter, around.metrics.clone(), config);
    let api = Arc::new(Api::new(config, scheme, metrics)?);
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address} (setting http.address)"))?;
    tracing::info!(address = %listener.local_addr()?, scheme, "HTTP source started");
    is_listening.release();
    let (stop, http) = (ctx.stop.clone(), &config.http);
    let bounds = Bounds { max_connections: http.max_connections, header_timeout: http.header_timeout };
    let served = async {
        match tls {
            Some(tls) => connections::serve(TlsListener::new(listener, tls), bounds, api, stop).await,
            None => connections::serve(listener.tap_io(without_delay), bounds, api, stop).await,
        }
    };
    tokio::select! {
        () = served => {}
        () = crate::passed(&ctx.stop, finish_within) => {
            tracing::warn!("requests are cut off, they were not answered in time");
        }
    }
    Ok(())
}

impl Respond for Api {
    /// A delivery goes on, and holds its place among `http.max_requests` and `http.max_in_flight_bytes` until then.
    const OUTLIVES_CLIENT: bool = true;

    async fn respond(&self, request: Request) -> Response {
        respond(self, request).await
    }

    fn connections(&self, count: usize) {
        self.metrics.connections(count);
    }
}

async fn respond(api: &Api, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let call = Call::find(&head.method, head.uri.path());
    let route = call.as_ref().map_or("other", Call::route);
    let is_v3 = call.as_ref().is_ok_and(Call::is_v3);
    let has_records = matches!(call, Ok(Call::Produce { .. }));
    let result = match call {
        Ok(call) => api.answer(call, &head, body).await,
        Err(error) => Err(error),
    };
    let (status, answer) = result.unwrap_or_else(|error| {
        if has_records {
            api.metrics.refused(&error);
        }
        let status = StatusCode::from_u16(error.status_and_code().0);
        (status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), answer::error(&error))
    });
    api.metrics.request(route, status.as_u16());
    let is_head = head.method == Method::HEAD;
    let mut response = Response::new(if is_head { Body::empty() } else { Body::from(answer.to_string()) });
    *response.status_mut() = status;
    let media_type = if is_v3 || asks_for_plain_json(&head) { JSON } else { V2_JSON };
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    if status == StatusCode::UNAUTHORIZED {
        let schemes = HeaderValue::from_static("Bearer, Basic realm=\"efd-ingest\"");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, schemes);
    }
    response
}

impl Api {
    fn new(config: &Config, scheme: &'static str, metrics: HttpMetrics) -> anyhow::Result<Self> {
        let http = &config.http;
        let registry = RegistryClient::new(&config.registry)?;
        Ok(Self {
            config: http.clone(),
            access: Access::new(&config.credentials),
            scheme,
            cluster: Cluster::new(&config.kafka, "efd-ingest-http", http.metadata_refresh)?,
            schemas: Schemas::new(registry, bytes(http.schema_cache_bytes)),
            delivery: Delivery::new(&config.kafka, &config.producer, http, metrics.clone())?,
            metrics,
            room: Semaphore::new(http.max_requests.min(Semaphore::MAX_PERMITS)),
            body_room: Semaphore::new(
                bytes(http.max_in_flight_bytes).div_ceil(1024).min(Semaphore::MAX_PERMITS),
            ),
        })
    }

    async fn answer(&self, call: Call, head: &Parts, body: Body) -> Result<Answer, ProxyError> {
        let _room = self.room.try_acquire().map_err(|_| ProxyError::Busy)?;
        let kilobytes = self.kilobytes(head);
        let _body_room = self.body_room.try_acquire_many(kilobytes).map_err(|_| ProxyError::Busy)?;
        let _begun = self.metrics.begun(u64::from(kilobytes) * 1024);
        let caller = self.access.caller(text_header(head, &header::AUTHORIZATION))?;
        let answer = match call {
            Call::Root => Value::Object(serde_json::Map::new()),
            Call::Topics => {
                let topics = self.cluster.topics().await?;
                topics.keys().filter(|topic| self.may_use(&caller, topic)).map(String::as_str).collect()
            }
            Call::Topic(topic) => {
                let partitions = self.existing(&caller, &topic).await?;
                answer::topic(&topic, &self.cluster.settings(&topic).await?, &partitions)
            }
            Call::Produce { topic, partition } => {
                let format = body::Format::of(text_header(head, &header::CONTENT_TYPE));
                let format = format.ok_or(ProxyError::UnsupportedMediaType)?;
                let partitions = self.existing(&caller, &topic).await?;
                let body = self.read(body).await?;
                let parent = trace::parent(&head.headers);
                let wanted = produce::Wanted { topic, partition, format, parent };
                produce::produce(wanted, &body, &partitions, (&self.schemas, &self.delivery)).await?
            }
            Call::Clusters => self.links(head).await?.cluster_list(),
            Call::Cluster(id) => self.links_of(head, id).await?.cluster_data(),
            Call::ClusterTopics(id) => {
                let links = self.links_of(head, id).await?;
                let topics = self.cluster.topics().await?;
                links.topic_list(topics.iter().filter(|(topic, _)| self.may_use(&caller, topic)))
            }
            Call::ClusterTopic { cluster, topic } => {
                let links = self.links_of(head, cluster).await?;
                links.topic_data(&topic, &self.existing(&caller, &topic).await?)
            }
            Call::CreateTopic(id) => {
                let links = self.links_of(head, id).await?;
                let body: body::TopicBody = body::parse(&self.read(body).await?)?;
                self.check_allowed(&caller, &body.topic_name)?;
                return self.create(&links, &body, &caller).await;
            }
        };
        Ok((StatusCode::OK, answer))
    }

    async fn create(
        &self,
        links: &Links,
        body: &body::TopicBody,
        caller: &Caller,
    ) -> Result<Answer, ProxyError> {
        self.cluster.create(body).await?;
        if body.validate_only {
            return Ok((StatusCode::OK, links.topic_data(&body.topic_name, &[])));
        }
        tracing::info!(topic = body.topic_name, caller = caller.name(), "topic created");
        let mut partitions = None;
        // A broker may know of it a little later than the one that created it.
        for _ in 0..CREATED_LOOKS {
            partitions = self.cluster.topic(&body.topic_name).await?;
            if partitions.is_some() {
                break;
            }
            tokio::time::sleep(CREATED_PAUSE).await;
        }
        let answer = links.topic_data(&body.topic_name, &partitions.unwrap_or_default());
        Ok((StatusCode::CREATED, answer))
    }

    /// Whether the topic is one of this source's, and one of the caller's.
    fn may_use(&self, caller: &Caller, topic: &str) -> bool {
        self.config.allows(topic) && caller.may_write(topic)
    }

    fn check_allowed(&self, caller: &Caller, topic: &str) -> Result<(), ProxyError> {
        let (prefixes, rule) = if !self.config.allows(topic) {
            (&*self.config.prefixes, "setting http.prefixes".to_owned())
        } else if !caller.may_write(topic) {
            (caller.prefixes(), format!("setting credentials, prefixes of {}", caller.name()))
        } else {
            return Ok(());
        };
        Err(ProxyError::Forbidden { topic: topic.to_owned(), allowed: prefixes.join(" or "), rule })
    }

    /// The partitions of a topic that the caller may write to.
    async fn existing(&self, caller: &Caller, topic: &str) -> Result<Vec<cluster::Partition>, ProxyError> {
        self.check_allowed(caller, topic)?;
        let partitions = self.cluster.topic(topic).await?;
        partitions.ok_or_else(|| ProxyError::TopicNotFound(topic.to_owned()))
    }

    /// The links of the one cluster there is.
    async fn links_of(&self, head: &Parts, id: String) -> Result<Links, ProxyError> {
        let links = self.links(head).await?;
        if links.cluster == id { Ok(links) } else { Err(ProxyError::ClusterNotFound(id)) }
    }

    async fn links(&self, head: &Parts) -> Result<Links, ProxyError> {
        let host = text_header(head, &header::HOST).unwrap_or("localhost");
        let clusters = format!("{}://{host}/v3/clusters", self.scheme);
        Ok(Links { clusters, cluster: self.cluster.id().await?.to_owned() })
    }

    /// What a body takes of the room there is: what it says it has, else the most it may have.
    fn kilobytes(&self, head: &Parts) -> u32 {
        if head.method != Method::POST {
            return 0;
        }
        let most = self.config.max_body_bytes.as_u64();
        let said: Option<u64> =
            text_header(head, &header::CONTENT_LENGTH).and_then(|length| length.parse().ok());
        u32::try_from(said.unwrap_or(most).min(most).div_ceil(1024)).unwrap_or(u32::MAX)
    }

    async fn read(&self, body: Body) -> Result<Bytes, ProxyError> {
        let longest = self.config.max_body_bytes;
        let timeout = self.config.body_timeout;
        let read = axum::body::to_bytes(body, bytes(longest));
        match tokio::time::timeout(timeout, read).await {
            Err(_) => Err(ProxyError::BodyTimedOut(timeout.as_secs())),
            Ok(Err(error)) => Err(body::unreadable(&error, longest.as_u64())),
            Ok(Ok(body)) => Ok(body),
        }
    }
}

fn bytes(size: ByteSize) -> usize {
    usize::try_from(size.as_u64()).unwrap_or(usize::MAX)
}

fn text_header<'a>(head: &'a Parts, name: &header::HeaderName) -> Option<&'a str> {
    head.headers.get(name).and_then(|value| value.to_str().ok())
}

/// Whether the client takes plain JSON and not the media type of the proxy.
fn asks_for_plain_json(head: &Parts) -> bool {
    let accept = text_header(head, &header::ACCEPT).unwrap_or_default();
    accept.contains(JSON) && !accept.contains("vnd.kafka") && !accept.contains("*/*")
}

#[cfg(test)]
mod tests;
