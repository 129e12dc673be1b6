//! The cache file: what a proxy knows, kept over a restart.
//!
//! A first line names format and version; then each line is the answer to one key, or takes it back, behind a check sum. Lines are
//! appended as soon as something is learnt, so a process that is killed loses nothing it wrote, and a line that was torn is found by its sum
//! and left out with what follows it. When half of the file is outdated it is written anew beside the old one and put in its place.
//! A file of another version is not read and replaced.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, bail};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use super::memory::{Entry, Memory};
use super::telemetry::Telemetry;

/// First line; another number is another format.
const HEADER: &str = "efd-registry-cache 1\n";
/// What every version of the first line begins with; nothing else is ever overwritten.
const NAME: &str = "efd-registry-cache ";
/// Lines that wait to be written; who learns more then waits.
const QUEUE: usize = 1024;
/// Outdated bytes that a file may have whatever its size.
const SLACK: u64 = 1 << 20;
/// Digits of the check sum.
const SUM: usize = 16;

/// Hands lines to the thread that writes them.
#[derive(Debug)]
pub(super) struct CacheFile {
    lines: mpsc::Sender<Line>,
}

/// One line.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    key: String,
    /// None takes the key back.
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<StoredAnswer>,
}

#[derive(Debug, Serialize, Deserialize)]
struct StoredAnswer {
    status: u16,
    at: u64,
    lasting: bool,
    subject: Option<String>,
    body: String,
}

/// The file itself, on its thread.
struct Journal {
    path: PathBuf,
    file: File,
    bytes: u64,
    memory: Arc<Mutex<Memory>>,
}

impl CacheFile {
    /// Reads the file into `memory`, and starts the thread that writes it.
    ///
    /// # Errors
    /// When it is something else than a cache, or cannot be read or written.
    pub(super) fn open(
        path: &Path,
        memory: &Arc<Mutex<Memory>>,
        telemetry: Telemetry,
    ) -> anyhow::Result<Self> {
        let name = || format!("cache file {} (setting upstream.cache_file)", path.display());
        let mut journal = Journal::open(path, memory.clone()).with_context(name)?;
        let (lines, mut queue) = mpsc::channel::<Line>(QUEUE);
        let thread = move || {
            let mut has_failed = false;
            while let Some(line) = queue.blocking_recv() {
                let outcome = journal.append(&line);
                if let Err(error) = &outcome {
                    journal.tell(error, has_failed, &telemetry);
                }
                has_failed = outcome.is_err();
            }
            // At the end of the process nobody is left to whom an error would matter.
            let _ = journal.file.sync_all();
        };
        std::thread::Builder::new()
            .name("cache".to_owned())
            .spawn(thread)
            .context("thread for the cache file")?;
        Ok(Self { lines })
    }

    pub(super) async fn append(&self, key: Arc<str>, entry: Entry) {
        self.send(line(&key, &entry)).await;
    }

    pub(super) async fn forget(&self, key: Arc<str>) {
        self.send(Line { key: key.to_string(), answer: None }).await;
    }

    async fn send(&self, line: Line) {
        // The thread ends only when this is dropped.
        let _ = self.lines.send(line).await;
    }
}

impl Journal {
    fn open(path: &Path, memory: Arc<Mutex<Memory>>) -> anyhow::Result<Self> {
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
        let mut whole = Vec::new();
        file.read_to_end(&mut whole)?;
        let is_ours = whole.starts_with(NAME.as_bytes()) || NAME.as_bytes().starts_with(&whole);
        if !is_ours {
            bail!("it holds something else, and is not overwritten");
        }
        let good = load(&whole, &memory);
        let left_out = whole.len() as u64 - good;
        if left_out > 0 && good > 0 {
            tracing::warn!(path = %path.display(), bytes = left_out, "the end of the cache file was torn and is left out");
        }
        let mut journal = Self { path: path.to_owned(), file, bytes: good, memory };
        if good == 0 {
            // New, or of another version.
            journal.rewrite()?;
        } else {
            journal.file.set_len(good)?;
            journal.file.seek(SeekFrom::End(0))?;
        }
        let entries = journal.memory().len();
        tracing::info!(path = %path.display(), entries, "cache file read");
        Ok(journal)
    }

    fn append(&mut self, line: &Line) -> io::Result<()> {
        let text = text(line);
        if let Err(error) = self.file.write_all(text.as_bytes()) {
            // Half a line would hide all that follow it.
            self.file.set_len(self.bytes)?;
            return Err(error);
        }
        self.bytes += text.len() as u64;
        let outdated = self.bytes.saturating_sub(self.memory().bytes());
        if outdated > self.memory().bytes() + SLACK { self.rewrite() } else { Ok(()) }
    }

    /// Counts a failure, and tells the first of several.
    fn tell(&self, error: &io::Error, is_known: bool, telemetry: &Telemetry) {
        telemetry.file_failed();
        if !is_known {
            let path = self.path.display();
            tracing::error!(%path, %error, "cache file cannot be written, a restart will forget what is learnt now");
        }
    }

    /// Writes a new file with what is known now, and puts it in the place of the old one.
    fn rewrite(&mut self) -> io::Result<()> {
        let entries = self.memory().lasting_entries();
        let mut name = self.path.clone().into_os_string();
        name.push(".new");
        let beside = PathBuf::from(name);
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(&beside)?;
        file.set_len(0)?;
        let mut out = io::BufWriter::new(&mut file);
        out.write_all(HEADER.as_bytes())?;
        let mut bytes = HEADER.len() as u64;
        for (key, entry) in entries {
            let text = text(&line(&key, &entry));
            out.write_all(text.as_bytes())?;
            bytes += text.len() as u64;
        }
        out.flush()?;
        drop(out);
        file.sync_all()?;
        std::fs::rename(&beside, &self.path)?;
        self.file = file;
        self.bytes = bytes;
        Ok(())
    }

    fn memory(&self) -> std::sync::MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn line(key: &str, entry: &Entry) -> Line {
    let answer = StoredAnswer {
        status: entry.status.as_u16(),
        at: entry.at,
        lasting: entry.lasting,
        subject: entry.subject.as_deref().map(str::to_owned),
        body: String::from_utf8_lossy(&entry.body).into_owned(),
    };
    Line { key: key.to_owned(), answer: Some(answer) }
}

fn text(line: &Line) -> String {
    let json = serde_json::to_string(line).expect("strings and numbers always make JSON");
    format!("{} {json}\n", sum(json.as_bytes()))
}

/// Takes in all lines up to the first that is damaged; how many bytes that are, 0 when the first line is not of this version.
fn load(whole: &[u8], memory: &Mutex<Memory>) -> u64 {
    let Some(mut rest) = whole.strip_prefix(HEADER.as_bytes()) else { return 0 };
    let mut memory = memory.lock().unwrap_or_else(PoisonError::into_inner);
    let mut good = HEADER.len();
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        let (text, after) = rest.split_at(end + 1);
        let Some(line) = read(text) else { break };
        match line.answer.and_then(entry) {
            Some(entry) => {
                memory.put(line.key.into(), entry);
            }
            None => {
                memory.remove(&line.key);
            }
        }
        good += text.len();
        rest = after;
    }
    good as u64
}

fn read(line: &[u8]) -> Option<Line> {
    let line = std::str::from_utf8(line).ok()?.strip_suffix('\n')?;
    let (said, json) = line.split_at_checked(SUM)?;
    let json = json.strip_prefix(' ')?;
    if said != sum(json.as_bytes()) {
        return None;
    }
    serde_json::from_str(json).ok()
}

fn entry(stored: StoredAnswer) -> Option<Entry> {
    Some(Entry {
        status: StatusCode::from_u16(stored.status).ok()?,
        body: stored.body.into(),
        at: stored.at,
        lasting: stored.lasting,
        expired: false,
        subject: stored.subject.map(Arc::from),
    })
}

fn sum(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().take(SUM / 2).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
