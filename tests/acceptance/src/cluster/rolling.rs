//! Every node restarted in order, one after the other, under load: how long a client waits.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::{ROLES, Report, Scene, Setting, Spread, TrafficSettings};
use crate::load::Acked;

/// A rolling restart.
#[derive(Clone, Copy, Debug)]
pub struct Rolling {
    /// How often each node is restarted.
    pub rounds: u32,
    /// How long load runs between two restarts.
    pub steady: Duration,
    /// The load.
    pub load: TrafficSettings,
}

impl Rolling {
    /// Runs on a cluster of its own. A record that a client could not deliver is an error.
    ///
    /// # Errors
    /// When something fails that is no broken promise.
    pub fn run(self, setting: &Setting) -> Result<Report> {
        let mut scene = Scene::start(setting, self.load)?;
        for _ in 0..self.rounds {
            for node in (1..).take(ROLES.len()) {
                self.restart(&mut scene, node)?;
            }
        }
        scene.settle(self.steady)?;
        let outcome = scene.finish()?;
        let took = outcome.acked.iter().map(Acked::took).collect();
        let (rounds, nodes, partitions) = (self.rounds, ROLES.len(), self.load.partitions);
        let figures = format!(
            "{rounds} rolling restarts of {nodes} nodes, {partitions} partitions: records took {}",
            Spread::of(took)
        );
        Ok(Report::new(figures, outcome.verdict))
    }

    fn restart(&self, scene: &mut Scene, node: u32) -> Result<()> {
        let before = scene.traffic.now();
        scene.settle(self.steady)?;
        let Scene { cluster, traffic, .. } = scene;
        let since = traffic.now();
        let usually = Spread::of(traffic.took(before, since));
        let slowest = traffic.slowest(before, since).map_or(String::new(), |it| {
            let (at, place) = (it.handed_over, it.seen.place);
            format!(
                "; the slowest, at {place}, was handed over at {at:.2?}, even since {before:.2?}"
            )
        });
        let status = cluster.stop(node)?;
        ensure!(status.success(), "node {node} ended with {status}: {}", cluster.tail(node));
        let down = traffic.now() - since;
        cluster.launch(node)?;
        cluster.wait_until_ready(node)?;
        scene.until_even()?;
        let even = scene.traffic.now();
        eprintln!(
            "node {node} ({}): down after {down:.2?}, even after {:.2?}; records took {} (before: {usually}{slowest})",
            ROLES[node as usize - 1].join(", "),
            even - since,
            Spread::of(scene.traffic.took(since, even)),
        );
        Ok(())
    }
}
