//! HDFS under a cluster loses a DataNode, has one that hangs, and loses its NameNode, under load.

use std::time::Duration;

use anyhow::{Context, Result};
use weir_test_support::{Hdfs, wait};

use super::{Report, Scene, Setting, Spread, TrafficSettings};

/// How long load runs before anything counts.
const WARM: Duration = Duration::from_secs(10);
/// How long partitions may be without acknowledgements before a run is given up.
const GIVEN_UP: Duration = Duration::from_secs(120);

/// A run of such faults, one after the other, each of them healed before the next.
#[derive(Clone, Copy, Debug)]
pub struct Datanodes {
    /// How long load runs in each of them.
    pub time: Duration,
    /// The load.
    pub load: TrafficSettings,
}

impl Datanodes {
    /// Runs on a cluster of its own.
    ///
    /// # Errors
    /// When something fails that is no broken promise.
    pub fn run(self, setting: &Setting) -> Result<Report> {
        let mut scene = Scene::start(setting, self.load)?;
        scene.settle(WARM)?;
        let usually = self.during(&mut scene, |_| Ok(()))?;
        let dead = self.during(&mut scene, |hdfs| hdfs.kill_datanode(0))?;
        self.during(&mut scene, |hdfs| hdfs.restart_datanode(0))?;
        let hung = self.during(&mut scene, |hdfs| hdfs.pause_datanode(1))?;
        self.during(&mut scene, |hdfs| hdfs.resume_datanode(1))?;
        let away = scene.traffic.now();
        hdfs(&mut scene)?.kill_namenode()?;
        wait::let_pass(self.time);
        hdfs(&mut scene)?.restart_namenode()?;
        let back = scene.traffic.now();
        let again = Spread::of(scene.traffic.acknowledged_again(back, GIVEN_UP)?).most();
        scene.go_on(self.time)?;
        let listing = hdfs(&mut scene)?.ls_r("/weir")?;
        eprintln!("{listing}");
        let outcome = scene.finish()?;
        let figures = format!(
            "{} partitions: records took {usually}; with a DataNode dead {dead}; with one hung {hung}; the \
             NameNode away for {:.0?}: all acknowledge again after {again:.2?}; {} records acknowledged",
            self.load.partitions,
            back - away,
            outcome.acked.len()
        );
        Ok(Report::new(figures, outcome.verdict))
    }

    /// What records take from a fault on.
    fn during(&self, scene: &mut Scene, fault: impl Fn(&mut Hdfs) -> Result<()>) -> Result<Spread> {
        let since = scene.traffic.now();
        fault(hdfs(scene)?)?;
        wait::let_pass(self.time);
        scene.traffic.acknowledged_again(scene.traffic.now(), GIVEN_UP)?;
        Ok(Spread::of(scene.traffic.took(since, scene.traffic.now())))
    }
}

fn hdfs(scene: &mut Scene) -> Result<&mut Hdfs> {
    scene.cluster.hdfs().context("this is a run over HDFS: --store hdfs")
}
