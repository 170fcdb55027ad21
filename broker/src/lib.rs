//! Partitions: append, recovery, the tail, checkpoints.
//!
//! A broker owns partitions for a while. Each is a state machine without I/O (`partition`); a few
//! shards run them, one task each (`shard`); one write-ahead log takes what all of them accept
//! (`wal`); checkpoints (`checkpoint`) save what recovery (`recovery`) would otherwise have to find.
//! Everything that a broker holds in memory can be found again from the store and the metadata: losing it
//! loses nothing that was acknowledged. What nobody needs any more is deleted by an elected [`collector`].

mod assignments;
mod broker;
mod buffers;
pub mod catalog;
mod checkpoint;
pub mod client;
pub mod collector;
mod compaction;
mod current;
mod ending;
mod fold;
pub mod fsck;
mod leaving;
mod load;
mod local;
mod metrics;
mod named;
mod opening;
mod partition;
mod parts;
mod recovery;
mod references;
mod release;
mod releases;
mod retention;
mod retire;
mod role;
pub mod rpc;
mod settings;
mod shard;
mod standing;
mod store_clock;
mod topic_rules;
mod trouble;
mod wal;

pub use broker::{Broker, BrokerDeps, StartError};
pub use local::LocalBroker;
pub use named::Named;
pub use opening::{Assigned, OpenError};
pub use recovery::SessionError;
pub use retire::RetireError;
pub use role::{BrokerRole, RoleError};
pub use settings::{BrokerSettings, SlotSettings, Tending};
pub(crate) use topic_rules::Lifetime;
pub use topic_rules::TopicRules;
