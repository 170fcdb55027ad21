//! Runs the simulation of `tests/simulation`.

use anyhow::Result;

use crate::accept::Passed;
use crate::command;

/// How many seeds CI runs …
const CI_SEEDS: &str = "200";
/// … and how many with write-ahead logs in files.
const CI_SEEDS_OF_FILES: &str = "60";

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
    run_with(&["--seeds", CI_SEEDS])?;
    run_with(&["--seeds", CI_SEEDS_OF_FILES, "--files"])
}

fn run_with<S: AsRef<std::ffi::OsStr>>(arguments: &[S]) -> Result<()> {
    let mut sim = command::cargo();
    sim.args(["run", "--profile", "simulation", "--quiet", "-p", "weir-simulation", "--"]);
    command::run(sim.args(arguments))
}
