//! What requests are answered with, in the forms of the REST Proxy. Pure.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::cluster::Partition;
use super::error::ProxyError;

/// What became of one record: where Kafka put it, or why it did not take it.
pub type RecordOutcome = Result<(i32, i64), (u32, String)>;

/// `{error_code, message}`.
pub fn error(error: &ProxyError) -> Value {
    json!({"error_code": error.status_and_code().1, "message": error.to_string()})
}

/// The answer to `POST /topics/{topic}`.
pub fn produced(outcomes: &[RecordOutcome], key_schema: Option<u32>, value_schema: Option<u32>) -> Value {
    let offset = |outcome: &RecordOutcome| match outcome {
        Ok((partition, offset)) => {
            json!({"partition": partition, "offset": offset, "error_code": null, "error": null})
        }
        Err((code, error)) => json!({"partition": null, "offset": null, "error_code": code, "error": error}),
    };
    let offsets: Vec<Value> = outcomes.iter().map(offset).collect();
    json!({"offsets": offsets, "key_schema_id": key_schema, "value_schema_id": value_schema})
}

/// The answer to `GET /topics/{topic}`.
pub fn topic(name: &str, settings: &BTreeMap<String, Option<String>>, partitions: &[Partition]) -> Value {
    let replica = |partition: &Partition, broker: i32| {
        json!({
            "broker": broker,
            "leader": broker == partition.leader,
            "in_sync": partition.in_sync.contains(&broker),
        })
    };
    let partition = |partition: &Partition| {
        let replicas: Vec<Value> =
            partition.replicas.iter().map(|broker| replica(partition, *broker)).collect();
        json!({"partition": partition.id, "leader": partition.leader, "replicas": replicas})
    };
    let partitions: Vec<Value> = partitions.iter().map(partition).collect();
    json!({"name": name, "configs": settings, "partitions": partitions})
}

/// Addresses in the answers of the third version: what clients see this server as.
#[derive(Debug, Clone)]
pub struct Links {
    /// `https://host:8082/v3/clusters`.
    pub clusters: String,
    /// Id of the cluster.
    pub cluster: String,
}

impl Links {
    fn cluster(&self) -> String {
        format!("{}/{}", self.clusters, self.cluster)
    }

    fn related(&self, what: &str) -> Value {
        json!({"related": format!("{}/{what}", self.cluster())})
    }

    /// The answer to `GET /v3/clusters`.
    pub fn cluster_list(&self) -> Value {
        let metadata = json!({"self": self.clusters, "next": null});
        json!({"kind": "KafkaClusterList", "metadata": metadata, "data": [self.cluster_data()]})
    }

    /// The answer to `GET /v3/clusters/{id}`.
    pub fn cluster_data(&self) -> Value {
        json!({
            "kind": "KafkaCluster",
            "metadata": {"self": self.cluster(), "resource_name": format!("crn:///kafka={}", self.cluster)},
            "cluster_id": self.cluster,
            "topics": self.related("topics"),
        })
    }

    /// The answer to `GET /v3/clusters/{id}/topics`.
    pub fn topic_list<'a>(&self, topics: impl Iterator<Item = (&'a String, &'a Vec<Partition>)>) -> Value {
        let data: Vec<Value> = topics.map(|(name, partitions)| self.topic_data(name, partitions)).collect();
        let metadata = json!({"self": format!("{}/topics", self.cluster()), "next": null});
        json!({"kind": "KafkaTopicList", "metadata": metadata, "data": data})
    }

    /// The answer to `GET` and `POST` of a topic.
    pub fn topic_data(&self, name: &str, partitions: &[Partition]) -> Value {
        let replicas = partitions.iter().map(|partition| partition.replicas.len()).min().unwrap_or(0);
        json!({
            "kind": "KafkaTopic",
            "metadata": {
                "self": format!("{}/topics/{name}", self.cluster()),
                "resource_name": format!("crn:///kafka={}/topic={name}", self.cluster),
            },
            "cluster_id": self.cluster,
            "topic_name": name,
            "is_internal": name.starts_with("__"),
            "replication_factor": replicas,
            "partitions_count": partitions.len(),
            "partitions": self.related(&format!("topics/{name}/partitions")),
            "configs": self.related(&format!("topics/{name}/configs")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_record_has_its_offset_or_its_error_in_the_order_of_the_request() {
        let answer = produced(&[Ok((0, 7)), Err((50003, "timed out".into()))], None, Some(3));
        let expected = json!({
            "offsets": [
                {"partition": 0, "offset": 7, "error_code": null, "error": null},
                {"partition": null, "offset": null, "error_code": 50003, "error": "timed out"},
            ],
            "key_schema_id": null,
            "value_schema_id": 3,
        });
        assert_eq!(answer, expected);
    }

    #[test]
    fn a_topic_says_where_its_partitions_are() {
        let partitions = [Partition { id: 0, leader: 2, replicas: vec![1, 2], in_sync: vec![2] }];
        let settings = BTreeMap::from([("cleanup.policy".to_owned(), Some("compact".to_owned()))]);
        let expected = json!({
            "name": "t",
            "configs": {"cleanup.policy": "compact"},
            "partitions": [{"partition": 0, "leader": 2, "replicas": [
                {"broker": 1, "leader": false, "in_sync": false},
                {"broker": 2, "leader": true, "in_sync": true},
            ]}],
        });
        assert_eq!(topic("t", &settings, &partitions), expected);
        let links = Links { clusters: "http://h/v3/clusters".into(), cluster: "c".into() };
        let data = links.topic_data("t", &partitions);
        assert_eq!((&data["replication_factor"], &data["partitions_count"]), (&json!(2), &json!(1)));
        assert_eq!(data["metadata"]["self"], "http://h/v3/clusters/c/topics/t");
    }
}
