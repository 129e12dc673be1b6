//! Programs in Python that use EFD as its users do, with their packages from PyPI.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;
use tokio::process::Command;

use crate::Output;

/// Bound on one program; publishing and reading back 100,000 samples takes half a minute.
const DEADLINE: Duration = Duration::from_secs(600);

/// Runs a script of `tests/clients` in the environment that `tests/clients/environment` makes.
///
/// # Errors
/// When the environment cannot be made, or the script does not end within ten minutes.
pub async fn python(script: &str, arguments: &[&str]) -> anyhow::Result<Output> {
    let folder = folder();
    let environment = output(Command::new(folder.join("environment"))).await?;
    anyhow::ensure!(environment.code == Some(0), "tests/clients/environment failed: {}", environment.err);
    let mut command = Command::new(environment.out.trim());
    command.arg("-B").arg(folder.join(script)).args(arguments);
    output(command).await.with_context(|| format!("tests/clients/{script}"))
}

/// Folder of the scripts.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients")
}

/// Folder with the gRPC contracts.
pub fn contracts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../proto")
}

async fn output(mut command: Command) -> anyhow::Result<Output> {
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(DEADLINE, command.output()).await.context("it did not end")??;
    Ok(Output {
        code: output.status.code(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}
