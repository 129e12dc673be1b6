//! `efd registry delete`: softly, or for good.

use std::process::ExitCode;

use efd_schema::{RegistryClient, encoded_subject};
use http::Method;
use serde_json::Value;

use super::DeleteArgs;
use super::version::{Which, numbers};
use crate::output;

/// What is to be done with a subject.
#[derive(Debug)]
struct Plan {
    subject: String,
    /// Versions to delete softly first.
    soft: Vec<u32>,
    /// Versions that go for good.
    permanent: Vec<u32>,
}

/// Deletes.
pub async fn run(client: &RegistryClient, args: &DeleteArgs) -> anyhow::Result<ExitCode> {
    if args.permanent && !args.yes && !args.dry_run {
        anyhow::bail!(
            "a permanent delete cannot be taken back: say --yes if it is meant, or look with --dry-run first"
        );
    }
    let mut plans = Vec::new();
    for subject in &args.subjects {
        plans.push(plan(client, subject, args).await?);
    }
    let mut table = output::table(&["subject", "deleted softly", "deleted for good"]);
    let list = |numbers: &[u32]| numbers.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
    let bar = output::progress(plans.len() as u64, "subjects");
    for plan in &plans {
        if !args.dry_run {
            delete(client, plan, args.version).await?;
        }
        let soft: Vec<u32> =
            plan.soft.iter().copied().filter(|number| !plan.permanent.contains(number)).collect();
        table.add_row([plan.subject.clone(), list(&soft), list(&plan.permanent)]);
        bar.inc(1);
    }
    bar.finish_and_clear();
    output::print(&format!("{table}\n"));
    if args.dry_run {
        output::print("nothing was deleted: this was a dry run\n");
    }
    Ok(ExitCode::SUCCESS)
}

async fn plan(client: &RegistryClient, subject: &str, args: &DeleteArgs) -> anyhow::Result<Plan> {
    let is_meant = |number: &u32| args.version.is_none_or(|version| version == *number);
    let soft: Vec<u32> = numbers(client, subject, Which::Live).await?.into_iter().filter(is_meant).collect();
    let permanent: Vec<u32> = if args.permanent {
        numbers(client, subject, Which::All).await?.into_iter().filter(is_meant).collect()
    } else {
        Vec::new()
    };
    if soft.is_empty() && permanent.is_empty() {
        let version = args.version.map(|version| format!(" version {version}")).unwrap_or_default();
        anyhow::bail!("subject {subject}{version} is not in the registry, or deleted already");
    }
    Ok(Plan { subject: subject.to_owned(), soft, permanent })
}

async fn delete(client: &RegistryClient, plan: &Plan, version: Option<u32>) -> anyhow::Result<()> {
    let path = match version {
        Some(version) => format!("/subjects/{}/versions/{version}", encoded_subject(&plan.subject)),
        None => format!("/subjects/{}", encoded_subject(&plan.subject)),
    };
    if !plan.soft.is_empty() {
        client.call::<Value>(Method::DELETE, &path, None).await?;
    }
    if !plan.permanent.is_empty() {
        client.call::<Value>(Method::DELETE, &format!("{path}?permanent=true"), None).await?;
    }
    Ok(())
}
