//! Brokers that die or stand still under load: how long until every partition acknowledges again.

use std::time::Duration;

use anyhow::Result;
use weir_test_support::wait;

use super::{BROKERS, Report, Scene, Setting, Spread, TrafficSettings};
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
    /// How many brokers fail at once.
    pub victims: usize,
    /// What happens to them.
    pub how: How,
    /// The elected controller dies with them, and comes back with them.
    pub with_controller: bool,
    /// How often.
    pub times: u32,
    /// The load.
    pub load: TrafficSettings,
    /// Decides when they fail, and who.
    pub seed: u64,
}

impl Failover {
    /// Runs on a cluster of its own.
    ///
    /// # Errors
    /// When something fails that is no broken promise.
    pub fn run(self, setting: &Setting) -> Result<Report> {
        let mut scene = Scene::start(setting, self.load)?;
        let mut chance = Chance::new(self.seed);
        let mut slowest = Vec::new();
        for time in 0..self.times {
            scene.until_even()?;
            let usually = scene.traffic.acknowledged_again(scene.traffic.now(), GIVEN_UP)?;
            wait::let_pass(Duration::from_millis(chance.below(STEADY_MS)));
            let victims = self.victims(&scene, chance.below(BROKERS.len() as u64) as usize)?;
            let since = scene.traffic.now();
            self.fail(&mut scene, &victims)?;
            let again = Spread::of(scene.traffic.acknowledged_again(since, GIVEN_UP)?);
            let usually = Spread::of(usually).most();
            let (median, last) = (again.percentile(50.0), again.most());
            eprintln!(
                "failure {time}: half of the partitions after {median:.2?}, all after {last:.2?} (without \
                 a failure {usually:.2?})"
            );
            slowest.push(last);
            self.heal(&mut scene, &victims)?;
        }
        scene.until_even()?;
        let outcome = scene.finish()?;
        let Self { victims, how, times, load, .. } = self;
        let figures = format!(
            "{how:?} of {victims} of {} brokers{}, {times} times, {} partitions: all acknowledge again \
             after {}; {} records acknowledged",
            BROKERS.len(),
            if self.with_controller { " and the controller" } else { "" },
            load.partitions,
            Spread::of(slowest),
            outcome.acked.len()
        );
        Ok(Report::new(figures, outcome.verdict))
    }

    fn victims(&self, scene: &Scene, first: usize) -> Result<Vec<u32>> {
        let mut victims: Vec<u32> =
            BROKERS.iter().copied().cycle().skip(first).take(self.victims).collect();
        if self.with_controller {
            victims.push(scene.operator().controller()?);
        }
        Ok(victims)
    }

    fn fail(&self, scene: &mut Scene, victims: &[u32]) -> Result<()> {
        victims.iter().try_for_each(|victim| match self.how {
            How::Kill => scene.cluster.kill9(*victim),
            How::Pause => scene.cluster.pause(*victim, true),
        })
    }

    fn heal(&self, scene: &mut Scene, victims: &[u32]) -> Result<()> {
        victims.iter().try_for_each(|victim| match self.how {
            How::Kill => scene.cluster.launch(*victim),
            How::Pause => scene.cluster.pause(*victim, false),
        })
    }
}
