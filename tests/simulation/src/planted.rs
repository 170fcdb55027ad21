//! Bugs that are planted, to see that they are caught, and in how many seeds.

use std::collections::BTreeMap;

use anyhow::Result;
use weir_runtime::planted::{Bug, plant};
use weir_simulation::{Failure, Options, Outcome};

use crate::seeds::Seeds;

/// In how many seeds a bug was caught.
#[derive(Default)]
struct Caught {
    seeds: Vec<u64>,
    /// How it showed.
    ways: BTreeMap<&'static str, u64>,
}

impl Caught {
    /// A run that is only too tame catches nothing.
    fn add(&mut self, outcome: &Outcome) {
        let caught = outcome.failures.iter().filter_map(way);
        let before = self.ways.values().sum::<u64>();
        caught.for_each(|way| *self.ways.entry(way).or_default() += 1);
        if self.ways.values().sum::<u64>() > before {
            self.seeds.push(outcome.seed);
        }
    }
}

fn way(failure: &Failure) -> Option<&'static str> {
    match failure {
        Failure::Broken(_) => Some("broken promise"),
        Failure::Stuck(_) => Some("stuck"),
        Failure::Outrage(_) => Some("outrage"),
        Failure::Panic(_) => Some("panic"),
        Failure::Missing(_) => Some("missing"),
        Failure::Orphans(_) => Some("orphans"),
        Failure::Tame(_) => None,
    }
}

/// The bug of this name.
pub(crate) fn named(name: &str) -> Result<Bug, String> {
    let known = Bug::ALL.map(|bug| format!("{bug:?}"));
    let place = known.iter().position(|known| known.eq_ignore_ascii_case(name));
    place.map(|place| Bug::ALL[place]).ok_or_else(|| format!("known are {}", known.join(", ")))
}

/// Plants `bug`, or each in turn, and runs the same seeds with it. Whether every one was caught.
pub(crate) fn run(seeds: Seeds, bug: Option<Bug>) -> Result<bool> {
    let bugs = bug.map_or_else(|| Bug::ALL.to_vec(), |bug| vec![bug]);
    let (mut missed, planted) = (Vec::new(), bugs.len());
    println!(
        "| planted bug | caught in, of {} seeds | first | shows as |\n|---|---|---|---|",
        seeds.count
    );
    for bug in bugs {
        plant(Some(bug));
        let mut caught = Caught::default();
        seeds.run(|_| Options::default(), |outcome| caught.add(&outcome))?;
        plant(None);
        let ways: Vec<String> =
            caught.ways.iter().map(|(way, count)| format!("{way} {count}")).collect();
        let first = caught.seeds.iter().min().map_or_else(|| "-".to_owned(), u64::to_string);
        println!("| {bug:?} | {} | {first} | {} |", caught.seeds.len(), ways.join(", "));
        if caught.seeds.is_empty() {
            missed.push(format!("{bug:?}"));
        }
    }
    let caught = planted - missed.len();
    println!("{caught} of {planted} planted bugs caught; missed: {}", missed.join(", "));
    Ok(missed.is_empty())
}
