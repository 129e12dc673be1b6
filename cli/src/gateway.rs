//! The gateway's gRPC client, and its errors as a person reads them.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use efd_proto::query::v1::query_service_client::QueryServiceClient;
use efd_proto::query::v1::{Aggregate, Field, FieldType};
use efd_service::Secret;
use efd_service::http::authorization;
use serde::{Deserialize, Serialize};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, Request, Status};

use crate::config::Config;

/// Bound on connecting.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Window of a stream: an answer is about 1 MiB, so some are on their way at once.
const STREAM_WINDOW: u32 = 4 * 1024 * 1024;
/// Largest answer: a single row may be longer than the usual 1 MiB.
const MAX_ANSWER: usize = 64 * 1024 * 1024;

/// A client of the gateway, which shows its credential with each call.
pub type Client = QueryServiceClient<InterceptedService<Channel, Shown>>;

/// What a gateway asks for that has credentials, or a certificate that is not of a public authority.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GatewayAccess {
    /// User name for basic authentication; none means a token, or no authentication.
    pub username: Option<String>,
    /// Password; only from the environment (`EFD_GATEWAY_PASSWORD` or `EFD_GATEWAY_PASSWORD_FILE`).
    pub password: Secret,
    /// Token that is shown as `Bearer`, where there is no user name; only from the environment (`EFD_GATEWAY_TOKEN` or
    /// `EFD_GATEWAY_TOKEN_FILE`).
    pub token: Secret,
    /// File with the certificate authority of the gateway (PEM); without it the machine's are trusted.
    pub ca_file: Option<PathBuf>,
}

/// Shows a credential.
#[derive(Debug, Clone)]
pub struct Shown(Option<MetadataValue<Ascii>>);

impl Interceptor for Shown {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(value) = &self.0 {
            request.metadata_mut().insert("authorization", value.clone());
        }
        Ok(request)
    }
}

/// Where the gateway is, with TLS where its address says https.
///
/// # Errors
/// When that is no address, or the certificate authority cannot be read.
pub fn endpoint(config: &Config) -> anyhow::Result<Endpoint> {
    let endpoint = Endpoint::from_shared(config.gateway.clone())
        .with_context(|| {
            format!("gateway {} is not an address such as http://localhost:9180", config.gateway)
        })?
        .connect_timeout(CONNECT_TIMEOUT);
    if endpoint.uri().scheme_str() != Some("https") {
        return Ok(endpoint);
    }
    let tls = match &config.gateway_access.ca_file {
        None => ClientTlsConfig::new().with_native_roots(),
        Some(path) => {
            let authority = std::fs::read(path).with_context(|| {
                format!("cannot read {} (setting gateway_access.ca_file)", path.display())
            })?;
            ClientTlsConfig::new().ca_certificate(Certificate::from_pem(authority))
        }
    };
    endpoint.tls_config(tls).context("gateway_access.ca_file has no certificate that can be used")
}

/// Connects to the gateway.
pub async fn connect(config: &Config) -> anyhow::Result<Client> {
    let channel = endpoint(config)?
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(STREAM_WINDOW)
        .connect()
        .await
        .with_context(|| format!("gateway {} does not answer: start it, or set `gateway`", config.gateway))?;
    let GatewayAccess { username, password, token, .. } = &config.gateway_access;
    let shown = authorization(username.as_deref(), password, token)
        .and_then(|value| MetadataValue::try_from(value.as_bytes()).ok());
    let shown = Shown(shown.map(|mut value| {
        value.set_sensitive(true);
        value
    }));
    Ok(QueryServiceClient::with_interceptor(channel, shown).max_decoding_message_size(MAX_ANSWER))
}

/// What the gateway said, without gRPC's wrapping.
pub fn refusal(status: &Status) -> anyhow::Error {
    let message = status.message();
    if status.code() == Code::Unauthenticated {
        return anyhow::anyhow!(
            "{message}: set EFD_GATEWAY_TOKEN, or EFD_GATEWAY_USERNAME and EFD_GATEWAY_PASSWORD"
        );
    }
    anyhow::anyhow!("{message}")
}

/// `double`, or `double[5]` for an array.
pub fn type_name(field: &Field) -> String {
    let name = scalar_type_name(field.r#type());
    match field.array_length {
        None => name.to_owned(),
        Some(0) => format!("{name}[]"),
        Some(length) => format!("{name}[{length}]"),
    }
}

/// Avro's name of a type, such as `double`.
pub fn scalar_type_name(ty: FieldType) -> &'static str {
    match ty {
        FieldType::Unspecified => "unknown",
        FieldType::Boolean => "boolean",
        FieldType::Int => "int",
        FieldType::Long => "long",
        FieldType::Float => "float",
        FieldType::Double => "double",
        FieldType::String => "string",
        FieldType::Bytes => "bytes",
        FieldType::Enum => "enum",
    }
}

/// Name of a statistic, such as `mean`.
pub fn statistic_name(aggregate: Aggregate) -> String {
    aggregate.as_str_name().trim_start_matches("AGGREGATE_").to_lowercase()
}
