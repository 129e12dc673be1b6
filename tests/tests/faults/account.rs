//! What the sink itself says of its records, beside what the reckoning found.

use anyhow::Context as _;
use efd_proto::sink::v1::sink_service_client::SinkServiceClient;
use efd_proto::sink::v1::{CompletenessRequest, Counts};

use crate::audit::{Destination, Outcome};
use crate::fault::Act;
use crate::run::Run;

/// Asks the sink for its account of a destination, and notes what differs from the reckoning.
pub async fn check(run: &Run, destination: &Destination, outcome: &mut Outcome) -> anyhow::Result<()> {
    let said = completeness(run, destination.name).await.context("the sink does not tell its account")?;
    // A record whose bytes do not tell its number leaves a gap in the numbers.
    let may_miss = if run.fault.act == Act::Undecodable { outcome.dead } else { 0 };
    if said.missing > may_miss {
        outcome.problems.push(format!("the account lacks {} records", said.missing));
    }
    if said.records + said.not_yet_written < outcome.stored {
        outcome.problems.push(format!("the account has only {} records", said.records));
    }
    let counts = [
        (said.not_yet_written, 0, "not yet written"),
        (said.merged, 0, "merged"),
        (said.dead_lettered, outcome.dead, "dead-lettered"),
    ];
    for (found, expected, what) in counts {
        if found != expected {
            outcome.problems.push(format!("by the account {found} records are {what}, not {expected}"));
        }
    }
    Ok(())
}

/// The counts of all topics together.
async fn completeness(run: &Run, destination: &str) -> anyhow::Result<Counts> {
    let mut client = SinkServiceClient::connect(run.stack.sink_grpc_url()).await?;
    let request =
        CompletenessRequest { destination: destination.to_owned(), ..CompletenessRequest::default() };
    let mut answers = client.completeness(request).await?.into_inner();
    let mut all = Counts::default();
    while let Some(answer) = answers.message().await? {
        let Some(counts) = answer.counts else { continue };
        all.records += counts.records;
        all.missing += counts.missing;
        all.dead_lettered += counts.dead_lettered;
        all.merged += counts.merged;
        all.not_yet_written += counts.not_yet_written;
    }
    Ok(all)
}
