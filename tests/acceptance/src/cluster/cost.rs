//! What a load costs: requests to the store, and writes of the metadata.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use weir_test_support::wait;

use super::{Report, Scene, Setting, TrafficSettings};

/// How long load runs before anything is counted.
const WARM: Duration = Duration::from_secs(10);
/// How long the cluster has to write down what is left when load has ended.
const WRITTEN_DOWN: Duration = Duration::from_secs(45);
/// How long it is then watched.
const IDLE: Duration = Duration::from_secs(60);

/// A load that is counted.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// How long.
    pub time: Duration,
    /// How many brokers have partitions: the fewer, the fuller are their slots.
    pub brokers: usize,
    /// The load.
    pub load: TrafficSettings,
}

/// What has been counted up to a moment.
struct Counts {
    at: Duration,
    store: BTreeMap<String, u64>,
    /// Writes of the metadata.
    revision: u64,
    acknowledged: usize,
}

impl Cost {
    /// Runs on a cluster of its own.
    ///
    /// # Errors
    /// When something fails that is no broken promise.
    pub fn run(self, setting: &Setting) -> Result<Report> {
        let mut scene = Scene::start(setting, self.load)?;
        scene.leave_all_to(self.brokers)?;
        scene.go_on(WARM)?;
        let before = count(&mut scene)?;
        wait::let_pass(self.time);
        let after = count(&mut scene)?;
        let seconds = (after.at - before.at).as_secs_f64();
        let records = (after.acknowledged - before.acknowledged) as f64;
        let gib = records * self.load.value_bytes as f64 / f64::from(1 << 30);
        let asked = |kind: &str| {
            let of = |counts: &Counts| counts.store.get(kind).copied().unwrap_or(0);
            (of(&after) - of(&before)) as f64
        };
        let (puts, log, gets) = (asked("put"), asked("put_wal"), asked("get"));
        let figures = format!(
            "{} brokers, {} partitions, {:.1} MiB/s: a GiB costs {:.0} puts for the log, {:.0} in all and {:.0} \
             gets; {:.1} puts a second, {:.2} writes of the metadata a second",
            self.brokers,
            self.load.partitions,
            gib * 1024.0 / seconds,
            log / gib,
            puts / gib,
            gets / gib,
            puts / seconds,
            (after.revision - before.revision) as f64 / seconds,
        );
        self.end(scene, figures)
    }

    fn end(self, scene: Scene, figures: String) -> Result<Report> {
        let Scene { mut cluster, traffic, .. } = scene;
        let outcome = traffic.finish(&cluster)?;
        wait::let_pass(WRITTEN_DOWN);
        let store = |cluster: &weir_test_support::Cluster| {
            cluster.s3().context("the store does not count")?.counts()
        };
        let (before, revision) = (store(&cluster)?, cluster.etcd().revision()?);
        wait::let_pass(IDLE);
        let (after, now) = (store(&cluster)?, cluster.etcd().revision()?);
        let idle = after.get("put").unwrap_or(&0) - before.get("put").unwrap_or(&0);
        let writes = now - revision;
        ensure!(idle == 0, "{figures}\n{idle} puts in {IDLE:?} without load");
        let figures = format!(
            "{figures}; without load no put and {writes} writes of the metadata in {IDLE:?}"
        );
        Ok(Report::new(figures, outcome.verdict))
    }
}

fn count(scene: &mut Scene) -> Result<Counts> {
    Ok(Counts {
        at: scene.traffic.now(),
        store: scene.cluster.s3().context("the store does not count")?.counts()?,
        revision: scene.cluster.etcd().revision()?,
        acknowledged: scene.traffic.acknowledged(),
    })
}
