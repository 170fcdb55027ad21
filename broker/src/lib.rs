//! Partitions: append, recovery, the tail, checkpoints.

pub mod client;
