//! The cluster's metadata: a small consistent store, the model in it, views of it, the controller.
//!
//! This crate never touches the object store, never parses what clients send, and is never read on
//! the produce or fetch path.

pub mod store;
