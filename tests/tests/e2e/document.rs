//! The commands of `docs/operate.md`, run in their order in one shell, as a reader would.
//!
//! A block of commands is fenced with `sh`; words behind that say why the test cannot run it, and it is listed instead.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use tokio::process::Command;

use crate::steps::{Steps, say};
use crate::tools::end_of;

/// Bound on all commands.
const DEADLINE: Duration = Duration::from_secs(1800);

/// Before the first block. A failing command ends its block, and the shell goes on with the next one.
const START: &str = "\
set -uE
trap 'kill $(jobs -p) 2>/dev/null' EXIT
run() {
    local start=$SECONDS
    failed=
    trap 'failed=$BASH_COMMAND; trap - ERR; return 1' ERR
    source \"$1\"
    trap - ERR
    echo \"$((SECONDS - start)) $failed\" > \"$1.done\"
}
";

/// Commands between two fences.
#[derive(Debug, PartialEq, Eq)]
struct Block {
    /// Title of the section.
    section: String,
    /// Why the test does not run it; empty when it does.
    reason: String,
    commands: String,
}

/// Runs what can be run, and lists the rest.
pub async fn run(steps: &mut Steps, outputs: Option<&Path>) -> anyhow::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let text = std::fs::read_to_string(root.join("docs/operate.md")).context("docs/operate.md")?;
    let blocks = blocks(&text);
    ensure!(blocks.len() > 10, "docs/operate.md has {} blocks of commands", blocks.len());
    let folder = tempfile::tempdir()?;
    let mut script = START.to_owned();
    for (number, block) in blocks.iter().enumerate().filter(|(_, block)| block.reason.is_empty()) {
        let file = folder.path().join(number.to_string());
        std::fs::write(&file, &block.commands)?;
        let file = file.display();
        writeln!(script, "run {file} > {file}.out 2>&1")?;
    }
    let main = folder.path().join("main");
    std::fs::write(&main, script)?;
    shell(&main, &root).await?;
    if let Some(outputs) = outputs {
        write_outputs(&blocks, folder.path(), outputs)?;
    }
    for (number, block) in blocks.iter().enumerate() {
        let first = block.commands.lines().next().unwrap_or_default();
        if !block.reason.is_empty() {
            say(&format!("not run           {}: {first} ({})", block.section, block.reason));
            continue;
        }
        let file = folder.path().join(number.to_string());
        let out = std::fs::read_to_string(file.with_extension("out")).unwrap_or_default();
        let done = std::fs::read_to_string(file.with_extension("done")).unwrap_or_default();
        let (seconds, failed) = done.split_once(' ').unwrap_or(("0", "it was not reached"));
        let outcome = match failed.trim() {
            "" => Ok(format!("{first}{}", if block.commands.lines().count() > 1 { " …" } else { "" })),
            command => Err(anyhow::anyhow!("{command}: {}", end_of(&out))),
        };
        let took = Duration::from_secs(seconds.parse().unwrap_or_default());
        steps.told(&format!("operate.md, {}", block.section), took, outcome);
    }
    Ok(())
}

/// What each block printed, to be put into the document.
fn write_outputs(blocks: &[Block], folder: &Path, outputs: &Path) -> anyhow::Result<()> {
    let mut text = String::new();
    for (number, block) in blocks.iter().enumerate().filter(|(_, block)| block.reason.is_empty()) {
        let out = std::fs::read_to_string(folder.join(number.to_string()).with_extension("out"))?;
        writeln!(text, "## {}\n\n{}\n{out}", block.section, block.commands)?;
    }
    std::fs::write(outputs, text).with_context(|| outputs.display().to_string())
}

async fn shell(script: &Path, root: &Path) -> anyhow::Result<()> {
    let programs = efd_tests::binary("efd")?;
    let folder = programs.parent().context("the command is in a folder")?;
    // The command is found first; everything else where it was.
    let line = format!("PATH={}:$PATH exec bash {}", folder.display(), script.display());
    let mut command = Command::new("bash");
    command.args(["-c", &line]).current_dir(root).stdin(Stdio::null()).kill_on_drop(true);
    // What the document keeps in the home folder goes with this one.
    command.env("HOME", script.parent().context("the script is in a folder")?);
    match tokio::time::timeout(DEADLINE, command.status()).await {
        Ok(status) => status.map(drop).context("bash cannot be started"),
        Err(_) => bail!("the commands of docs/operate.md did not end in {} s", DEADLINE.as_secs()),
    }
}

/// All blocks of commands of a document.
fn blocks(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let (mut section, mut open): (&str, Option<Block>) = ("", None);
    for line in text.lines() {
        match (&mut open, line.strip_prefix("```")) {
            (Some(_), Some("")) => blocks.extend(open.take()),
            (Some(block), _) => {
                block.commands.push_str(line);
                block.commands.push('\n');
            }
            (None, Some(info)) if info == "sh" || info.starts_with("sh ") => {
                let reason = info.trim_start_matches("sh").trim().to_owned();
                open = Some(Block { section: section.to_owned(), reason, commands: String::new() });
            }
            (None, _) => {
                if let Some(title) = line.strip_prefix('#') {
                    section = title.trim_start_matches('#').trim();
                }
            }
        }
    }
    blocks
}
