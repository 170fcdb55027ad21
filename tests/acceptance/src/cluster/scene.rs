//! A cluster with load on it.

use std::time::Duration;

use anyhow::{Context, Result};
use weir_test_support::{Admin, Cluster, ClusterSettings, Operator, wait};

use super::{BROKERS, Outcome, ROLES, Setting, StoreKind, TOPIC, Traffic, TrafficSettings};

/// How long partitions may take to be where they should be.
const EVEN: Duration = Duration::from_secs(120);
/// A node that no run kills.
const ONLOOKER: u32 = 4;

/// A cluster and the load on it.
pub struct Scene {
    /// The cluster.
    pub cluster: Cluster,
    /// The load.
    pub traffic: Traffic,
    partitions: i32,
}

impl Scene {
    /// Starts a cluster with a topic, and the load when each broker has its share.
    ///
    /// # Errors
    /// When it does not serve.
    pub fn start(setting: &Setting, load: TrafficSettings) -> Result<Self> {
        let cluster = ClusterSettings::new(&setting.binary, &ROLES);
        let cluster =
            setting.sections.iter().fold(cluster, |it, (name, lines)| it.section(name, lines));
        let cluster = match &setting.store {
            StoreKind::Native(program, arguments) => cluster.on_native(program, arguments.clone()),
            StoreKind::S3 => cluster.on_s3(),
            StoreKind::Directory => cluster,
            StoreKind::Hdfs(hdfs) => cluster.on_hdfs(hdfs.clone()),
        };
        let cluster = cluster.start()?;
        let (_, address) = cluster.proxies().pop_first().expect("it has proxies");
        Admin::connect(address)?.create_topic(TOPIC, load.partitions)?;
        until_even(&cluster, load.partitions)?;
        let traffic = Traffic::start(&cluster, load)?;
        Ok(Self { cluster, traffic, partitions: load.partitions })
    }

    /// Waits until each broker has its share of the partitions.
    ///
    /// # Errors
    /// When that takes too long.
    pub fn until_even(&self) -> Result<()> {
        until_even(&self.cluster, self.partitions)
    }

    /// Waits until each broker has its share; then as [`Self::go_on`].
    ///
    /// # Errors
    /// When that takes too long.
    pub fn settle(&self, time: Duration) -> Result<()> {
        self.until_even()?;
        self.go_on(time)
    }

    /// Lets the load run on until each partition has acknowledged something new, and then for `time`.
    ///
    /// # Errors
    /// When one does not.
    pub fn go_on(&self, time: Duration) -> Result<()> {
        self.traffic.acknowledged_again(self.traffic.now(), EVEN)?;
        wait::let_pass(time);
        Ok(())
    }

    /// Waits until a broker has as many partitions open as `enough` says.
    ///
    /// # Errors
    /// When that takes too long.
    pub fn until_open(&self, node: u32, enough: impl Fn(u64) -> bool) -> Result<()> {
        wait::until(&format!("node {node} has what it should have"), EVEN, || {
            self.cluster.open_partitions(node).is_ok_and(&enough).then_some(())
        })
    }

    /// Drains all brokers but the first `count`.
    ///
    /// # Errors
    /// When one keeps something.
    pub fn leave_all_to(&self, count: usize) -> Result<()> {
        for node in &BROKERS[count..] {
            self.operator().drain(*node)?;
            self.until_open(*node, |open| open == 0)?;
        }
        Ok(())
    }

    /// An operator who talks to a node that stays.
    pub fn operator(&self) -> Operator {
        self.cluster.operator(ONLOOKER)
    }

    /// Ends the load, reads everything back and judges it.
    ///
    /// # Errors
    /// When something fails that is no broken promise.
    pub fn finish(self) -> Result<Outcome> {
        self.traffic.finish(&self.cluster)
    }
}

fn until_even(cluster: &Cluster, partitions: i32) -> Result<()> {
    let share = u64::from(partitions.unsigned_abs()) / BROKERS.len() as u64;
    wait::until("each broker has its share", EVEN, || {
        let even = |broker: &u32| cluster.open_partitions(*broker).is_ok_and(|open| open >= share);
        BROKERS.iter().all(even).then_some(())
    })
    .with_context(|| {
        let what = |broker: &u32| {
            let open = cluster.open_partitions(*broker);
            format!("broker {broker} has {open:?} partitions, {}", cluster.tail(*broker))
        };
        BROKERS.iter().map(what).collect::<Vec<_>>().join("\n")
    })
}
