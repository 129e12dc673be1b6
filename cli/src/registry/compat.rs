//! `efd registry compat`: whether a schema could follow what its subject has.

use std::process::ExitCode;

use anyhow::Context as _;
use efd_schema::{RegistryClient, encoded_subject};
use http::Method;
use serde::Deserialize;
use serde_json::json;

use super::CompatArgs;
use crate::output;

#[derive(Deserialize)]
struct Verdict {
    is_compatible: bool,
    #[serde(default)]
    messages: Vec<String>,
}

/// Asks and says.
pub async fn run(client: &RegistryClient, args: &CompatArgs) -> anyhow::Result<ExitCode> {
    let file = args.schema.display();
    let schema = std::fs::read_to_string(&args.schema).with_context(|| format!("cannot read {file}"))?;
    let version = args.version.as_deref().map(|version| format!("/{}", encoded_subject(version)));
    let path = format!(
        "/compatibility/subjects/{}/versions{}?verbose=true",
        encoded_subject(&args.subject),
        version.unwrap_or_default()
    );
    let verdict: Verdict = client.call(Method::POST, &path, Some(&json!({"schema": schema}))).await?;
    if verdict.is_compatible {
        output::print("compatible\n");
        return Ok(ExitCode::SUCCESS);
    }
    output::print("incompatible\n");
    for message in &verdict.messages {
        output::print(&format!("  {message}\n"));
    }
    Ok(ExitCode::FAILURE)
}
