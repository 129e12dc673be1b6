//! Which call a request makes, from its method and path. Pure.

use axum::http::Method;
use percent_encoding::percent_decode_str;

use super::error::ProxyError;

/// A call of the interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// `GET /`
    Root,
    /// `GET /topics`
    Topics,
    /// `GET /topics/{topic}`
    Topic(String),
    /// `POST /topics/{topic}` and `POST /topics/{topic}/partitions/{partition}`
    Produce {
        /// Kafka topic.
        topic: String,
        /// Where all records have to go.
        partition: Option<i32>,
    },
    /// `GET /v3/clusters`
    Clusters,
    /// `GET /v3/clusters/{id}`
    Cluster(String),
    /// `GET /v3/clusters/{id}/topics`
    ClusterTopics(String),
    /// `GET /v3/clusters/{id}/topics/{topic}`
    ClusterTopic {
        /// Id of the cluster.
        cluster: String,
        /// Kafka topic.
        topic: String,
    },
    /// `POST /v3/clusters/{id}/topics`
    CreateTopic(String),
}

impl Call {
    /// The call that a method and path make; double and trailing slashes do not matter.
    ///
    /// # Errors
    /// When there is no such path, or not for this method.
    pub fn find(method: &Method, path: &str) -> Result<Self, ProxyError> {
        let parts: Vec<String> = path.split('/').filter(|part| !part.is_empty()).map(decoded).collect();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let is_post = method == Method::POST;
        if !is_post && method != Method::GET && method != Method::HEAD {
            return Err(ProxyError::MethodNotAllowed);
        }
        let only_get = |call| if is_post { Err(ProxyError::MethodNotAllowed) } else { Ok(call) };
        match parts.as_slice() {
            [] => only_get(Self::Root),
            ["topics"] => only_get(Self::Topics),
            ["topics", topic] if is_post => Ok(Self::Produce { topic: (*topic).to_owned(), partition: None }),
            ["topics", topic] => Ok(Self::Topic((*topic).to_owned())),
            ["topics", topic, "partitions", partition] if is_post => {
                let partition = partition.parse().map_err(|_| ProxyError::PathNotFound)?;
                Ok(Self::Produce { topic: (*topic).to_owned(), partition: Some(partition) })
            }
            ["v3", "clusters"] => only_get(Self::Clusters),
            ["v3", "clusters", id] => only_get(Self::Cluster((*id).to_owned())),
            ["v3", "clusters", id, "topics"] if is_post => Ok(Self::CreateTopic((*id).to_owned())),
            ["v3", "clusters", id, "topics"] => Ok(Self::ClusterTopics((*id).to_owned())),
            ["v3", "clusters", id, "topics", topic] => {
                only_get(Self::ClusterTopic { cluster: (*id).to_owned(), topic: (*topic).to_owned() })
            }
            _ => Err(ProxyError::PathNotFound),
        }
    }

    /// Name in metrics.
    pub const fn route(&self) -> &'static str {
        match self {
            Self::Root => "/",
            Self::Topics => "/topics",
            Self::Topic(_) | Self::Produce { .. } => "/topics/{topic}",
            Self::Clusters => "/v3/clusters",
            Self::Cluster(_) => "/v3/clusters/{id}",
            Self::ClusterTopics(_) | Self::CreateTopic(_) => "/v3/clusters/{id}/topics",
            Self::ClusterTopic { .. } => "/v3/clusters/{id}/topics/{topic}",
        }
    }

    /// Whether it belongs to the third version, whose answers are plain JSON.
    pub const fn is_v3(&self) -> bool {
        !matches!(self, Self::Root | Self::Topics | Self::Topic(_) | Self::Produce { .. })
    }
}

fn decoded(part: &str) -> String {
    percent_decode_str(part).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_is_found_by_method_and_path() {
        let produce = |partition| Call::Produce { topic: "lsst.a".into(), partition };
        let table = [
            (Method::GET, "/", Ok(Call::Root)),
            (Method::GET, "/topics/", Ok(Call::Topics)),
            (Method::GET, "//topics/lsst%2Ea", Ok(Call::Topic("lsst.a".into()))),
            (Method::POST, "/topics/lsst.a", Ok(produce(None))),
            (Method::POST, "/topics/lsst.a/partitions/3", Ok(produce(Some(3)))),
            (Method::POST, "/topics/lsst.a/partitions/x", Err(ProxyError::PathNotFound)),
            (Method::POST, "/topics", Err(ProxyError::MethodNotAllowed)),
            (Method::DELETE, "/topics/lsst.a", Err(ProxyError::MethodNotAllowed)),
            (Method::GET, "/v3/clusters", Ok(Call::Clusters)),
            (Method::GET, "/v3/clusters/c", Ok(Call::Cluster("c".into()))),
            (Method::GET, "/v3/clusters/c/topics", Ok(Call::ClusterTopics("c".into()))),
            (Method::POST, "/v3/clusters/c/topics", Ok(Call::CreateTopic("c".into()))),
            (
                Method::GET,
                "/v3/clusters/c/topics/t",
                Ok(Call::ClusterTopic { cluster: "c".into(), topic: "t".into() }),
            ),
            (Method::GET, "/consumers/g", Err(ProxyError::PathNotFound)),
        ];
        for (method, path, expected) in table {
            assert_eq!(Call::find(&method, path), expected, "{method} {path}");
        }
    }
}
