//! Partitions moved one by one under load, as an operator would: how long their records wait.

use std::time::Duration;

use anyhow::Result;

use super::{BROKERS, Report, Scene, Setting, Spread, TOPIC, TrafficSettings};
use crate::chance::Chance;

/// How long records are watched before a move and from then on.
const WATCHED: Duration = Duration::from_millis(1_500);

/// Planned moves.
#[derive(Clone, Copy, Debug)]
pub struct Moves {
    /// How many.
    pub times: u32,
    /// The load.
    pub load: TrafficSettings,
    /// Decides which partitions, and where to.
    pub seed: u64,
}

impl Moves {
    /// Runs on a cluster of its own.
    ///
    /// # Errors
    /// When something fails that is no broken promise.
    pub fn run(self, setting: &Setting) -> Result<Report> {
        let scene = Scene::start(setting, self.load)?;
        let operator = scene.operator();
        let mut chance = Chance::new(self.seed);
        let (mut pauses, mut usually) = (Vec::new(), Vec::new());
        for time in 0..self.times {
            let before = scene.traffic.now();
            scene.go_on(WATCHED)?;
            let partition = chance.below(u64::from(self.load.partitions.unsigned_abs())) as u32;
            let owner = operator.placement(TOPIC)?[partition as usize];
            let others: Vec<u32> = BROKERS.into_iter().filter(|node| *node != owner).collect();
            let to = others[chance.below(others.len() as u64) as usize];
            let since = scene.traffic.now();
            operator.move_partition(TOPIC, partition, to)?;
            scene.go_on(WATCHED)?;
            let longest = |since, until| {
                Spread::of(scene.traffic.took_in(partition as i32, since, until)).most()
            };
            let (pause, usual) = (longest(since, scene.traffic.now()), longest(before, since));
            eprintln!("move {time}: a record took {pause:.2?} at most (before {usual:.2?})");
            pauses.push(pause);
            usually.push(usual);
        }
        let outcome = scene.finish()?;
        let figures = format!(
            "{} planned moves, {} partitions: the longest wait in each {}; in the time before each {}",
            self.times,
            self.load.partitions,
            Spread::of(pauses),
            Spread::of(usually)
        );
        Ok(Report::new(figures, outcome.verdict))
    }
}
