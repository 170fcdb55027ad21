//! What the cluster agrees on: one file a key, with its layout and an example drawn in its header.
//!
//! Values are JSON objects with their format's version under `"v"`, so that people can read a
//! store with its own tools. A reader ignores fields it does not know within a version that it
//! knows, and refuses a newer version. Golden files (`tests/golden`) keep old versions readable.
//!
//! Types here decide (may this log be claimed? may this trim move?) and never do I/O; `cas` and
//! `ops` carry the decisions out.

mod assignment;
mod cluster;
mod codec;
mod condemned;
mod drained;
mod election;
mod import;
mod intent;
mod log;
mod node;
mod node_ids;
mod producer_ids;
mod session;
mod topic;
mod wal;

pub use assignment::Assignment;
pub use cluster::Cluster;
pub use codec::{ModelError, Record};
pub use condemned::Condemned;
pub use drained::Drained;
pub use election::Leadership;
pub use import::Import;
pub use intent::{Creation, Deletion};
pub use log::{Inherited, Log, LogState, Owner};
pub use node::{HostPort, Node, Role};
pub use node_ids::{FIRST_GIVEN_NODE_ID, NextNodeId};
pub use producer_ids::{NextProducerId, PRODUCER_IDS_PER_BLOCK};
pub use session::{Session, SessionAllocation};
pub use topic::{
    PARTITIONS_PER_TOPIC_MAX, TOPIC_NAME_BYTES_MAX, Topic, TopicNameError, TopicState,
    check_topic_name,
};
pub use wal::{CheckpointPointer, Seal, SealRefused, TrimRefused, Wal, WalRefused};

/// Dynamic configs of brokers and of the cluster; reserved.
pub const CONFIGS_PREFIX: &str = "configs/";
