//! Consumer groups and their offsets.
//!
//! A [`Coordinator`] has one shard for each partition of `__consumer_offsets`; a group's id decides
//! which. What a group does is decided without I/O, in `group` (one group) and `groups` (all of a
//! shard, with what the log says of them in `image`); a shard's task moves requests, answers and
//! records. Proxies see none of it, only [`CoordinatorClient`].
//!
//! This crate never touches storage but through the broker: it appends by conditional append, and
//! reads where the broker says.

mod api;
pub mod client;
mod cluster;
mod coordinator;
mod group;
mod groups;
mod image;
mod records;
mod routed;
pub mod rpc;
mod settings;
mod shard;

pub use client::{Caller, CoordinatorClient};
pub use cluster::{Cluster, Topic, ViewedCluster};
pub use coordinator::{Coordinator, OFFSETS_TOPIC, partition_of};
pub use routed::{Coordinators, RoutedCoordinators};
pub use settings::Settings;
pub use shard::log::{BrokerLog, Chunk, LogError, LogReader};
#[cfg(test)]
mod testing;
