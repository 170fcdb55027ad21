//! What a cluster must show: how long a client waits when a broker dies, stands still, leaves or comes.
//!
//! Three brokers, two proxies, and two nodes that are coordinators and may be controllers, each a process of
//! its own over a real etcd and an object store: the small and fast one of `tests/store`, which may delay what
//! it does, or a real S3 server, or a directory.

pub mod failover;
pub mod rolling;
mod traffic;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use weir_test_support::{Admin, Cluster, ClusterSettings, wait};

pub use traffic::{Outcome, Traffic, TrafficSettings};

const INNER: &[&str] = &["coordinator", "controller"];
const ROLES: [&[&str]; 7] =
    [&["broker"], &["broker"], &["broker"], &["proxy"], &["proxy"], INNER, INNER];
/// The nodes that are brokers.
pub const BROKERS: [u32; 3] = [1, 2, 3];
/// The topic of all runs.
pub const TOPIC: &str = "events";
/// How long partitions may take to be where they should be.
const EVEN: Duration = Duration::from_secs(120);

/// What runs are made of.
#[derive(Clone, Debug)]
pub struct Setting {
    /// The program of Weir.
    pub binary: PathBuf,
    /// What records are kept in.
    pub store: StoreKind,
}

/// What a cluster keeps its records in.
#[derive(Clone, Debug)]
pub enum StoreKind {
    /// The small and fast S3 server: a program and its arguments.
    Native(PathBuf, Vec<String>),
    /// A real S3 server.
    S3,
    /// A directory that all nodes see.
    Directory,
}

/// Starts a cluster with a topic.
///
/// # Errors
/// When it does not serve.
pub fn start(setting: &Setting, partitions: i32) -> Result<Cluster> {
    let cluster = ClusterSettings::new(&setting.binary, &ROLES);
    let cluster = match &setting.store {
        StoreKind::Native(program, arguments) => cluster.on_native(program, arguments.clone()),
        StoreKind::S3 => cluster.on_s3(),
        StoreKind::Directory => cluster,
    };
    let cluster = cluster.start()?;
    let (_, address) = cluster.proxies().pop_first().expect("it has proxies");
    Admin::connect(address)?.create_topic(TOPIC, partitions)?;
    Ok(cluster)
}

/// Waits until each broker has its share of so many partitions.
///
/// # Errors
/// When that takes too long.
pub fn until_even(cluster: &Cluster, partitions: i32) -> Result<()> {
    let share = u64::from(partitions.unsigned_abs()) / BROKERS.len() as u64;
    wait::until("each broker has its share", EVEN, || {
        let even = |broker: &u32| cluster.open_partitions(*broker).is_ok_and(|open| open >= share);
        BROKERS.iter().all(even).then_some(())
    })
}

/// A value that so many hundredths of `sorted` do not exceed.
fn percentile(sorted: &[Duration], hundredths: f64) -> Duration {
    let place = (sorted.len() as f64 * hundredths / 100.0).ceil() as usize;
    sorted.get(place.clamp(1, sorted.len().max(1)) - 1).copied().unwrap_or_default()
}
