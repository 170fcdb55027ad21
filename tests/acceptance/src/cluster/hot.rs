//! One partition with a large part of all load: how often partitions move because of it.

use std::time::Duration;

use anyhow::{Result, ensure};
use weir_test_support::wait;

use super::{Report, Scene, Setting, Spread, TOPIC, TrafficSettings};

/// How often placement is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// A hot partition.
#[derive(Clone, Copy, Debug)]
pub struct Hot {
    /// How long it is watched.
    pub time: Duration,
    /// The last part of that, in which nothing may move.
    pub quiet: Duration,
    /// The load; [`TrafficSettings::hot`] says how hot.
    pub load: TrafficSettings,
}

impl Hot {
    /// Runs on a cluster of its own.
    ///
    /// # Errors
    /// When something fails that is no broken promise.
    pub fn run(self, setting: &Setting) -> Result<Report> {
        let scene = Scene::start(setting, self.load)?;
        let operator = scene.operator();
        let since = scene.traffic.now();
        let mut placement = operator.placement(TOPIC)?;
        let (mut moves, mut last) = (0, since);
        while scene.traffic.now() - since < self.time {
            wait::let_pass(LOOK);
            let now = operator.placement(TOPIC)?;
            for (partition, (before, after)) in placement.iter().zip(&now).enumerate() {
                if before != after {
                    (moves, last) = (moves + 1, scene.traffic.now());
                    let at = last - since;
                    eprintln!("{at:.2?}: partition {partition} moves from {before} to {after}");
                }
            }
            placement = now;
        }
        let quiet = scene.traffic.now() - last;
        let took = Spread::of(scene.traffic.took(since, scene.traffic.now()));
        let outcome = scene.finish()?;
        ensure!(quiet >= self.quiet, "a partition moved {quiet:.2?} ago; {moves} moves in all");
        let figures = format!(
            "{} partitions, one with {:.0} % of the load: {moves} moves, then {quiet:.2?} without; records \
             took {took}",
            self.load.partitions,
            self.load.hot * 100.0
        );
        Ok(Report::new(figures, outcome.verdict))
    }
}
