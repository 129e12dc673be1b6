//! `efd registry export`: every version of every subject, also softly deleted ones, one JSON object a line.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use efd_schema::RegistryClient;
use futures::{StreamExt, TryStreamExt, stream};

use super::version::{Version, Which, numbers, subjects, version};
use super::{CONCURRENCY, ExportArgs};
use crate::output;

/// Exports in the order of subjects and versions, so that two exports can be compared.
pub async fn run(client: &RegistryClient, args: &ExportArgs) -> anyhow::Result<ExitCode> {
    let found = subjects(client, &args.prefix, Which::All).await?;
    let bar = output::progress(found.len() as u64, "subjects");
    let progress = &bar;
    let all: Vec<Vec<Version>> = stream::iter(found)
        .map(|subject| async move {
            let versions = versions(client, &subject).await?;
            progress.inc(1);
            anyhow::Ok(versions)
        })
        .buffered(CONCURRENCY)
        .try_collect()
        .await?;
    bar.finish_and_clear();
    let mut lines = String::new();
    for version in all.iter().flatten() {
        lines.push_str(&serde_json::to_string(version)?);
        lines.push('\n');
    }
    match &args.file {
        None => output::print(&lines),
        Some(file) => {
            write(file, &lines).with_context(|| format!("cannot write {}", file.display()))?;
            let count = all.iter().map(Vec::len).sum::<usize>();
            output::print(&format!("{count} versions of {} subjects\n", all.len()));
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn versions(client: &RegistryClient, subject: &str) -> anyhow::Result<Vec<Version>> {
    let live = numbers(client, subject, Which::Live).await?;
    let mut versions = Vec::new();
    for number in numbers(client, subject, Which::All).await? {
        // One that is gone by now is not exported.
        if let Some(mut found) = version(client, subject, &number.to_string()).await? {
            found.deleted = !live.contains(&number);
            versions.push(found);
        }
    }
    Ok(versions)
}

/// The file has its name only when it is whole.
fn write(file: &Path, lines: &str) -> std::io::Result<()> {
    let mut name = file.as_os_str().to_owned();
    name.push(".part");
    let mut out = BufWriter::new(File::create(&name)?);
    out.write_all(lines.as_bytes())?;
    out.into_inner()?.sync_all()?;
    std::fs::rename(name, file)
}
