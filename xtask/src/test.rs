//! Runs every test and sums up: what a developer runs before a commit, and what CI runs.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::command::{self, Stopwatch, line, say};
use crate::{check, fuzz, setup, sim};

/// How long CI fuzzes each target: enough to show that a target builds and runs.
const CI_FUZZ_SECONDS: u32 = 15;

/// Sets up, builds and runs every test of the workspace, the client suites among them.
///
/// # Errors
/// When the set-up or the build fails, or a test does.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let watch = Stopwatch::start();
    setup::run(&[])?;
    // Built first, so that a broken build is not mistaken for a failed test.
    command::run(command::cargo().args(["test", "--workspace", "--no-run"]))?;
    let mut test = command::cargo();
    test.args(["test", "--workspace", "--no-fail-fast"]).args(arguments);
    let (counts, passed) = run_counting(&mut test)?;
    say(format!("tests took {:.0?}", watch.elapsed()));
    println!("{} passed, {} failed", counts.passed, counts.failed);
    if !passed {
        bail!("{} failed; the list under \"failures\" above names what did", line(&test));
    }
    if counts.passed == 0 && arguments.is_empty() {
        bail!("no test ran");
    }
    Ok(())
}

/// What CI runs: checks, a short round of every fuzz target, seeds of the simulation, and tests.
///
/// # Errors
/// The first step that fails.
pub(crate) fn ci() -> Result<()> {
    let watch = Stopwatch::start();
    setup::run(&[])?;
    check::run()?;
    if command::root().join("fuzz/fuzz_targets").is_dir() {
        fuzz::run(CI_FUZZ_SECONDS, &[])?;
    }
    sim::ci()?;
    run(&[])?; // Last, so that its summary closes the output.
    say(format!("all of it took {:.0?}", watch.elapsed()));
    Ok(())
}

/// The sums over all test binaries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    passed: u64,
    failed: u64,
}

/// Runs `test`, shows what it prints as it comes, and adds up its result lines.
fn run_counting(test: &mut Command) -> Result<(Counts, bool)> {
    say(line(test));
    let mut child = test.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let mut counts = Counts::default();
    let output = child.stdout.take().context("the tests' output is not piped")?;
    for text in BufReader::new(output).split(b'\n') {
        let text = String::from_utf8_lossy(&text?).into_owned();
        println!("{text}");
        add(&mut counts, &text);
    }
    Ok((counts, child.wait()?.success()))
}

/// Adds a line such as `test result: ok. 3 passed; 0 failed; 0 ignored; …`.
fn add(counts: &mut Counts, text: &str) {
    let Some(result) = text.strip_prefix("test result: ") else { return };
    for part in result.split(['.', ';']) {
        match part.trim().split_once(' ') {
            Some((number, "passed")) => counts.passed += number.parse().unwrap_or(0),
            Some((number, "failed")) => counts.failed += number.parse().unwrap_or(0),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn result_lines_are_added_up() {
        let mut counts = Counts::default();
        add(&mut counts, "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 1.0s");
        add(&mut counts, "test result: FAILED. 4 passed; 2 failed; 0 ignored; 0 measured");
        add(&mut counts, "running 9 passed; tests");
        assert_eq!(counts, Counts { passed: 7, failed: 2 });
    }
}
