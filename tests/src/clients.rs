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
    output(&mut command).await.with_context(|| format!("tests/clients/{script}"))
}

/// Runs the script with `lsst-efd-client`, which trusts the authority in a file.
///
/// # Errors
/// As [`python`].
pub async fn efd_client(authority: &Path, arguments: &[&str]) -> anyhow::Result<Output> {
    let requirements = folder().join("efd-client/requirements.txt");
    let mut command = Command::new(made(Command::new(folder().join("environment")).arg(requirements)).await?);
    // The first for `requests`, the second for everything that asks OpenSSL.
    command.env("REQUESTS_CA_BUNDLE", authority).env("SSL_CERT_FILE", authority);
    command.arg("-B").arg(folder().join("efd_client.py")).args(arguments);
    output(&mut command).await.context("tests/clients/efd_client.py")
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
    output(&mut command).await.with_context(|| format!("python -m {module}"))
}

/// The Python that has `lsst-efd-client` as its users install it.
///
/// # Errors
/// When its environment cannot be made.
pub async fn lsst_python() -> anyhow::Result<String> {
    let requirements = folder().join("efd-client/requirements.txt");
    made(Command::new(folder().join("environment")).arg(requirements)).await
}

/// Runs Python with the package of `python/` installed, in that folder, with more of an environment.
///
/// # Errors
/// When the environment or the package cannot be made, or the program does not end within ten minutes.
pub async fn efd_python(arguments: &[&str], environment: &[(&str, &str)]) -> anyhow::Result<Output> {
    let package = package();
    let requirements = package.join("requirements.txt");
    let python = made(Command::new(folder().join("environment")).arg(requirements)).await?;
    let installed = made(&mut Command::new(folder().join("environment-efd"))).await?;
    let mut command = Command::new(python);
    command
        .env("PYTHONPATH", &installed)
        .env("MYPYPATH", installed)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .envs(environment.iter().copied())
        .args(arguments)
        .current_dir(package);
    output(&mut command).await.with_context(|| format!("python {}", arguments.join(" ")))
}

/// Folder of the Python package.
fn package() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../python")
}

/// Runs a script of `tests/clients/node` with the modules that `tests/clients/environment-node` installs.
///
/// # Errors
/// When they cannot be installed, or the script does not end within ten minutes.
pub async fn node(script: &str, arguments: &[&str]) -> anyhow::Result<Output> {
    let modules = environment("environment-node").await?;
    let mut command = Command::new("node");
    command.env("NODE_PATH", modules).arg(folder().join("node").join(script)).args(arguments);
    output(&mut command).await.with_context(|| format!("tests/clients/node/{script}"))
}

/// The environment that a script of `tests/clients` makes.
async fn environment(script: &str) -> anyhow::Result<String> {
    made(&mut Command::new(folder().join(script))).await
}

/// What a script that makes an environment prints: where it is.
async fn made(script: &mut Command) -> anyhow::Result<String> {
    let made = output(script).await?;
    anyhow::ensure!(made.code == Some(0), "{script:?} failed: {}", made.err);
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

async fn output(command: &mut Command) -> anyhow::Result<Output> {
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(DEADLINE, command.output()).await.context("it did not end")??;
    Ok(Output {
        code: output.status.code(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}
