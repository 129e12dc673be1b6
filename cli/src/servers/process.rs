//! One server process: started by a script in its folder, stopped by process id.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A stop by signal must be done in this time; then the process is killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(20);
/// Pause between two looks at a process or an address.
pub const POLL: Duration = Duration::from_millis(20);

/// Kills the server of this folder when its standard input ends, as it does when the process that holds it is gone.
const GUARD: &str = "read -r _; kill -9 \"$(cat pid)\"";

/// A server process; killed when dropped, and when this process ends in any other way.
#[derive(Debug)]
pub struct Process {
    name: &'static str,
    folder: PathBuf,
    child: Option<Child>,
    guard: Child,
}

impl Process {
    /// Writes the start script of `command` (words, quoted for the shell) and starts it.
    pub fn start(name: &'static str, folder: &Path, command: &[String]) -> anyhow::Result<Self> {
        let words: Vec<String> = command.iter().map(|word| quoted(word)).collect();
        let here = quoted(&folder.to_string_lossy());
        let script =
            format!("#!/bin/sh\necho $$ > {here}/pid\nexec {} >> {here}/log 2>&1\n", words.join(" "));
        let run = folder.join("run");
        fs::write(&run, script).with_context(|| format!("cannot write {}", run.display()))?;
        fs::set_permissions(&run, fs::Permissions::from_mode(0o755))?;
        let guard = background("sh")
            .args(["-c", GUARD])
            .current_dir(folder)
            .stdin(Stdio::piped())
            .spawn()
            .context("cannot start a shell")?;
        let mut process = Self { name, folder: folder.to_owned(), child: None, guard };
        process.start_again()?;
        Ok(process)
    }

    /// Starts the process again after a stop, with the same configuration and data.
    pub fn start_again(&mut self) -> anyhow::Result<()> {
        // A pid left from before would be taken for the new one.
        let _ = fs::remove_file(self.folder.join("pid"));
        let child = background(self.folder.join("run"))
            .spawn()
            .with_context(|| format!("cannot start {}", self.name))?;
        self.child = Some(child);
        Ok(())
    }

    /// Process id, as its start script wrote it: also when somebody started it again by hand.
    pub fn pid(&self) -> Option<i32> {
        fs::read_to_string(self.folder.join("pid")).ok()?.trim().parse().ok()
    }

    /// The script that starts it.
    pub fn run_script(&self) -> PathBuf {
        self.folder.join("run")
    }

    /// Sends a signal and waits for the end; kills what does not end in time.
    pub fn stop(&mut self, signal: Signal) {
        if let Some(pid) = self.pid() {
            let _ = kill(Pid::from_raw(pid), signal);
            let deadline = Instant::now() + STOP_TIMEOUT;
            while self.is_running(pid) && Instant::now() < deadline {
                wait_briefly();
            }
            if self.is_running(pid) {
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
        }
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = fs::remove_file(self.folder.join("pid"));
    }

    /// An error with the end of the log, when the process is gone.
    pub fn check_alive(&mut self) -> anyhow::Result<()> {
        if let Some(status) = self.try_wait()? {
            bail!("{} ended ({status}) while starting: {}", self.name, self.log_end());
        }
        Ok(())
    }

    /// Sends a signal and does not wait.
    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let pid = self.pid().with_context(|| format!("{} does not run", self.name))?;
        kill(Pid::from_raw(pid), signal).with_context(|| format!("cannot signal {}", self.name))
    }

    /// How it ended, if it did.
    pub fn try_wait(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        let child = self.child.as_mut().with_context(|| format!("{} was not started", self.name))?;
        let ended = child.try_wait()?;
        if ended.is_some() && self.pid() == self.child.as_ref().map(|child| child.id().cast_signed()) {
            // Its number may be another process's soon.
            let _ = fs::remove_file(self.folder.join("pid"));
        }
        Ok(ended)
    }

    /// Everything it logged.
    pub fn log(&self) -> anyhow::Result<String> {
        let path = self.folder.join("log");
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    }

    /// The last lines of its log in one line, for error messages.
    pub fn log_end(&self) -> String {
        let log = self.log().unwrap_or_default();
        let lines: Vec<&str> = log.lines().rev().take(3).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join(" | ")
    }

    fn is_running(&mut self, pid: i32) -> bool {
        // Our own child stays a zombie until it is waited for.
        if let Some(child) = &mut self.child
            && child.id().cast_signed() == pid
        {
            return matches!(child.try_wait(), Ok(None));
        }
        !matches!(kill(Pid::from_raw(pid), None), Err(Errno::ESRCH))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop(Signal::SIGKILL);
        // Nothing is left for the guard to kill.
        drop::<Option<ChildStdin>>(self.guard.stdin.take());
        let _ = self.guard.wait();
    }
}

/// A command without input and output, in a process group of its own: Ctrl-C in the terminal is for its starter, which stops
/// the servers when it is done with them.
fn background(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.process_group(0).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

#[expect(clippy::disallowed_methods, reason = "polls a process, with a deadline in the caller")]
fn wait_briefly() {
    std::thread::sleep(POLL);
}

fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Makes the folder of a server.
pub fn server_folder(parent: &Path, name: &str) -> io::Result<PathBuf> {
    let folder = std::path::absolute(parent.join(name))?;
    fs::create_dir_all(&folder)?;
    Ok(folder)
}
