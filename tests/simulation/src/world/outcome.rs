//! What a run came to.

use std::{collections::BTreeMap, fmt, time::Duration};

use crate::Digest;

/// What a run must have seen to be worth something.
const ACKNOWLEDGED_MIN: u64 = 1_000;
const FAULTS_MIN: u64 = 5;
const SIMULATED_MIN: Duration = Duration::from_secs(60);

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// A promise was broken.
    Broken(String),
    /// Something does not come to an end although everything is healthy.
    Stuck(String),
    /// A client was told what no client should ever be told.
    Outrage(String),
    /// An assertion failed.
    Panic(String),
    /// In the end something is not there, or not as it was written.
    Missing(String),
    /// In the end there is something in the store that nobody needs, and nobody clears it away.
    Orphans(String),
    /// Too little happened.
    Tame(String),
}

/// What a run came to.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Its seed.
    pub seed: u64,
    /// Of its trace.
    pub digest: Digest,
    /// What went wrong; nothing, if it is clean.
    pub failures: Vec<Failure>,
    /// How long it took, in its own time.
    pub simulated: Duration,
    /// How many records were acknowledged.
    pub acknowledged: u64,
    /// How many events clients have recorded.
    pub events: u64,
    /// How often a partition has changed its owner.
    pub ownership_changes: u64,
    /// How many processes there were.
    pub lives: u32,
    /// How often each kind of fault has fired.
    pub fired: BTreeMap<&'static str, u64>,
}

impl Outcome {
    /// Whether nothing went wrong.
    pub fn is_clean(&self) -> bool {
        self.failures.is_empty()
    }

    /// A clean run in which too little happened is a failure too.
    pub(super) fn judge_tameness(&mut self, calm: bool) {
        if calm || !self.failures.is_empty() {
            return;
        }
        let faults: u64 = self.fired.values().sum();
        let tame = self.acknowledged < ACKNOWLEDGED_MIN
            || faults < FAULTS_MIN
            || self.ownership_changes == 0;
        if tame {
            let Self { acknowledged, ownership_changes, .. } = self;
            self.failures.push(Failure::Tame(format!(
                "{acknowledged} acknowledged, {faults} faults, {ownership_changes} changes of ownership"
            )));
        }
    }

    /// Whether it lasted as long as it should.
    pub fn is_long_enough(&self) -> bool {
        self.simulated >= SIMULATED_MIN
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken(what) => write!(f, "broken promises:\n{what}"),
            Self::Stuck(what) => write!(f, "stuck: {what}"),
            Self::Outrage(what) => write!(f, "outrage: {what}"),
            Self::Panic(what) => write!(f, "panic: {what}"),
            Self::Missing(what) => write!(f, "missing:\n{what}"),
            Self::Orphans(names) => write!(f, "nobody clears away:\n{names}"),
            Self::Tame(what) => write!(f, "too tame: {what}"),
        }
    }
}
