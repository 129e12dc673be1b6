//! The command `efd` as a user runs it.

use std::path::Path;
use std::process::Stdio;

use anyhow::Context as _;
use tokio::process::Command;

use crate::DEADLINE;
use crate::service::binary;

/// What a command printed, and how it ended.
#[derive(Debug)]
pub struct Output {
    /// Exit code; none when it was killed.
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

/// Runs `efd` with a settings file (`EFD_CONFIG`), arguments and more environment.
///
/// # Errors
/// When it does not end within the deadline.
pub async fn efd(
    config: Option<&Path>,
    arguments: &[&str],
    environment: &[(&str, &str)],
) -> anyhow::Result<Output> {
    let mut command = Command::new(binary("efd")?);
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    command.env_remove("EFD_CONFIG").envs(environment.iter().copied());
    if let Some(config) = config {
        command.env("EFD_CONFIG", config);
    }
    let output = tokio::time::timeout(DEADLINE, command.output())
        .await
        .with_context(|| format!("efd {} did not end", arguments.join(" ")))??;
    Ok(Output {
        code: output.status.code(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}
