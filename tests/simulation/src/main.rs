//! Runs seeds of the simulation, several at a time, and sums up.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    process::ExitCode,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::Result;
use clap::Parser;
use weir_simulation::{Options, Outcome, run};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Runs seeds of the simulation. Exits with an error when one of them fails.
#[derive(Parser)]
struct Arguments {
    /// How many seeds
    #[arg(long, default_value_t = 1)]
    seeds: u64,
    /// The first
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Write the trace of the first seed here
    #[arg(long)]
    trace: Option<PathBuf>,
    /// Without faults
    #[arg(long)]
    calm: bool,
    /// Say a line about each seed, not only about those that fail
    #[arg(long)]
    verbose: bool,
    /// How many seeds run at the same time; 0: one a core
    #[arg(long, default_value_t = 0)]
    jobs: usize,
}

/// What all seeds came to.
#[derive(Default)]
struct Sum {
    seeds: u64,
    failed: u64,
    simulated: Duration,
    acknowledged: u64,
    moves: u64,
    fired: BTreeMap<&'static str, u64>,
}

impl Sum {
    fn add(&mut self, outcome: &Outcome) {
        self.seeds += 1;
        self.failed += u64::from(!outcome.is_clean());
        self.simulated += outcome.simulated;
        self.acknowledged += outcome.acknowledged;
        self.moves += outcome.ownership_changes;
        for (kind, count) in &outcome.fired {
            *self.fired.entry(kind).or_default() += count;
        }
    }

    fn print(&self, took: Duration) {
        let faults: Vec<String> =
            self.fired.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
        println!(
            "{} seeds, {} failed, {:.2} simulated hours in {:.0} s, {} acknowledged records, \
             {} changes of ownership; faults: {}",
            self.seeds,
            self.failed,
            self.simulated.as_secs_f64() / 3600.0,
            took.as_secs_f64(),
            self.acknowledged,
            self.moves,
            faults.join(", "),
        );
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match simulate(&arguments) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs all seeds; how many failed.
fn simulate(arguments: &Arguments) -> Result<u64> {
    #[expect(clippy::disallowed_methods, reason = "how long it really takes")]
    let began = std::time::Instant::now();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let jobs = if arguments.jobs == 0 { cores } else { arguments.jobs };
    let (next, sum) = (AtomicU64::new(arguments.from), Mutex::new(Sum::default()));
    let end = arguments.from + arguments.seeds;
    let work = || -> Result<()> {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= end {
                return Ok(());
            }
            let trace = arguments.trace.clone().filter(|_| seed == arguments.from);
            let outcome = run(seed, &Options { trace, calm: arguments.calm })?;
            let mut sum = sum.lock().unwrap_or_else(PoisonError::into_inner);
            sum.add(&outcome);
            show(&outcome, arguments);
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| match worker.join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    })?;
    let sum = sum.into_inner().unwrap_or_else(PoisonError::into_inner);
    sum.print(began.elapsed());
    Ok(sum.failed)
}

fn show(outcome: &Outcome, arguments: &Arguments) {
    if arguments.verbose {
        println!(
            "seed {}: {} {:.1} s, {} acked, {} events, {} owners, {} lives",
            outcome.seed,
            outcome.digest,
            outcome.simulated.as_secs_f64(),
            outcome.acknowledged,
            outcome.events,
            outcome.ownership_changes,
            outcome.lives,
        );
    }
    if outcome.is_clean() {
        return;
    }
    let calm = if arguments.calm { " --calm" } else { "" };
    let seed = outcome.seed;
    println!(
        "seed {seed} FAILED; replay: cargo xtask sim --from {seed}{calm} --trace {seed}.trace"
    );
    for failure in &outcome.failures {
        println!("  {failure}");
    }
}
