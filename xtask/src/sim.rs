//! Runs the simulation of `tests/simulation`.

use anyhow::Result;

use crate::accept::Passed;
use crate::command;

/// How many seeds CI runs.
const CI_SEEDS: u32 = 200;

/// Runs seeds in an optimised build that is quick to make.
///
/// # Errors
/// When a seed fails; the line that replays it is in what is printed.
pub(crate) fn run(passed: &Passed) -> Result<()> {
    run_with(&passed.arguments)
}

/// The seeds that CI runs.
///
/// # Errors
/// As [`run`].
pub(crate) fn ci() -> Result<()> {
    run_with(&["--seeds".to_owned(), CI_SEEDS.to_string()])
}

fn run_with(arguments: &[String]) -> Result<()> {
    let mut sim = command::cargo();
    sim.args(["run", "--profile", "simulation", "--quiet", "-p", "weir-simulation", "--"]);
    command::run(sim.args(arguments))
}
