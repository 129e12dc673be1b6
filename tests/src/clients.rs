//! Programs in Python and Node that use EFD as its users do, with their packages from PyPI and npm.

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
    let mut command = Command::new(environment("environment").await?);
    command.arg("-B").arg(folder().join(script)).args(arguments);
    output(command).await.with_context(|| format!("tests/clients/{script}"))
}

/// Runs a program of a package in the environment of [`python`].
///
/// # Errors
/// When the environment cannot be made, or the program does not end within ten minutes.
pub async fn python_module(module: &str, arguments: &[&str]) -> anyhow::Result<Output> {
    let mut command = Command::new(environment("environment").await?);
    // Whatever it leaves behind goes with the folder.
    let folder = tempfile::tempdir()?;
    command.arg("-B").args(["-m", module]).args(arguments).current_dir(folder.path());
    output(command).await.with_context(|| format!("python -m {module}"))
}

/// Runs a script of `tests/clients/node` with the modules that `tests/clients/environment-node` installs.
///
/// # Errors
/// When they cannot be installed, or the script does not end within ten minutes.
pub async fn node(script: &str, arguments: &[&str]) -> anyhow::Result<Output> {
    let modules = environment("environment-node").await?;
    let mut command = Command::new("node");
    command.env("NODE_PATH", modules).arg(folder().join("node").join(script)).args(arguments);
    output(command).await.with_context(|| format!("tests/clients/node/{script}"))
}

/// What a script that makes an environment prints: where it is.
async fn environment(script: &str) -> anyhow::Result<String> {
    let made = output(Command::new(folder().join(script))).await?;
    anyhow::ensure!(made.code == Some(0), "tests/clients/{script} failed: {}", made.err);
    Ok(made.out.trim().to_owned())
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
