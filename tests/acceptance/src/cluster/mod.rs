//! What a cluster must show: how long a client waits when a broker dies, stands still, leaves or comes, and what
//! it costs.
//!
//! Three brokers, two proxies, and two nodes that are coordinators and may be controllers, each a process of
//! its own over a real etcd and an object store: the small and fast one of `tests/store`, which may delay what
//! it does, or a real S3 server, or a directory; or over HDFS.

mod consumption;
pub mod cost;
pub mod datanodes;
pub mod failover;
pub mod groups;
pub mod growth;
pub mod hot;
mod hsync;
pub mod latency;
mod members;
pub mod moves;
pub mod outage;
mod report;
pub mod rolling;
mod scene;
mod traffic;

use std::path::PathBuf;

pub use report::{Report, Spread};
pub use scene::Scene;
pub use traffic::{Outcome, Traffic, TrafficSettings};
use weir_test_support::HdfsSettings;

const INNER: &[&str] = &["coordinator", "controller"];
const BROKER: &[&str] = &["broker"];
const ROLES: [&[&str]; 7] = [BROKER, BROKER, BROKER, &["proxy"], &["proxy"], INNER, INNER];
/// The nodes that are brokers.
pub const BROKERS: [u32; 3] = [1, 2, 3];
/// The topic of all runs.
pub const TOPIC: &str = "events";

/// What runs are made of.
#[derive(Clone, Debug)]
pub struct Setting {
    /// The program of Weir.
    pub binary: PathBuf,
    /// What records are kept in.
    pub store: StoreKind,
    /// More of each node's configuration: sections and their lines.
    pub sections: Vec<(String, String)>,
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
    /// HDFS.
    Hdfs(HdfsSettings),
}
