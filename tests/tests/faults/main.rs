//! The fault suite: real servers, the real binaries, a load of more than 100,000 values a second, and each fault in the
//! middle of it. `make faults` runs it and prints a table; nothing may be lost.
//!
//! The simulator's account says what was sent; what Kafka holds is decoded apart from the sink ([`efd_tests::oracle`]); and every
//! row of InfluxDB is read back and compared field by field. Trouble that a real server would not give on demand comes
//! from a proxy before it ([`efd_tests::proxy`]); what is stored, is stored in a real InfluxDB.

mod account;
mod audit;
mod fault;
mod inject;
mod load;
mod run;
mod table;

use std::io::Write as _;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Parser, Subcommand, ValueEnum};
use efd_tests::Generation;

use audit::Outcome;
use fault::{FAULTS, Fault};
use run::Run;

/// Bound on one fault on one InfluxDB, several times what it takes.
const DEADLINE: Duration = Duration::from_secs(600);

/// The fault suite of EFD.
#[derive(Debug, Parser)]
#[command(name = "faults", bin_name = "faults")]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run faults and print a table; the exit code is 1 when something was lost or a fault could not be run.
    Run {
        /// Only faults whose name contains one of these.
        #[arg(long, value_delimiter = ',')]
        fault: Vec<String>,
        /// Generation of InfluxDB.
        #[arg(long, default_value = "both")]
        influxdb: Generations,
        /// What librdkafka is to tell in the sink's log, for example `cgrp,topic,fetch`.
        #[arg(long)]
        debug: Option<String>,
    },
    /// List the faults.
    List,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Generations {
    #[value(name = "1")]
    First,
    #[value(name = "2")]
    Second,
    Both,
}

#[tokio::main]
async fn main() -> ExitCode {
    // `cargo test` starts every test of the workspace, with whatever filter it was given; this one takes half an hour.
    if !std::env::args().nth(1).is_some_and(|word| ["run", "list", "help", "--help"].contains(&word.as_str()))
    {
        say("the fault suite is run by `make faults`");
        return ExitCode::SUCCESS;
    }
    match Args::parse().command {
        Command::List => list(),
        Command::Run { fault, influxdb, debug } => run_all(&chosen(&fault), influxdb, debug.as_deref()).await,
    }
}

fn list() -> ExitCode {
    for Fault { name, what, .. } in &FAULTS {
        print(&format!("{name:17} {what}"));
    }
    ExitCode::SUCCESS
}

fn chosen(names: &[String]) -> Vec<&'static Fault> {
    let is_chosen =
        |fault: &&Fault| names.is_empty() || names.iter().any(|name| fault.name.contains(&**name));
    FAULTS.iter().filter(is_chosen).collect()
}

async fn run_all(faults: &[&'static Fault], generations: Generations, debug: Option<&str>) -> ExitCode {
    let generations: &[Generation] = match generations {
        Generations::First => &[Generation::V1],
        Generations::Second => &[Generation::V2],
        Generations::Both => &[Generation::V1, Generation::V2],
    };
    if faults.is_empty() {
        say("no fault has such a name; `list` shows them");
        return ExitCode::FAILURE;
    }
    let (start, count) = (Instant::now(), faults.len() * generations.len());
    let mut outcomes = Vec::new();
    let runs = faults.iter().flat_map(|fault| generations.iter().map(move |generation| (fault, *generation)));
    for (number, (fault, generation)) in runs.enumerate() {
        say(&format!(
            "[{}/{count}] {} on InfluxDB {}: {}",
            number + 1,
            fault.name,
            digit(generation),
            fault.what
        ));
        let begun = Instant::now();
        let rows = run_one(fault, generation, debug).await;
        for row in &rows {
            say(&format!("        {row} ({:.0} s)", begun.elapsed().as_secs_f64()));
        }
        outcomes.extend(rows);
    }
    print(&table::table(&outcomes).to_string());
    print(&format!("\n{}", table::problems(&outcomes)));
    print(&table::summary(&outcomes, start.elapsed()));
    if outcomes.iter().all(Outcome::is_good) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn run_one(fault: &'static Fault, generation: Generation, debug: Option<&str>) -> Vec<Outcome> {
    let run = async { Run::new(fault, generation, debug).await?.execute().await };
    match tokio::time::timeout(DEADLINE, run).await {
        Ok(Ok(outcomes)) => outcomes,
        Ok(Err(error)) => vec![Outcome::failed(fault.name, generation, format!("{error:#}"))],
        Err(_) => vec![Outcome::failed(fault.name, generation, format!("not done in {DEADLINE:?}"))],
    }
}

/// The generation as a number.
fn digit(generation: Generation) -> &'static str {
    match generation {
        Generation::V1 => "1",
        Generation::V2 => "2",
    }
}

/// Progress goes to standard error, the table to standard output.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

fn print(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}
