//! Runs the fuzz targets of `fuzz/` through cargo-fuzz.
//!
//! Without a sanitizer, for the crates deny unsafe code: coverage guides the fuzzer, and what counts
//! as a finding is a panic, a run over [`RUN_SECONDS`], or more memory than [`MEMORY_MIB`]. So the
//! stable toolchain that builds Weir is enough.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::command::{self, root, say};

/// Memory that no input may drive a target beyond.
const MEMORY_MIB: u32 = 512;
/// Longest time that one input may take.
const RUN_SECONDS: u32 = 10;
/// The version that is installed where cargo-fuzz is missing.
const CARGO_FUZZ: &str = "0.13.1";

/// Runs each of `targets`, or all of them, for `seconds`.
///
/// # Errors
/// The first target that finds something, with where the input is.
pub(crate) fn run(seconds: u32, targets: &[String]) -> Result<()> {
    let known = known()?;
    if let Some(other) = targets.iter().find(|target| !known.contains(target)) {
        bail!("no fuzz target {other}; there are {}", known.join(", "));
    }
    let cargo_fuzz = installed()?;
    if known.iter().any(|target| !root().join("fuzz/corpus").join(target).is_dir()) {
        let mut seeds = command::cargo();
        seeds.args(["run", "--quiet", "--manifest-path", "fuzz/Cargo.toml", "--example", "seeds"]);
        command::run(&mut seeds).context("can't make the seeds that targets begin with")?;
    }
    for target in if targets.is_empty() { &known } else { targets } {
        say(format!("fuzzing {target} for {seconds} s"));
        let mut fuzz = Command::new(&cargo_fuzz);
        fuzz.current_dir(root()).args(["fuzz", "run", "--sanitizer", "none", target, "--"]);
        fuzz.arg(format!("-max_total_time={seconds}"));
        fuzz.arg(format!("-rss_limit_mb={MEMORY_MIB}"));
        fuzz.arg(format!("-timeout={RUN_SECONDS}"));
        fuzz.args(["-print_final_stats=1", "-verbosity=0"]);
        command::run(&mut fuzz)
            .with_context(|| format!("{target} found an input: see fuzz/artifacts/{target}"))?;
    }
    Ok(())
}

/// The targets, by the names of their files.
fn known() -> Result<Vec<String>> {
    let folder = root().join("fuzz/fuzz_targets");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&folder).with_context(|| format!("{}", folder.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            names.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
        }
    }
    names.sort();
    Ok(names)
}

/// The cargo-fuzz program, installed into the cache when `PATH` has none.
fn installed() -> Result<std::path::PathBuf> {
    if command::in_path("cargo-fuzz") {
        return Ok("cargo-fuzz".into());
    }
    let place = weir_test_cache::cache_dir().join(format!("cargo-fuzz-{CARGO_FUZZ}"));
    let program = place.join("bin/cargo-fuzz");
    if !program.is_file() {
        command::run(
            Command::new("cargo")
                .args(["install", "--quiet", "--locked", "cargo-fuzz", "--version", CARGO_FUZZ])
                .arg("--root")
                .arg(&place),
        )?;
    }
    Ok(program)
}
