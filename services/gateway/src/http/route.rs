//! Which call a request is (pure).

use axum::http::Method;

use super::discovery::{DiscoveryConfig, Document};
use super::error::HttpError;

/// A call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// InfluxQL.
    Query,
    /// Whether the gateway and InfluxDB are there, without a body.
    Ping,
    /// The same with one.
    Health,
    /// A document by which clients find the gateway.
    Discovery(Document),
}

impl Call {
    /// The call of a method and a path, below the folder `base` or those of `discovery`.
    ///
    /// # Errors
    /// When there is none.
    pub fn find(
        method: &Method,
        path: &str,
        base: &str,
        discovery: &DiscoveryConfig,
    ) -> Result<Self, HttpError> {
        if let Some(document) = discovery.find(method, path)? {
            return Ok(Self::Discovery(document));
        }
        let is_reading = method == Method::GET || method == Method::HEAD;
        let check = |holds: bool, call: Self, allowed| {
            if holds { Ok(call) } else { Err(HttpError::Method { method: method.to_string(), allowed }) }
        };
        match path.strip_prefix(base) {
            Some("query") => {
                check(*method == Method::GET || *method == Method::POST, Self::Query, "GET, POST")
            }
            Some("ping") => check(is_reading, Self::Ping, "GET, HEAD"),
            Some("health") => check(is_reading, Self::Health, "GET, HEAD"),
            Some("write" | "api/v2/write" | "api/v2/delete") => Err(HttpError::WritePath),
            _ => Err(HttpError::NoSuchPath(path.chars().take(200).collect())),
        }
    }

    /// The value of the label `route`.
    pub fn route(&self) -> &'static str {
        match self {
            Self::Query => "query",
            Self::Ping => "ping",
            Self::Health => "health",
            Self::Discovery(_) => "discovery",
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;

    use super::*;

    #[test]
    fn paths_and_methods_of_influxdb_are_found_below_the_folder() {
        let find = |method: Method, path: &str| {
            Call::find(&method, path, "/influxdb/", &DiscoveryConfig::default())
                .map_err(|error| error.status())
        };
        assert_eq!(find(Method::GET, "/influxdb/query").unwrap(), Call::Query);
        assert_eq!(find(Method::POST, "/influxdb/query").unwrap(), Call::Query);
        assert_eq!(find(Method::HEAD, "/influxdb/ping").unwrap(), Call::Ping);
        assert_eq!(find(Method::GET, "/influxdb/health").unwrap(), Call::Health);
        let refused = [
            (Method::GET, "/query", StatusCode::NOT_FOUND),
            (Method::GET, "/influxdb/", StatusCode::NOT_FOUND),
            (Method::PUT, "/influxdb/query", StatusCode::METHOD_NOT_ALLOWED),
            (Method::POST, "/influxdb/ping", StatusCode::METHOD_NOT_ALLOWED),
            (Method::POST, "/influxdb/write", StatusCode::FORBIDDEN),
        ];
        for (method, path, status) in refused {
            assert_eq!(find(method, path), Err(status), "{path}");
        }
    }
}
