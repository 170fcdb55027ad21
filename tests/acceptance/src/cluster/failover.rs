//! Brokers that die or stand still under load: how long until every partition acknowledges again.

use std::fmt;
use std::time::Duration;

use anyhow::{Result, ensure};
use weir_history::Verdict;
use weir_test_support::wait;

use super::{BROKERS, Setting, Traffic, TrafficSettings, percentile, start, until_even};
use crate::chance::Chance;

/// How long partitions may be without acknowledgements before a run is given up.
const GIVEN_UP: Duration = Duration::from_secs(90);
/// The longest that load runs between two failures, beyond what it takes to be even.
const STEADY_MS: u64 = 2_000;

/// What happens to the victims.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum How {
    /// `kill -9`.
    Kill,
    /// `SIGSTOP`, and `SIGCONT` when the others have taken over.
    Pause,
}

/// A run of failures.
#[derive(Clone, Copy, Debug)]
pub struct Failover {
    /// How many partitions there are.
    pub partitions: i32,
    /// How many brokers fail at once.
    pub victims: usize,
    /// What happens to them.
    pub how: How,
    /// How often.
    pub times: u32,
    /// Bytes a second of load.
    pub bytes_per_second: u64,
    /// Bytes a value.
    pub value_bytes: usize,
    /// Decides when they fail, and who.
    pub seed: u64,
}

/// What it came to.
#[derive(Debug)]
pub struct Report {
    run: Failover,
    /// For each failure when the slowest partition acknowledged again.
    slowest: Vec<Duration>,
    acknowledged: usize,
    verdict: Verdict,
}

impl Report {
    /// # Errors
    /// When a promise was broken.
    pub fn check(&self) -> Result<()> {
        ensure!(self.verdict.is_clean(), "promises were broken\n{self}");
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut sorted = self.slowest.clone();
        sorted.sort_unstable();
        let Failover { partitions, victims, how, times, .. } = self.run;
        writeln!(
            f,
            "{how:?} of {victims} of {} brokers, {times} times, {partitions} partitions: all \
             acknowledge again after {:.2?} (median), {:.2?} (p99), {} records acknowledged",
            BROKERS.len(),
            percentile(&sorted, 50.0),
            percentile(&sorted, 99.0),
            self.acknowledged
        )?;
        write!(f, "{}", self.verdict)
    }
}

impl Failover {
    /// Runs on a cluster of its own.
    ///
    /// # Errors
    /// When something fails that is no broken promise.
    pub fn run(self, setting: &Setting) -> Result<Report> {
        let Self { partitions, bytes_per_second, value_bytes, .. } = self;
        let mut cluster = start(setting, partitions)?;
        let settings = TrafficSettings { partitions, bytes_per_second, value_bytes };
        let traffic = Traffic::start(&cluster, settings)?;
        let mut chance = Chance::new(self.seed);
        let mut slowest = Vec::new();
        for time in 0..self.times {
            until_even(&cluster, partitions)?;
            let usually = traffic.acknowledged_again(traffic.now(), GIVEN_UP)?;
            wait::let_pass(Duration::from_millis(chance.below(STEADY_MS)));
            let first = chance.below(BROKERS.len() as u64) as usize;
            let victims = BROKERS.iter().cycle().skip(first).take(self.victims);
            let since = traffic.now();
            for victim in victims.clone() {
                match self.how {
                    How::Kill => cluster.kill9(*victim)?,
                    How::Pause => cluster.pause(*victim, true)?,
                }
            }
            let again = traffic.acknowledged_again(since, GIVEN_UP)?;
            let [median, last] = [50.0, 100.0].map(|part| percentile(&again, part));
            let usually = percentile(&usually, 100.0);
            eprintln!(
                "failure {time}: half of the partitions after {median:.2?}, all after {last:.2?} (without \
                 a failure {usually:.2?})"
            );
            slowest.push(last);
            for victim in victims {
                match self.how {
                    How::Kill => cluster.launch(*victim)?,
                    How::Pause => cluster.pause(*victim, false)?,
                }
            }
        }
        until_even(&cluster, partitions)?;
        let outcome = traffic.finish(&cluster)?;
        let acknowledged = outcome.acked.len();
        Ok(Report { run: self, slowest, acknowledged, verdict: outcome.verdict })
    }
}
