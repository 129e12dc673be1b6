//! The end-to-end test: the images and the chart on a real Kubernetes. `make e2e` starts the cluster and runs it.
//!
//! Each step prints a line: `ok` or `FAILED`, how long it took, and what it found. Outside the pods stands what an observatory
//! has there: the command `efd`, and a control system (an ingest of its own) that publishes by the external address of Kafka.
//! What Kafka holds and every row of InfluxDB are compared as the fault suite does ([`efd_tests::oracle`]).

mod audit;
mod cluster;
mod document;
mod freshness;
mod hardening;
mod install;
mod load;
mod outside;
mod steps;
mod tools;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

use cluster::Cluster;
use steps::Steps;

/// The end-to-end test of EFD; helm and kubectl must reach a cluster that has the images.
#[derive(Debug, Parser)]
#[command(name = "e2e", bin_name = "e2e")]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run scenes in their order; the exit code is 1 when a step failed.
    Run(RunArgs),
}

/// What is run, and where.
#[derive(Debug, clap::Args)]
struct RunArgs {
    /// Scenes; all when none is named. Each but `install` and `operate` needs what `install` makes.
    #[arg(long, value_delimiter = ',')]
    scene: Vec<Scene>,
    /// File for what the commands of docs/operate.md print, to refresh the outputs there.
    #[arg(long, value_name = "FILE")]
    outputs: Option<PathBuf>,
    /// Tag of the images.
    #[arg(long, env = "EFD_E2E_VERSION", default_value = "0.1.0")]
    version: String,
    /// Another tag, which an upgrade brings.
    #[arg(long, env = "EFD_E2E_NEXT_VERSION", default_value = "0.1.0-next")]
    next_version: String,
}

/// A part of the test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Scene {
    /// Install, look at every part from outside, and get data out.
    Install,
    /// What pods may do, and where secrets must not be.
    Hardening,
    /// Scale, kill, upgrade, roll back and roll under load, and lose nothing.
    Load,
    /// Uninstall, and see what is left.
    Uninstall,
    /// The commands of docs/operate.md.
    Operate,
}

#[tokio::main]
async fn main() -> ExitCode {
    // `cargo test` starts every test of the workspace, with whatever filter it was given; this one needs a cluster.
    if !std::env::args().nth(1).is_some_and(|word| ["run", "help", "--help"].contains(&word.as_str())) {
        steps::say("the end-to-end test is run by `make e2e`");
        return ExitCode::SUCCESS;
    }
    let Args { command: Command::Run(args) } = Args::parse();
    let mut steps = Steps::default();
    let outcome = run(&args, &mut steps).await;
    if let Err(error) = &outcome {
        steps::say(&format!("stopped: {error:#}"));
    }
    steps::say(&steps.summary());
    if outcome.is_ok() && steps.failed() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn run(args: &RunArgs, steps: &mut Steps) -> anyhow::Result<()> {
    let cluster = Cluster::find(&args.version, &args.next_version).await?;
    let scenes = if args.scene.is_empty() { Scene::value_variants() } else { &args.scene };
    for scene in scenes {
        match scene {
            Scene::Install => install::run(&cluster, steps).await?,
            Scene::Hardening => hardening::run(&cluster, steps).await?,
            Scene::Load => load::run(&cluster, steps).await?,
            Scene::Uninstall => install::uninstall(&cluster, steps).await?,
            Scene::Operate => document::run(steps, args.outputs.as_deref()).await?,
        }
    }
    Ok(())
}
