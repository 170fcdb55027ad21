//! How long records take at a steady load, through a store that takes its time.

use std::time::Duration;

use anyhow::{Context, Result};
use weir_test_support::wait::{self, Stopwatch};
use weir_test_support::{S3, http};

use super::{Report, Scene, Setting, Spread, TrafficSettings};

/// How long load runs before anything counts.
const WARM: Duration = Duration::from_secs(10);
/// How often the store is asked for what it takes at least.
const FLOOR_PUTS: usize = 200;
/// As much as a slot holds at a moderate load.
const FLOOR_BYTES: usize = 256 << 10;

/// A steady load.
#[derive(Clone, Copy, Debug)]
pub struct Latency {
    /// How long.
    pub time: Duration,
    /// The load.
    pub load: TrafficSettings,
}

impl Latency {
    /// Runs on a cluster of its own.
    ///
    /// # Errors
    /// When something fails that is no broken promise.
    pub fn run(self, setting: &Setting) -> Result<Report> {
        let scene = Scene::start(setting, self.load)?;
        scene.settle(WARM)?;
        let floor = scene.cluster.s3().map(floor).transpose()?;
        let since = scene.traffic.now();
        wait::let_pass(self.time);
        let until = scene.traffic.now();
        let took = scene.traffic.took(since, until);
        let bytes = took.len() as f64 * self.load.value_bytes as f64;
        let rate = bytes / (until - since).as_secs_f64() / f64::from(1 << 20);
        let outcome = scene.finish()?;
        let floor =
            floor.map_or(String::new(), |floor| format!("; a put of the store itself {floor}"));
        let figures = format!(
            "{} partitions, {} producers, {rate:.1} MiB/s: records took {}{floor}",
            self.load.partitions,
            self.load.writers,
            Spread::of(took)
        );
        Ok(Report::new(figures, outcome.verdict))
    }
}

/// What a put takes that nobody else does.
fn floor(store: &S3) -> Result<Spread> {
    let body = "x".repeat(FLOOR_BYTES);
    let put = |number: usize| {
        let clock = Stopwatch::start();
        let path = store.path(&format!("floor/{number}"));
        http::send(store.address(), "PUT", &path, &body).context("a put")?;
        Ok(clock.elapsed())
    };
    (0..FLOOR_PUTS).map(put).collect::<Result<Vec<_>>>().map(Spread::of)
}
