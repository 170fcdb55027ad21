//! What a developer or CI runs.
//!
//! Every step that a person would have to remember is a command here: setting up the clients and
//! servers that tests need, running all tests, checking the style that a program can check, fuzzing,
//! and the long acceptance runs. It stays small and quick to compile: whatever needs a Kafka client or
//! Weir's own crates lives in `tests/acceptance`, and is only started from here.

mod accept;
mod check;
mod command;
mod fuzz;
mod model;
mod setup;
mod sim;
mod test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The tasks of this repository.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Install and download what tests need; does nothing when all is there
    Setup {
        /// Only these: debian, kafka, python, node, java
        what: Vec<setup::Part>,
    },
    /// Set up, build, and run every test
    Test {
        /// Passed on to `cargo test`, such as a test's name
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Check the style that a program can check
    Check,
    /// What CI runs: check, a short round of fuzzing, seeds of the simulation, test
    Ci,
    /// Run fuzz targets for a while
    Fuzz {
        /// How long each target runs
        #[arg(long, default_value_t = 60)]
        seconds: u32,
        /// Which; all when none is named
        targets: Vec<String>,
    },
    /// Explore the models of the protocols; with --planted, their planted bugs
    Model(accept::Passed),
    /// Simulate whole clusters under faults, a seed each: --seeds N [--from SEED]; with --planted, their
    /// planted bugs
    Sim(accept::Passed),
    /// Kill -9 the server under load, again and again, and judge what is read back
    Kill9(accept::Passed),
    /// A long acceptance run that prints figures; without a name, lists them
    Accept(accept::Passed),
    /// Produce and consume beside Apache Kafka and beside what the machine can do
    BenchFirst(accept::Passed),
}

fn main() -> ExitCode {
    let done = match Arguments::parse().task {
        Task::Setup { what } => setup::run(&what),
        Task::Test { arguments } => test::run(&arguments),
        Task::Check => check::run(),
        Task::Ci => test::ci(),
        Task::Fuzz { seconds, targets } => fuzz::run(seconds, &targets),
        Task::Model(passed) => model::run(&passed),
        Task::Sim(passed) => sim::run(&passed),
        Task::Kill9(passed) => accept::run(Some("kill9"), &passed),
        Task::Accept(passed) => accept::run(None, &passed),
        Task::BenchFirst(passed) => accept::run(Some("bench-first"), &passed),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
