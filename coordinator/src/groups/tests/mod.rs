//! Scenarios of a shard's groups, and random runs.

mod random;
mod room;
mod scenarios;
