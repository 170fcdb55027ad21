//! Every node restarted in order, one after the other, under load: how long a client waits.

use std::fmt;
use std::time::Duration;

use anyhow::{Result, ensure};
use weir_history::Verdict;

use super::{ROLES, Setting, Traffic, TrafficSettings, percentile, start, until_even};

/// A rolling restart.
#[derive(Clone, Copy, Debug)]
pub struct Rolling {
    /// How many partitions there are.
    pub partitions: i32,
    /// How often each node is restarted.
    pub rounds: u32,
    /// Bytes a second of load.
    pub bytes_per_second: u64,
    /// Bytes a value.
    pub value_bytes: usize,
}

/// What it came to.
#[derive(Debug)]
pub struct Report {
    run: Rolling,
    /// How long each record took, sorted.
    took: Vec<Duration>,
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
        let [p50, p99, p9999, most] =
            [50.0, 99.0, 99.99, 100.0].map(|it| percentile(&self.took, it));
        writeln!(
            f,
            "{} rolling restarts of {} nodes, {} partitions, {} records: p50 {p50:.2?}, p99 {p99:.2?}, \
             p99.99 {p9999:.2?}, longest {most:.2?}",
            self.run.rounds,
            ROLES.len(),
            self.run.partitions,
            self.took.len()
        )?;
        write!(f, "{}", self.verdict)
    }
}

impl Rolling {
    /// Runs on a cluster of its own. A record that a client could not deliver is an error.
    ///
    /// # Errors
    /// When something fails that is no broken promise.
    pub fn run(self, setting: &Setting) -> Result<Report> {
        let Self { partitions, bytes_per_second, value_bytes, .. } = self;
        let mut cluster = start(setting, partitions)?;
        let settings = TrafficSettings { partitions, bytes_per_second, value_bytes };
        let traffic = Traffic::start(&cluster, settings)?;
        for _ in 0..self.rounds {
            for node in (1..).take(ROLES.len()) {
                until_even(&cluster, partitions)?;
                let since = traffic.now();
                let status = cluster.stop(node)?;
                ensure!(
                    status.success(),
                    "node {node} ended with {status}: {}",
                    cluster.tail(node)
                );
                let stopped = traffic.now();
                cluster.launch(node)?;
                cluster.wait_until_ready(node)?;
                until_even(&cluster, partitions)?;
                let even = traffic.now();
                let took = traffic.took(since, even);
                eprintln!(
                    "node {node} ({}): down after {:.2?}, even after {:.2?}; a record took {:.2?} at most",
                    ROLES[node as usize - 1].join(", "),
                    stopped - since,
                    even - since,
                    percentile(&took, 100.0)
                );
            }
        }
        let outcome = traffic.finish(&cluster)?;
        let mut took: Vec<Duration> =
            outcome.acked.iter().map(|it| it.acknowledged - it.handed_over).collect();
        took.sort_unstable();
        Ok(Report { run: self, took, verdict: outcome.verdict })
    }
}
