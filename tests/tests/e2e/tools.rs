//! helm, kubectl and other programs, run to their end.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use tempfile::TempDir;
use tokio::process::{Child, Command};

/// Bound on one program; `helm install --wait` may take as long on a machine with much else to do.
const DEADLINE: Duration = Duration::from_secs(300);
/// Pause between two looks.
const LOOK: Duration = Duration::from_millis(200);
/// Characters of a program's output that an error quotes.
const QUOTED: usize = 1500;

/// Runs a program; what it printed to standard output.
///
/// # Errors
/// When it fails or does not end; the error has the end of its output.
pub async fn run(program: &str, arguments: &[&str]) -> anyhow::Result<String> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(DEADLINE, command.output())
        .await
        .with_context(|| format!("{program} {} did not end", arguments.join(" ")))?
        .with_context(|| format!("{program} cannot be started"))?;
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let err = String::from_utf8_lossy(&output.stderr);
        bail!("{program} {}: {}", arguments.join(" "), end_of(&format!("{out}{err}")));
    }
    Ok(out)
}

/// Asks until the answer is yes.
///
/// # Errors
/// When it is not yes in time; the error has the last answer.
pub async fn until<F, Fut>(what: &str, mut ask: F) -> anyhow::Result<()>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = anyhow::Result<()>>,
{
    let deadline = Instant::now() + DEADLINE;
    loop {
        let Err(error) = ask().await else { return Ok(()) };
        ensure!(Instant::now() < deadline, "waited {} s until {what}: {error:#}", DEADLINE.as_secs());
        tokio::time::sleep(LOOK).await;
    }
}

/// The last lines of a text, in one line.
pub fn end_of(text: &str) -> String {
    let skipped = text.chars().count().saturating_sub(QUOTED);
    text.chars().skip(skipped).collect::<String>().trim().replace('\n', " | ")
}

/// A port of this machine that leads to a pod, as long as this lives.
#[derive(Debug)]
pub struct Forward {
    /// Address of the near end.
    pub url: String,
    child: Child,
    _folder: TempDir,
}

impl Forward {
    /// Leads to `port` of an object such as `service/efd-gateway`.
    ///
    /// # Errors
    /// When there is no pod that runs behind it.
    pub async fn to(namespace: &str, object: &str, port: u16) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let log = folder.path().join("log");
        let file = std::fs::File::create(&log)?;
        let remote = format!(":{port}");
        let mut child = Command::new("kubectl")
            .args(["--namespace", namespace, "port-forward", object, &remote])
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .kill_on_drop(true)
            .spawn()
            .context("kubectl cannot be started")?;
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            if let Some(near) = near_end(&log)? {
                return Ok(Self { url: format!("http://127.0.0.1:{near}"), child, _folder: folder });
            }
            let ended = child.try_wait()?.is_some();
            if ended || Instant::now() > deadline {
                bail!("no way to {object}: {}", end_of(&std::fs::read_to_string(&log)?));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Whether the way still leads somewhere.
    pub fn is_open(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

fn near_end(log: &Path) -> anyhow::Result<Option<u16>> {
    let text = std::fs::read_to_string(log)?;
    let port = text.lines().find_map(|line| line.strip_prefix("Forwarding from 127.0.0.1:"));
    Ok(port.and_then(|rest| rest.split_whitespace().next()?.parse().ok()))
}
