//! End-to-end benchmarks of EFD on this machine, on real servers. One table comes out.
//!
//! To add a benchmark, write a file with a function like [`encoding::run`] and put it into [`BENCHMARKS`]: it gets a
//! [`Room`] with whatever servers it asks for, and gives rows. Machines are shared and noisy: where it can, a row says
//! something that does not depend on the machine (a ratio, nanoseconds per field), and each says what is expected of it.

mod dashboards;
mod discard;
mod encoding;
mod gateway;
mod interfaces;
mod latency;
mod load;
mod machine;
mod program;
mod range;
mod readers;
mod registry;
mod room;
mod row;
mod simulator;
mod sink;
mod transcoding;
mod worker;

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;

use machine::Machine;
use room::Room;
use row::Row;

/// What the table begins with, and how its rows come about.
struct Benchmark {
    name: &'static str,
    run: fn(&Room) -> anyhow::Result<Vec<Row>>,
}

const BENCHMARKS: [Benchmark; 8] = [
    Benchmark { name: "encoding", run: encoding::run },
    Benchmark { name: "simulator into kafka", run: simulator::run },
    Benchmark { name: "transcoding", run: transcoding::run },
    Benchmark { name: "registry", run: registry::run },
    Benchmark { name: "sink", run: sink::run },
    Benchmark { name: "latency", run: latency::run },
    Benchmark { name: "range", run: range::run },
    Benchmark { name: "dashboards", run: dashboards::run },
];

/// Runs the benchmarks and prints one table.
#[derive(Debug, Parser)]
#[command(name = "efd-benches")]
struct Args {
    /// Only benchmarks whose name contains this.
    #[arg(long)]
    only: Option<String>,
    /// Factor on the amount of work; 0.1 is a quick look.
    #[arg(long, default_value_t = 1.0)]
    size: f64,
}

fn main() -> ExitCode {
    if let Some(ended) = program::service() {
        return ended;
    }
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("efd-benches: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> anyhow::Result<()> {
    let room = Room::new(args.size)?;
    let mut rows = Vec::new();
    let wanted = |benchmark: &&Benchmark| args.only.as_ref().is_none_or(|only| benchmark.name.contains(only));
    for benchmark in BENCHMARKS.iter().filter(wanted) {
        say(&format!("running {}", benchmark.name));
        let name = benchmark.name;
        let more = (benchmark.run)(&room).with_context(|| format!("benchmark {name} failed"))?;
        rows.extend(more.into_iter().map(|row| (name, row)));
    }
    let table = row::table(&rows);
    writeln!(std::io::stdout(), "{}\n\n{table}", Machine::look())?;
    Ok(())
}

/// Progress goes to standard error, the table to standard output.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
