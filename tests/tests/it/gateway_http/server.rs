//! Whom the tests ask: the gateway, and InfluxDB itself.

use bytes::Bytes;
use efd_service::http::Client;
use efd_tests::{DEADLINE, Generation, Stack};
use http::{Request, Response, StatusCode, header};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

/// One who asks: the gateway, or InfluxDB itself.
pub struct Server {
    client: Client,
    pub url: String,
    authorization: Option<String>,
}

impl Server {
    pub fn gateway(stack: &Stack, authorization: Option<&str>) -> Self {
        let url = format!("http://{}", stack.gateway_http());
        Self { client: Client::new(None).unwrap(), url, authorization: authorization.map(str::to_owned) }
    }

    pub fn influxdb(stack: &Stack) -> Self {
        let token = stack.influxdb.config().token;
        let authorization = (!token.is_empty()).then(|| format!("Token {}", token.expose()));
        Self { client: Client::new(None).unwrap(), url: stack.influxdb.url(), authorization }
    }

    pub async fn send(&self, request: http::request::Builder, body: impl Into<Bytes>) -> Response<Bytes> {
        let request = match &self.authorization {
            Some(authorization) => request.header(header::AUTHORIZATION, authorization),
            None => request,
        };
        self.client.send(request.body(body.into()).unwrap(), DEADLINE).await.unwrap()
    }

    pub async fn get(&self, path: &str) -> Response<Bytes> {
        self.send(Request::get(format!("{}{path}", self.url)), "").await
    }

    /// Sends a form with a query and more parameters.
    pub async fn query(&self, query: &str, more: &str) -> Response<Bytes> {
        self.query_as(query, more, "application/json").await
    }

    pub async fn query_as(&self, query: &str, more: &str, accept: &str) -> Response<Bytes> {
        let form = format!("q={}&{more}", utf8_percent_encode(query, NON_ALPHANUMERIC));
        let request = Request::post(format!("{}/query", self.url))
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(header::ACCEPT, accept);
        self.send(request, form).await
    }

    /// Status and error of a query that is refused.
    pub async fn refused(&self, query: &str, more: &str) -> (StatusCode, String) {
        let answer = self.query(query, more).await;
        let body: Value = serde_json::from_slice(answer.body()).unwrap();
        (answer.status(), body["error"].as_str().unwrap_or_default().to_owned())
    }

    /// Writes lines to InfluxDB.
    pub async fn write(&self, lines: String, generation: Generation) {
        let place = match generation {
            Generation::V1 => "write?db=efd",
            Generation::V2 => "api/v2/write?org=efd&bucket=efd/autogen",
        };
        let answer = self.send(Request::post(format!("{}/{place}", self.url)), lines).await;
        assert_eq!(answer.status(), StatusCode::NO_CONTENT, "{}", text(&answer));
    }

    /// Maps the bucket of 2.x so that it has the default policy of its database, as an operator does for clients of 1.x.
    pub async fn map_default(&self) {
        let buckets: Value = serde_json::from_slice(self.get("/api/v2/buckets").await.body()).unwrap();
        let bucket =
            buckets["buckets"].as_array().unwrap().iter().find(|bucket| bucket["name"] == "efd/autogen");
        let bucket = bucket.unwrap();
        let mapping = json!({"bucketID": bucket["id"], "orgID": bucket["orgID"], "database": "efd",
            "retention_policy": "autogen", "default": true});
        let answer =
            self.send(Request::post(format!("{}/api/v2/dbrps", self.url)), mapping.to_string()).await;
        assert_eq!(answer.status(), StatusCode::CREATED, "{}", text(&answer));
    }
}

/// The body of an answer.
pub fn text(answer: &Response<Bytes>) -> String {
    String::from_utf8_lossy(answer.body()).into_owned()
}
