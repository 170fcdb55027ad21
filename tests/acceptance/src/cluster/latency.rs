//! How long records take at a steady load, through a store that takes its time.

use std::time::Duration;

use anyhow::{Context, Result};
use weir_test_support::wait::{self, Stopwatch};
use weir_test_support::{Hdfs, S3, http};

use super::{Report, Scene, Setting, Spread, StoreKind, TrafficSettings, hsync};

/// How long load runs before anything counts.
const WARM: Duration = Duration::from_secs(10);
/// ... where a JVM keeps the records, which compiles what it runs for the better part of a minute. What HDFS takes by
/// itself is measured behind that, too.
const WARM_JVM: Duration = Duration::from_secs(40);
/// How often the store is asked for what it takes at least.
const FLOOR_PUTS: usize = 200;
/// As much as a slot holds at a moderate load.
const FLOOR_BYTES: usize = 256 << 10;

/// How old a DataNode's count may be.
const COUNTED: Duration = Duration::from_secs(5);
/// How long HDFS itself is written to.
const HSYNCS: Duration = Duration::from_secs(30);

/// A steady load.
#[derive(Clone, Copy, Debug)]
pub struct Latency {
    /// How long.
    pub time: Duration,
    /// How many brokers have partitions: where all nodes share one disk, their syncs wait for each other.
    pub brokers: usize,
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
        scene.until_even()?;
        scene.leave_all_to(self.brokers)?;
        scene.go_on(match setting.store {
            StoreKind::Hdfs(_) => WARM_JVM,
            _ => WARM,
        })?;
        let floor = scene.cluster.s3().map(floor).transpose()?;
        let since = scene.traffic.now();
        wait::let_pass(self.time);
        let until = scene.traffic.now();
        let took = scene.traffic.took(since, until);
        let bytes = took.len() as f64 * self.load.value_bytes as f64;
        let rate = bytes / (until - since).as_secs_f64() / f64::from(1 << 20);
        let Scene { mut cluster, traffic, .. } = scene;
        let outcome = traffic.finish(&cluster)?;
        let put = floor.map(|floor| format!("; a put of the store itself {floor}"));
        let hdfs = cluster.hdfs().map(|hdfs| self.hdfs(hdfs)).transpose()?;
        let floor = put.or(hdfs).unwrap_or_default();
        let figures = format!(
            "{} brokers, {} partitions, {} producers, {rate:.1} MiB/s: records took {}{floor}",
            self.brokers,
            self.load.partitions,
            self.load.writers,
            Spread::of(took)
        );
        Ok(Report::new(figures, outcome.verdict))
    }
}

impl Latency {
    /// What its DataNodes have written, and what it takes without Weir.
    fn hdfs(self, hdfs: &Hdfs) -> Result<String> {
        wait::let_pass(COUNTED);
        let written = hdfs.datanode_bytes().into_iter().map(Option::unwrap_or_default);
        let written: Vec<u64> = written.map(|bytes| bytes >> 20).collect();
        let hsync = hsync::took(hdfs, self.load, HSYNCS)?;
        Ok(format!("; an append with hsync itself {hsync}; the DataNodes wrote {written:?} MiB"))
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
