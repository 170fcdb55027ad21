//! What many seeds came to.

use std::{
    collections::BTreeMap,
    fmt,
    time::{Duration, Instant},
};

use weir_simulation::Outcome;

/// What all seeds came to.
pub(crate) struct Sum {
    began: Instant,
    seeds: u64,
    failed: u64,
    simulated: Duration,
    acknowledged: u64,
    moves: u64,
    fired: BTreeMap<&'static str, u64>,
}

impl Sum {
    pub(crate) fn begin() -> Self {
        #[expect(clippy::disallowed_methods, reason = "how long it really takes")]
        let began = Instant::now();
        let (simulated, fired) = Default::default();
        Self { began, seeds: 0, failed: 0, simulated, acknowledged: 0, moves: 0, fired }
    }

    pub(crate) fn add(&mut self, outcome: &Outcome) {
        self.seeds += 1;
        self.failed += u64::from(!outcome.is_clean());
        self.simulated += outcome.simulated;
        self.acknowledged += outcome.acknowledged;
        self.moves += outcome.ownership_changes;
        for (kind, count) in &outcome.fired {
            *self.fired.entry(kind).or_default() += count;
        }
    }

    pub(crate) fn is_clean(&self) -> bool {
        self.failed == 0
    }
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let faults: Vec<String> =
            self.fired.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
        write!(
            f,
            "{} seeds, {} failed, {:.2} simulated hours in {:.0} s, {} acknowledged records, \
             {} changes of ownership; faults: {}",
            self.seeds,
            self.failed,
            self.simulated.as_secs_f64() / 3600.0,
            self.began.elapsed().as_secs_f64(),
            self.acknowledged,
            self.moves,
            faults.join(", "),
        )
    }
}

/// Says what a seed came to, and how it is run again if it failed.
pub(crate) fn show(outcome: &Outcome, calm: bool, files: bool) {
    let seed = outcome.seed;
    println!(
        "seed {seed}: {} {:.1} s, {} acked, {} events, {} owners, {} lives",
        outcome.digest,
        outcome.simulated.as_secs_f64(),
        outcome.acknowledged,
        outcome.events,
        outcome.ownership_changes,
        outcome.lives,
    );
    if outcome.is_clean() {
        return;
    }
    let calm = if calm { " --calm" } else { "" };
    let files = if files { " --files" } else { "" };
    println!(
        "seed {seed} FAILED; replay: cargo xtask sim --from {seed}{calm}{files} --trace {seed}.trace"
    );
    for failure in &outcome.failures {
        println!("  {failure}");
    }
}
