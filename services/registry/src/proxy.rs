//! A registry in front of another one, which goes on while that one is away. It needs no Kafka.
//!
//! A read is answered from memory ([`memory`]), which at the start is what the cache file ([`file`]) holds, else by the upstream registry
//! ([`upstream`]); requests for the same answer share one. What can never change, a schema by its id, is asked once. What can, is asked again after
//! `fresh_for`, and if the upstream is away then, the old answer is given with its age. That something does not exist is believed for `negative_for`.
//! A write goes upstream as it came; only the registration of what is known is answered here. So producers and sinks that did
//! their work before can do it again without the upstream.
//!
//! Assumes that nobody deletes at the upstream, past this proxy, what this proxy's clients register again.
//!
//! On error: without the upstream, what is not known is refused with 503, and tried again after a back-off; a cache file that cannot be
//! written is told and counted, and the proxy goes on in memory.

pub(crate) mod config;
mod file;
mod memory;
mod request;
pub(crate) mod shadow;
mod telemetry;
mod upstream;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use axum::http::StatusCode;
use bytes::Bytes;
use efd_service::{Context, Stop};
use tokio::sync::{OnceCell, mpsc};

use crate::api::{Reply, Request};
use crate::audit;
use crate::error::RegistryError;
use config::UpstreamConfig;
use file::CacheFile;
use memory::{Entry, Memory};
use request::{Asked, Kind};
use telemetry::{Source, Telemetry};
use upstream::{Answer, Upstream};

/// Schemas that wait to be fetched because their id was just given; what finds no room is fetched when somebody asks.
const WARM_QUEUE: usize = 4096;

type Flight = Arc<OnceCell<Result<Entry, RegistryError>>>;

/// Answers for an upstream registry.
#[derive(Debug)]
pub(crate) struct Proxy {
    upstream: Upstream,
    memory: Arc<Mutex<Memory>>,
    file: Option<CacheFile>,
    flights: Mutex<HashMap<Arc<str>, Flight>>,
    warm: mpsc::Sender<u64>,
    config: UpstreamConfig,
    telemetry: Telemetry,
}

/// One who waits for an answer that others may wait for too.
struct Passenger<'a> {
    flights: &'a Mutex<HashMap<Arc<str>, Flight>>,
    key: &'a Arc<str>,
    flight: Flight,
}

impl Drop for Passenger<'_> {
    /// Whoever comes later asks anew: when the answer is there, and when all who waited for it have gone away.
    fn drop(&mut self) {
        let mut flights = lock(self.flights);
        let is_this = flights.get(self.key).is_some_and(|known| Arc::ptr_eq(known, &self.flight));
        // Its own and that in the map.
        if is_this && (self.flight.initialized() || Arc::strong_count(&self.flight) <= 2) {
            flights.remove(self.key);
        }
    }
}

/// What keeps a proxy going beside the requests.
#[derive(Debug)]
pub(crate) struct Chores {
    proxy: Arc<Proxy>,
    warm: mpsc::Receiver<u64>,
}

impl Proxy {
    /// Reads the cache file; connects at the first request. It holds the latch `cache` meanwhile.
    ///
    /// # Errors
    /// When the cache file belongs to something else or cannot be opened, or the certificate authority cannot be used.
    pub(crate) fn open(config: &UpstreamConfig, ctx: &Context) -> anyhow::Result<(Arc<Self>, Chores)> {
        let latch = ctx.ready.latch("cache");
        let memory = Arc::new(Mutex::new(Memory::new(config.cache_bytes.as_u64())));
        let telemetry = Telemetry::new(&ctx.meter, &memory);
        let file = config.cache_file.as_deref();
        let file = file.map(|path| CacheFile::open(path, &memory, telemetry.clone())).transpose()?;
        let upstream = Upstream::new(config, telemetry.clone())?;
        let (warm, warming) = mpsc::channel(WARM_QUEUE);
        let flights = Mutex::default();
        let proxy =
            Arc::new(Self { upstream, memory, file, flights, warm, config: config.clone(), telemetry });
        latch.release();
        Ok((proxy.clone(), Chores { proxy, warm: warming }))
    }

    /// Answers a request.
    ///
    /// # Errors
    /// When the upstream would have to be asked and does not answer.
    pub(crate) async fn answer(&self, request: &Request) -> Result<Reply, RegistryError> {
        let asked = Asked::new(request);
        match &asked.kind {
            Kind::Read { key, lasting } => self.read(&asked, key, *lasting).await,
            Kind::Register { key } => match self.find(key) {
                Some(known) => Ok(self.reply(&known, Source::Memory)),
                None => self.write(&asked).await,
            },
            Kind::Write => self.write(&asked).await,
        }
    }

    async fn read(&self, asked: &Asked<'_>, key: &Arc<str>, lasting: bool) -> Result<Reply, RegistryError> {
        let found = self.find(key);
        if let Some(found) = found.as_ref().filter(|found| self.is_fresh(found)) {
            return Ok(self.reply(found, Source::Memory));
        }
        let outcome = {
            let flight = lock(&self.flights).entry(key.clone()).or_default().clone();
            let passenger = Passenger { flights: &self.flights, key, flight };
            passenger.flight.get_or_init(|| self.fetch(asked, key, lasting)).await.clone()
        };
        match (outcome, found.filter(|found| found.status.is_success())) {
            (Ok(fetched), _) => Ok(self.reply(&fetched, Source::Upstream)),
            (Err(_), Some(old)) => Ok(self.reply(&old, Source::Stale)),
            (Err(error), None) => {
                self.telemetry.answered(Source::Failed);
                Err(error)
            }
        }
    }

    /// Asks the upstream, and keeps the answer if it may be kept.
    async fn fetch(&self, asked: &Asked<'_>, key: &Arc<str>, lasting: bool) -> Result<Entry, RegistryError> {
        let writes = lock(&self.memory).writes();
        let answer = self.upstream.ask(asked.method.clone(), &asked.target, &asked.request.body).await?;
        let entry = Entry {
            status: answer.status,
            body: answer.body.clone(),
            at: now(),
            lasting: lasting && answer.status.is_success(),
            // What was written meanwhile may not be in it.
            expired: lock(&self.memory).writes() != writes,
            subject: asked.subject.clone(),
        };
        if answer.status.is_success() || answer.is_not_found() {
            self.keep(key, entry.clone()).await;
        }
        if answer.status.is_success() {
            for (key, id) in request::registrations_in(asked, &answer.body) {
                self.keep_registration(&key, id, asked.subject.clone()).await;
            }
        }
        Ok(entry)
    }

    async fn write(&self, asked: &Asked<'_>) -> Result<Reply, RegistryError> {
        let request = asked.request;
        let answered = self.upstream.ask(asked.method.clone(), &asked.target, &request.body).await;
        let answered = answered.map(Reply::from);
        audit::passed_on(request, &answered);
        let reply = answered.inspect_err(|_| self.telemetry.answered(Source::Failed))?;
        let body = &reply.body;
        if reply.status.is_success() {
            let is_delete = request.method == axum::http::Method::DELETE;
            let gone = lock(&self.memory).written(asked.subject.as_ref(), is_delete);
            if let Some(file) = &self.file {
                for key in gone {
                    file.forget(key).await;
                }
            }
            if let Kind::Register { key } = &asked.kind
                && let Some(id) = request::id_in(body)
            {
                let entry = Entry::registration(body.clone(), now(), asked.subject.clone());
                self.keep(key, entry).await;
                // Whoever decodes the first record asks for it, and the upstream may be away by then.
                let _ = self.warm.try_send(id);
            }
        }
        self.telemetry.answered(Source::Upstream);
        Ok(reply)
    }

    async fn keep_registration(&self, key: &Arc<str>, id: u64, subject: Option<Arc<str>>) {
        if self.find(key).is_none() {
            let body = Bytes::from(format!("{{\"id\":{id}}}"));
            self.keep(key, Entry::registration(body, now(), subject)).await;
        }
    }

    async fn keep(&self, key: &Arc<str>, entry: Entry) {
        let is_positive = entry.status.is_success();
        let kept = lock(&self.memory).put(key.clone(), entry.clone());
        self.telemetry.evicted(kept.evicted);
        if let Some(file) = self.file.as_ref().filter(|_| is_positive && kept.is_news) {
            file.append(key.clone(), entry).await;
        }
    }

    fn find(&self, key: &str) -> Option<Entry> {
        lock(&self.memory).get(key)
    }

    fn is_fresh(&self, entry: &Entry) -> bool {
        let fresh_for =
            if entry.status.is_success() { self.config.fresh_for } else { self.config.negative_for };
        !entry.expired && (entry.lasting || age(entry) < fresh_for)
    }

    /// The age is told whenever the upstream could not have been asked.
    fn reply(&self, entry: &Entry, source: Source) -> Reply {
        self.telemetry.answered(source);
        let is_stale = source == Source::Stale || (source == Source::Memory && self.upstream.is_away());
        let stale = is_stale.then(|| age(entry));
        Reply { stale, ..Reply::new(entry.status, entry.body.clone()) }
    }
}

impl Chores {
    /// Looks after the upstream and fetches schemas whose ids were given, until a stop is requested.
    pub(crate) async fn run(mut self, stop: Stop) {
        let probing = self.proxy.upstream.probe(self.proxy.config.probe_interval);
        let warming = async {
            while let Some(id) = self.warm.recv().await {
                let Ok(request) = Request::get(format!("/schemas/ids/{id}")) else { continue };
                // If it fails, it is fetched when somebody asks.
                let _ = self.proxy.answer(&request).await;
            }
        };
        tokio::select! {
            () = probing => {}
            () = warming => {}
            () = stop.requested() => {}
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Milliseconds since 1970. A clock that jumps makes an answer older or younger than it is, never wrong.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn age(entry: &Entry) -> Duration {
    Duration::from_millis(now().saturating_sub(entry.at))
}

impl From<Answer> for Reply {
    fn from(Answer { status, body, warning }: Answer) -> Self {
        Self { warning, ..Self::new(status, body) }
    }
}

impl Entry {
    fn registration(body: Bytes, at: u64, subject: Option<Arc<str>>) -> Self {
        Self { status: StatusCode::OK, body, at, lasting: true, expired: false, subject }
    }
}
