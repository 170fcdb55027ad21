//! A broker that comes, and one that is drained, under load: how soon each has its share.

use std::time::Duration;

use anyhow::Result;
use weir_test_support::wait;

use super::{BROKER, BROKERS, Report, Scene, Setting, Spread, TrafficSettings};
use crate::load::Acked;

/// How long partitions may take to be where they should be.
const MOVED: Duration = Duration::from_secs(120);

/// A fourth broker comes and is drained.
#[derive(Clone, Copy, Debug)]
pub struct Growth {
    /// How often; each time another broker.
    pub times: u32,
    /// How long load runs before and between.
    pub steady: Duration,
    /// The load.
    pub load: TrafficSettings,
}

impl Growth {
    /// Runs on a cluster of its own.
    ///
    /// # Errors
    /// When something fails that is no broken promise.
    pub fn run(self, setting: &Setting) -> Result<Report> {
        let mut scene = Scene::start(setting, self.load)?;
        let (mut grown, mut drained) = (Vec::new(), Vec::new());
        for _ in 0..self.times {
            scene.settle(self.steady)?;
            let since = scene.traffic.now();
            let node = scene.cluster.add(BROKER)?;
            let share = u64::from(self.load.partitions.unsigned_abs()) / (BROKERS.len() as u64 + 1);
            scene.until_open(node, |open| open >= share)?;
            let even = scene.traffic.now();
            grown.push(even - since);
            eprintln!(
                "node {node} has its share after {:.2?}; records took {}",
                even - since,
                Spread::of(scene.traffic.took(since, even))
            );
            scene.traffic.acknowledged_again(even, MOVED)?;
            wait::let_pass(self.steady);
            let since = scene.traffic.now();
            scene.operator().drain(node)?;
            scene.until_open(node, |open| open == 0)?;
            let empty = scene.traffic.now();
            drained.push(empty - since);
            eprintln!(
                "node {node} has nothing after {:.2?}; records took {}",
                empty - since,
                Spread::of(scene.traffic.took(since, empty))
            );
            scene.cluster.stop(node)?;
        }
        scene.settle(self.steady)?;
        let outcome = scene.finish()?;
        let took = outcome.acked.iter().map(Acked::took).collect();
        let figures = format!(
            "{} partitions: from the start of a fourth broker until it has its share {}; until a drained one \
             has nothing {}; records took {}",
            self.load.partitions,
            Spread::of(grown),
            Spread::of(drained),
            Spread::of(took)
        );
        Ok(Report::new(figures, outcome.verdict))
    }
}
