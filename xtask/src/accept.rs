//! Starts the long acceptance runs of `tests/acceptance`, against a release build of the server.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::command::{self, line, say};
use crate::setup;

/// What is passed on to the run; `--help` tells what it takes.
#[derive(clap::Args)]
pub(crate) struct Passed {
    /// Options of the run
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) arguments: Vec<String>,
}

/// Builds server and runner, then runs `name`, or what the first argument names.
///
/// # Errors
/// When the set-up or the build fails, or the run finds something wrong.
pub(crate) fn run(name: Option<&str>, passed: &Passed) -> Result<()> {
    setup::run(&[])?;
    let packages = ["-p", "weir", "-p", "weir-acceptance"];
    command::run(command::cargo().args(["build", "--release", "--bins"]).args(packages))?;
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| command::root().join("target"), std::path::PathBuf::from);
    let mut runner = Command::new(target.join("release/weir-acceptance"));
    runner.current_dir(command::root());
    runner.env("WEIR_TEST_BINARY", target.join("release/weir"));
    runner.args(name).args(&passed.arguments);
    say(line(&runner));
    // Figures go to standard output, so that they can be piped into a file.
    let status = runner.status().context("can't start the acceptance runner")?;
    if !status.success() {
        bail!("{} failed: {status}", line(&runner));
    }
    Ok(())
}
