//! Runs seeds of the simulation, several at a time, and sums up.

mod planted;
mod seeds;
mod sum;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use anyhow::Result;
use clap::Parser;
use weir_simulation::Options;

use seeds::Seeds;
use sum::Sum;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Runs seeds of the simulation. Exits with an error when one of them fails; with planted bugs, when one
/// of those is not caught.
#[derive(Parser)]
struct Arguments {
    /// How many seeds; 1, or with planted bugs 100 each
    #[arg(long)]
    seeds: Option<u64>,
    /// The first
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// How long clients work and faults happen, on simulated time
    #[arg(long, default_value_t = 60)]
    working_seconds: u64,
    /// Write the trace of the first seed here
    #[arg(long)]
    trace: Option<PathBuf>,
    /// Say on standard error what the nodes log
    #[arg(long)]
    log: bool,
    /// Without faults
    #[arg(long)]
    calm: bool,
    /// Keep write-ahead logs in files that are appended to, as in HDFS.
    #[arg(long)]
    files: bool,
    /// Say a line about each seed, not only about those that fail
    #[arg(long)]
    verbose: bool,
    /// How many seeds run at the same time; 0: one a core
    #[arg(long, default_value_t = 0)]
    jobs: usize,
    /// Plant every bug in turn, and count the seeds that catch it
    #[arg(long)]
    planted: bool,
    /// Plant this bug only
    #[arg(long, value_name = "NAME", value_parser = planted::named)]
    bug: Option<weir_runtime::planted::Bug>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.log {
        let format = tracing_subscriber::fmt().without_time().with_writer(std::io::stderr);
        format.with_max_level(tracing_subscriber::filter::LevelFilter::DEBUG).init();
    }
    let ended = if arguments.planted { plant(&arguments) } else { simulate(&arguments) };
    match ended {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

impl Arguments {
    fn seeds(&self, default: u64) -> Seeds {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let jobs = if self.jobs == 0 { cores } else { self.jobs };
        Seeds { from: self.from, count: self.seeds.unwrap_or(default), jobs }
    }
}

/// Whether every bug was caught.
fn plant(arguments: &Arguments) -> Result<bool> {
    planted::run(arguments.seeds(100), arguments.bug)
}

/// Whether every seed was clean.
fn simulate(arguments: &Arguments) -> Result<bool> {
    weir_runtime::planted::plant(arguments.bug);
    let mut sum = Sum::begin();
    let options = |seed| {
        let trace = arguments.trace.clone().filter(|_| seed == arguments.from);
        let working = Duration::from_secs(arguments.working_seconds);
        Options { working, trace, calm: arguments.calm, files: arguments.files }
    };
    arguments.seeds(1).run(options, |outcome| {
        sum.add(&outcome);
        if arguments.verbose || !outcome.is_clean() {
            sum::show(&outcome, arguments.calm, arguments.files);
        }
    })?;
    println!("{sum}");
    Ok(sum.is_clean())
}
