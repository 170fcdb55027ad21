//! The cluster's metadata: a small consistent store, the model in it, views of it, the controller.
//!
//! - [`store`]: the key-value store with etcd's semantics, and its implementations.
//! - [`model`]: the keys and values, and what may become of them.
//! - [`Metadata`]: what roles read and change, by compare-and-swap.
//! - [`views`]: what roles see of the cluster without asking the store.
//! - [`controller`]: the elected role that changes which topics and assignments there are.
//! - [`backup`]: all of it in a file, and back.
//! - [`election`]: how one node comes to hold an office, such as the controller's.
//! - [`topic_config`]: the configs that topics have.
//!
//! This crate never touches the object store, never parses what clients send, and is never read on
//! the produce or fetch path.

pub mod backup;
mod cas;
pub mod controller;
pub mod election;
mod error;
mod metadata;
pub mod model;
mod ops;
mod registration;
pub mod store;
pub mod topic_config;
pub mod views;

pub use cas::Found;
pub use error::Error;
pub use metadata::Metadata;
pub use ops::{
    CheckpointError, ClaimError, Claimed, ClusterError, OwnedChange, OwnedError, OwnedUpdate,
    ProducerIds, RegisterError, Registration, SESSION_PROOF, SESSION_TTL, SealError, Sealing,
    TrimError, WalLost,
};
pub use registration::{NODE_TTL, NodeError, NodeRegistration};
