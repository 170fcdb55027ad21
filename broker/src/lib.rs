//! Partitions: append, recovery, the tail, checkpoints.
//!
//! A broker owns partitions for a while. Each is a state machine without I/O ([`partition`]); a few
//! shards run them, one task each; one write-ahead log takes what all of them accept. Everything a
//! broker holds in memory can be found again from the store and the metadata: losing it loses
//! nothing that was acknowledged.

pub mod client;
mod partition;
mod topic_rules;

pub use topic_rules::TopicRules;
