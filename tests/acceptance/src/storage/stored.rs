//! What lies in the store, and what was written to it, of what was produced.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use weir_test_support::{Cluster, wait};

use crate::cluster::{self, BROKERS, Scene, Setting, TrafficSettings};

/// How often the store is looked at while garbage is collected.
const LOOK: Duration = Duration::from_secs(2);
/// How long the cluster has to write down what is left when load has ended.
const WRITTEN_DOWN: Duration = Duration::from_secs(45);

/// Such a run.
#[derive(Clone, Copy, Debug)]
pub struct Stored {
    /// How long load runs.
    pub time: Duration,
    /// For how long nothing may have been collected before that counts as the end of it.
    pub still: Duration,
    /// How many brokers have partitions.
    pub brokers: usize,
    /// The load.
    pub load: TrafficSettings,
}

impl Stored {
    /// Runs on a cluster of its own.
    ///
    /// # Errors
    /// When something fails that is no broken promise.
    pub fn run(self, setting: &Setting) -> Result<cluster::Report> {
        let scene = Scene::start(setting, self.load)?;
        scene.leave_all_to(self.brokers)?;
        let (began, mut shown) = (scene.traffic.now(), Duration::ZERO);
        // Nodes look what the store can do when they start.
        let before = counts(&scene.cluster)?;
        let counts = |cluster: &Cluster| counts(cluster).map(|now| less(now, &before));
        while shown < self.time {
            wait::let_pass((self.time / 10).min(self.time - shown));
            shown = scene.traffic.now() - began;
            let produced = self.produced(scene.traffic.acknowledged());
            eprintln!("after {shown:.0?}: {}", figures(&counts(&scene.cluster)?, produced));
        }
        let Scene { cluster, traffic, .. } = scene;
        let outcome = traffic.finish(&cluster)?;
        wait::let_pass(WRITTEN_DOWN);
        self.at_rest(&cluster)?;
        let counts = counts(&cluster)?;
        let produced = self.produced(outcome.acked.len());
        let written = |metric| -> Result<f64> {
            let sum = BROKERS.iter().map(|it| cluster.metric(*it, metric)).sum::<Result<u64>>()?;
            Ok(sum as f64 / produced)
        };
        let figures = format!(
            "{} partitions, {} brokers, {:.2} GiB of values at {:.1} MiB/s: {}; of a byte of values {:.2} of \
             batches were made durable, {:.2} gathered by checkpoints, {:.2} folded",
            self.load.partitions,
            self.brokers,
            produced / f64::from(1 << 30),
            produced / f64::from(1 << 20) / self.time.as_secs_f64(),
            figures(&counts, produced),
            written("weir_broker_wal_records_bytes_total")?,
            written("weir_broker_sorted_bytes_total")?,
            written("weir_broker_folded_bytes_total")?,
        );
        Ok(cluster::Report::new(figures, outcome.verdict))
    }

    fn produced(&self, records: usize) -> f64 {
        records as f64 * self.load.value_bytes as f64
    }

    /// Waits until the store has not got smaller for long.
    fn at_rest(&self, cluster: &Cluster) -> Result<()> {
        let (mut last, mut still) = (counts(cluster)?, Duration::ZERO);
        while still < self.still {
            wait::let_pass(LOOK);
            let now = counts(cluster)?;
            let same = now.get("stored_bytes") == last.get("stored_bytes");
            still = if same { still + LOOK } else { Duration::ZERO };
            last = now;
        }
        Ok(())
    }
}

/// What has been counted since.
fn less(mut now: BTreeMap<String, u64>, before: &BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    for (kind, count) in &mut now {
        *count = count.saturating_sub(before.get(kind).copied().unwrap_or(0));
    }
    now
}

fn counts(cluster: &Cluster) -> Result<BTreeMap<String, u64>> {
    cluster.s3().context("the store does not count")?.counts()
}

fn figures(counts: &BTreeMap<String, u64>, produced: f64) -> String {
    let count = |kind: &str| counts.get(kind).copied().unwrap_or(0) as f64;
    let gib = produced / f64::from(1 << 30);
    format!(
        "{:.2} bytes stored and {:.2} written a byte, {:.0} puts a GiB, {:.0} of them for the log; {} objects",
        count("stored_bytes") / produced,
        count("put_bytes") / produced,
        count("put") / gib,
        count("put_wal") / gib,
        count("objects"),
    )
}
