//! A broker and a cluster in memory, for faults that a real one shows only when it is broken.

mod broker;
mod cluster;

pub(crate) use broker::{FakeBroker, Fault};
pub(crate) use cluster::{FakeCluster, offsets_topic, topic};
