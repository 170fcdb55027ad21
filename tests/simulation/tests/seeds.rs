//! A few seeds, and the same seed twice.

use std::process::Command;

use weir_simulation::{Options, run};

#[test]
fn a_calm_run_is_clean() {
    let outcome = run(1, &Options { calm: true, ..Options::default() }).unwrap();
    assert!(outcome.is_clean(), "{:?}", outcome.failures);
    assert!(outcome.is_long_enough() && outcome.acknowledged > 1000, "{outcome:?}");
}

#[test]
fn the_same_seed_is_the_same_run() {
    let (one, other) = (run(2, &Options::default()).unwrap(), run(2, &Options::default()).unwrap());
    assert_eq!(one.digest, other.digest);
    assert_ne!(one.digest, run(3, &Options::default()).unwrap().digest);
}

/// Hash maps have other seeds in another process.
#[test]
fn the_same_seed_is_the_same_run_in_another_process() {
    let here = run(4, &Options::default()).unwrap();
    let program = env!("CARGO_BIN_EXE_weir-simulation");
    let there = Command::new(program).args(["--from", "4", "--verbose"]).output().unwrap();
    let said = String::from_utf8(there.stdout).unwrap();
    let wanted = format!("seed 4: {} ", here.digest);
    assert!(said.contains(&wanted), "{wanted:?} is not in {said:?}");
}
