//! The schema registry, InfluxDB and the gateway.

use std::time::{Duration, Instant};

use efd_schema::RegistryClient;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::Finding;
use crate::config::Config;
use crate::gateway;
use crate::influxdb::InfluxDbClient;

/// Bound on the gateway's answer.
const GATEWAY_TIMEOUT: Duration = Duration::from_secs(5);

/// Does the registry answer, and does it know schemas of SAL topics?
pub async fn registry(config: &Config) -> anyhow::Result<Vec<Finding>> {
    let what = config.registry.url().to_owned();
    let start = Instant::now();
    Ok(vec![match RegistryClient::new(&config.registry)?.subjects().await {
        Ok(subjects) => {
            let prefix = format!("lsst.{}.", config.topic_subname.get());
            let sal = subjects.iter().filter(|subject| subject.starts_with(&prefix)).count();
            if sal == 0 {
                Finding::bad(
                    "registry",
                    what,
                    "no schema of a SAL topic",
                    "register them: efd init COMPONENT",
                )
            } else {
                let took = start.elapsed().as_millis();
                Finding::good(
                    "registry",
                    what,
                    format!("{sal} subjects of SAL topics, answered in {took} ms"),
                )
            }
        }
        Err(error) => {
            Finding::bad("registry", what, error.to_string(), "start the registry, or correct registry.url")
        }
    }])
}

/// Does InfluxDB answer, does the database exist, is there data in it?
pub async fn influxdb(config: &Config) -> anyhow::Result<Vec<Finding>> {
    let client = InfluxDbClient::new(&config.influxdb)?;
    let what = config.influxdb.url().to_owned();
    let version = match client.version().await {
        Ok(version) => version,
        Err(error) => {
            let remedy = "start InfluxDB, or correct influxdb.url; until then records wait in Kafka";
            return Ok(vec![Finding::bad("influxdb", what, format!("{error:#}"), remedy)]);
        }
    };
    let mut findings = vec![Finding::good("influxdb", what, format!("version {version}"))];
    let database = &config.influxdb.database;
    let what = format!("database {database}");
    findings.push(match client.databases().await {
        Ok(databases) if databases.contains(database) => match client.measurements().await {
            Ok(0) => Finding::bad("influxdb", what, "empty", "see `efd check sink`: nothing was written yet"),
            Ok(count) => Finding::good("influxdb", what, format!("{count} measurements")),
            Err(error) => Finding::bad("influxdb", what, format!("{error:#}"), "look at InfluxDB's log"),
        },
        Ok(_) => Finding::bad("influxdb", what, "does not exist", "start a sink worker, which creates it"),
        Err(error) => {
            let remedy = "give the user name and password (1.x) or token (2.x) that may read it";
            Finding::bad("influxdb", what, format!("{error:#}"), remedy)
        }
    });
    Ok(findings)
}

/// Does the gateway serve gRPC?
pub async fn gateway(config: &Config) -> Vec<Finding> {
    let what = config.gateway.clone();
    let remedy = "start the gateway, or correct gateway in the configuration";
    vec![match serving(config).await {
        Ok(ServingStatus::Serving) => Finding::good("gateway", what, "serving"),
        Ok(status) => {
            Finding::bad("gateway", what, status.as_str_name(), "look at its /readyz: InfluxDB may be away")
        }
        Err(error) => Finding::bad("gateway", what, format!("{error:#}"), remedy),
    }]
}

async fn serving(config: &Config) -> anyhow::Result<ServingStatus> {
    let endpoint = gateway::endpoint(config)?.timeout(GATEWAY_TIMEOUT);
    let mut client = HealthClient::new(endpoint.connect().await?);
    let answer = client.check(HealthCheckRequest::default()).await?.into_inner();
    Ok(ServingStatus::try_from(answer.status)?)
}
