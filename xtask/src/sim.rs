//! Runs the simulation of `tests/simulation`.

use anyhow::Result;

use crate::accept::Passed;
use crate::command;

/// Runs seeds in an optimised build that is quick to make.
///
/// # Errors
/// When a seed fails; the line that replays it is in what is printed.
pub(crate) fn run(passed: &Passed) -> Result<()> {
    let mut sim = command::cargo();
    sim.args(["run", "--profile", "simulation", "--quiet", "-p", "weir-simulation", "--"]);
    command::run(sim.args(&passed.arguments))
}
