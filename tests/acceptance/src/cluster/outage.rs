//! The metadata away, as a whole or just their leader: clients go on, and nothing fails over afterwards.

use std::time::Duration;

use anyhow::{Result, ensure};
use weir_test_support::wait;

use super::{Report, Scene, Setting, Spread, TrafficSettings, consumption::Consumption};

/// How long the cluster is watched when the metadata are back.
const AFTERWARDS: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_secs(1);
/// How long nothing may be acknowledged or read.
const STANDSTILL: Duration = Duration::from_secs(5);

/// An outage of etcd.
#[derive(Clone, Copy, Debug)]
pub struct Outage {
    /// How long; `None`: only its leader is killed, and comes back after a while.
    pub time: Option<Duration>,
    /// The load.
    pub load: TrafficSettings,
}

impl Outage {
    /// Runs on a cluster of its own.
    ///
    /// # Errors
    /// When something fails that is no broken promise, and when something fails over.
    pub fn run(self, setting: &Setting) -> Result<Report> {
        let mut scene = Scene::start(setting, self.load)?;
        let consumption = Consumption::start(&scene.cluster, self.load.partitions)?;
        scene.settle(STANDSTILL)?;
        let before = scene.operator().sessions()?;
        let since = scene.traffic.now();
        let time = self.time.unwrap_or(AFTERWARDS);
        let leader = scene.cluster.etcd().leader()?;
        match self.time {
            Some(_) => scene.cluster.etcd().stop()?,
            None => scene.cluster.etcd().kill9(leader)?,
        }
        watch(&scene, &consumption, time)?;
        scene.cluster.etcd().start_all()?;
        let back = scene.traffic.now();
        let during = Spread::of(scene.traffic.took(since, back));
        watch(&scene, &consumption, AFTERWARDS)?;
        let after = scene.operator().sessions()?;
        ensure!(before == after, "brokers have other sessions: {before:?} before, {after:?} after");
        let (read, errors) = (consumption.read(), consumption.finish()?);
        let outcome = scene.finish()?;
        ensure!(errors == 0, "a consumer was told of {errors} errors");
        let what = if self.time.is_some() { "etcd stopped" } else { "etcd's leader killed" };
        let figures = format!(
            "{what} for {:.0?}, {} partitions: records took {during}; {read} were read meanwhile and after; \
             no error, and the same sessions as before",
            back - since,
            self.load.partitions,
        );
        Ok(Report::new(figures, outcome.verdict))
    }
}

/// Sees that records are acknowledged and read for so long.
fn watch(scene: &Scene, consumption: &Consumption, time: Duration) -> Result<()> {
    let begun = scene.traffic.now();
    let (mut acknowledged, mut read, mut moved) = (0, 0, begun);
    while scene.traffic.now() - begun < time {
        wait::let_pass(LOOK);
        let now = scene.traffic.now();
        let (acked, seen) = (scene.traffic.acknowledged(), consumption.read());
        if acked > acknowledged && seen > read {
            (acknowledged, read, moved) = (acked, seen, now);
        }
        ensure!(now - moved < STANDSTILL, "clients stand still: {acked} acknowledged, {seen} read");
    }
    Ok(())
}
