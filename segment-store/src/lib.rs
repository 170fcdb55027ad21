//! Every byte in the store.
//!
//! A record batch enters a store in a slot of a session's write-ahead log ([`journal`]), may be
//! gathered into a sorted object, and is found again through references that a checkpoint
//! ([`checkpoint`]) keeps. Slots and objects have one format ([`object`]). The [`Reader`] turns a
//! reference into record batches and checks every byte that it returns.
//!
//! This crate knows no Kafka request and no owner: who may write is decided by the journal's own
//! fence and by the metadata store, which callers bring together.

mod catalog;
pub mod checkpoint;
pub mod fold;
#[cfg(feature = "cloud")]
mod hdfs;
mod hedge;
pub mod journal;
#[cfg(feature = "cloud")]
mod location;
mod name;
pub mod object;
pub mod pages;
mod part;
mod probe;
mod ranges;
mod reader;
mod reference;
mod retry;
mod store;
#[cfg(any(test, feature = "conformance"))]
pub mod testing;
mod wire;

#[cfg(feature = "cloud")]
pub use location::{Location, LocationError, Opened};
pub use name::{NameError, ObjectName};
pub use part::Part;
pub use probe::{ProbeError, probe_condition};
pub use reader::{ReadError, Reader, ReaderSettings, Stored};
pub use reference::{ByteRange, Reference};
pub use retry::{Retry, RetrySettings};
pub use store::{Store, StoreError};
pub use wire::Malformed;
