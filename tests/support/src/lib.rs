//! What end-to-end tests share: servers, clients, waiting for conditions.
//!
//! A test starts real servers as child processes ([`Weir`], [`Kafka`], both giving a [`Server`]), talks
//! to them by real clients or byte by byte ([`wire::Connection`]), and waits for conditions with a
//! deadline ([`wait`]). Nothing here knows a scenario; those are in `tests/` and `tests/acceptance`.
//! Servers listen on loopback only, and end with the value that stands for them.

pub use weir_test_cache as cache;

mod admin;
mod burners;
mod cluster;
mod etcd;
mod hdfs;
pub mod http;
mod kafka;
mod operator;
mod ports;
mod process;
mod relay;
mod s3;
mod server;
pub mod wait;
mod weir;
pub mod wire;

pub use admin::Admin;
pub use burners::Burners;
pub use cluster::{Cluster, ClusterSettings};
pub use etcd::{Etcd, EtcdSettings};
pub use hdfs::{Hdfs, HdfsSettings, Quota};
pub use kafka::Kafka;
pub use operator::Operator;
pub use ports::free_port;
pub use process::{Input, Process, Usage};
pub use relay::Relay;
pub use s3::S3;
pub use server::{Server, server_under_test};
pub use weir::Weir;
