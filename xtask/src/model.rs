//! Explores the models of `tests/model`.

use anyhow::Result;

use crate::accept::Passed;
use crate::command;

/// Runs the models in a release build: they explore tens of millions of states.
///
/// # Errors
/// When a model is falsified, or a planted bug is not caught.
pub(crate) fn run(passed: &Passed) -> Result<()> {
    let mut models = command::cargo();
    models.args(["run", "--release", "--quiet", "-p", "weir-model", "--"]).args(&passed.arguments);
    command::run(&mut models)
}
