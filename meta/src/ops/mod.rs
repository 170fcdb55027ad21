//! What roles do to the metadata, one file a subject. Each operation reads, lets the model decide,
//! and writes by compare-and-swap (`cas`); each may be repeated safely after an unclear answer.

mod claim;
mod cluster;
mod ending;
mod logs;
mod needs;
mod node_ids;
mod owned;
mod producer_ids;
mod session;
mod wal;

pub use claim::{ClaimError, Claimed};
pub use cluster::ClusterError;
pub use owned::{OwnedChange, OwnedError, OwnedUpdate};
pub use producer_ids::ProducerIds;
pub use session::{RegisterError, Registration, SESSION_PROOF, SESSION_TTL};
pub use wal::{CheckpointError, SealError, Sealing, TrimError, WalLost};

#[cfg(test)]
mod tests;
