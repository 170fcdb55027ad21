//! The object store and the metadata store, as one node reaches them: over the network, each request
//! on its way whatever becomes of who sent it, and with the faults that its [`Mishaps`] say.

pub(crate) mod files;
pub(crate) mod meta;
mod mishaps;
pub(crate) mod objects;
mod watch;

pub(crate) use mishaps::{Mishaps, Mood};
