//! Asks InfluxDB what a client asks: from the parameters of a request to an answer that has begun.

use axum::body::{Body, Bytes};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, header, response};
use axum::response::Response;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde_json::json;

use super::answer::{Source, Streaming, Time};
use super::error::HttpError;
use super::join::Joiner;
use super::pack::{Packer, accepts_gzip};
use super::parameters::{Parameters, Pieces};
use super::rules::{self, Scope, Target};
use super::statement::{self, Kind, Statement};
use super::{Api, PING_TIMEOUT, json_response, text_header};
use crate::credentials::Caller;
use crate::influxdb::Passed;
use crate::quota::Place;
use crate::running::Running;
use crate::shelf::Shelf;

/// How much of a request that is too long is read before it is refused: a client that still sends would not hear of it.
const MAX_DRAINED: usize = 64 * 1024 * 1024;
/// Media type of a body that is the query itself.
const INFLUXQL: &str = "application/vnd.influxql";

/// What became of a query.
pub enum Asked {
    /// The gateway itself has the answer.
    Made(Response),
    /// InfluxDB answers.
    Passed(Box<Passing>),
}

/// An answer of InfluxDB that has begun.
pub struct Passing {
    head: response::Parts,
    source: Source,
    joiner: Option<Joiner>,
    packer: Option<Packer>,
}

impl Passing {
    /// The response, which tells `running` how it ends, and has so much time.
    pub fn response(self, api: &Api, running: Running, time: Time) -> Response {
        let Self { head, source, joiner, packer } = self;
        let source = Shelf::new(source, Some(time.end));
        let (metrics, cut) = (api.metrics.clone(), api.cut.clone());
        Streaming { source, joiner, packer, cut, running, metrics, time }.response(&head)
    }
}

impl Api {
    /// What a request asks for.
    pub(super) async fn parameters(&self, head: &Parts, body: Body) -> Result<Parameters, HttpError> {
        let media_type =
            text_header(head, &header::CONTENT_TYPE).unwrap_or("application/x-www-form-urlencoded");
        let media_type = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let address = head.uri.query().unwrap_or_default();
        let max = self.config.max_query_bytes.as_u64();
        let mut parameters = match media_type.as_str() {
            _ if head.method != Method::POST => Parameters::parse(address, b""),
            "application/x-www-form-urlencoded" => Parameters::parse(address, &self.read(body).await?),
            INFLUXQL => {
                let query = self.read(body).await?;
                let query = String::from_utf8_lossy(&query).into_owned();
                Parameters { query: Some(query), ..Parameters::parse(address, b"") }
            }
            other if other.starts_with("multipart/") => return Err(HttpError::MediaType(media_type)),
            // InfluxDB looks into no other body.
            _ => Parameters::parse(address, b""),
        };
        if parameters.query.as_ref().is_some_and(|query| query.len() as u64 > max) {
            return Err(HttpError::TooLong(max));
        }
        parameters.query = parameters.query.filter(|query| !query.is_empty());
        Ok(parameters)
    }

    async fn read(&self, body: Body) -> Result<Bytes, HttpError> {
        let max = self.config.max_query_bytes.as_u64();
        let reading = async {
            let mut body = Limited::new(body, MAX_DRAINED);
            let mut taken = Vec::new();
            let mut length = 0;
            while let Some(frame) = body.frame().await {
                let frame = frame.map_err(|error| match error.is::<LengthLimitError>() {
                    true => HttpError::TooLong(max),
                    false => HttpError::BrokenOff,
                })?;
                // Trailers carry no data.
                let Ok(frame) = frame.into_data() else { continue };
                length += frame.len() as u64;
                if length <= max {
                    taken.extend_from_slice(&frame);
                }
            }
            if length <= max { Ok(Bytes::from(taken)) } else { Err(HttpError::TooLong(max)) }
        };
        let timeout = self.config.body_timeout;
        tokio::time::timeout(timeout, reading)
            .await
            .unwrap_or(Err(HttpError::BodyTimedOut(timeout.as_secs())))
    }

    /// Asks what a caller wants to know, if it may.
    pub(super) async fn ask(
        &self,
        head: &Parts,
        caller: &Caller,
        mut parameters: Parameters,
        place: Place,
    ) -> Result<Asked, HttpError> {
        let text = parameters.query.take().ok_or(HttpError::NoQuery)?;
        let statements = statement::statements(&text)?;
        let scope = Scope { databases: caller.databases(), prefixes: caller.prefixes() };
        let is_second = self.influxdb.version(PING_TIMEOUT).await?.is_second;
        let policy = is_second.then_some((self.database.as_str(), self.policy.as_str()));
        let database = parameters.database.clone();
        let target = Target { database: database.as_deref(), policy };
        rules::check(&statements, scope, target)?;
        if let ([Statement { kind: Kind::Databases, .. }], false) =
            (statements.as_slice(), scope.databases.is_empty())
        {
            return Ok(Asked::Made(databases(scope.databases)));
        }
        if is_second && target.database == Some(&self.database) && parameters.policy.is_none() {
            // 2.x knows a default policy only where somebody made a mapping for it.
            parameters.policy = Some(self.policy.clone());
        }
        let text = rules::completed(&text, &statements, scope, target);
        let accept = head.headers.get(header::ACCEPT);
        let (pieces, joiner) = self.pieces(&parameters, accept);
        let permit = self.room.enter().await?;
        match self.influxdb.pass(parameters.form(&text, pieces), accept).await? {
            Passed::Says(status, message) => Err(HttpError::InfluxDbSays(status, message)),
            Passed::Answer(answered, answer) => {
                let source = (answer, (place, permit));
                let packs = text_header(head, &header::ACCEPT_ENCODING).is_some_and(accepts_gzip);
                let packer = packs.then(Packer::default);
                Ok(Asked::Passed(Box::new(Passing { head: answered, source, joiner, packer })))
            }
        }
    }

    /// How InfluxDB is asked, and how its answer becomes one object.
    fn pieces(&self, parameters: &Parameters, accept: Option<&HeaderValue>) -> (Pieces, Option<Joiner>) {
        if parameters.is_chunked {
            return (Pieces::Rows(parameters.chunk_size), None);
        }
        let accept = accept.and_then(|accept| accept.to_str().ok()).unwrap_or("*/*");
        let is_json = accept.contains("*/*") || accept.contains("application/json");
        let has_other = accept.contains("csv") || accept.contains("msgpack");
        if parameters.is_pretty || !is_json || has_other {
            return (Pieces::Whole, None);
        }
        (Pieces::Rows(Some(self.config.chunk_rows)), Some(Joiner::new(self.max_around)))
    }
}

/// InfluxDB's answer to `SHOW DATABASES`, of these only.
fn databases(names: &[String]) -> Response {
    let values: Vec<_> = names.iter().map(|name| [name]).collect();
    let series = json!([{"name": "databases", "columns": ["name"], "values": values}]);
    json_response(&json!({"results": [{"statement_id": 0, "series": series}]}))
}
