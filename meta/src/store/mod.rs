//! A small strongly consistent key-value store: what the cluster agrees on.
//!
//! The semantics are those of etcd v3, so that etcd itself is one implementation:
//! - A store has a [`Revision`] that grows by one with each transaction that writes. Every entry
//!   knows at which revision its key appeared, was last written, and how often it was written.
//! - A [`Txn`] compares keys, then writes all of its operations or none. A compare is on a key's
//!   revision or presence, never on a field of its value.
//! - A [`Watch`] delivers what changed under a prefix since a revision, in order, all changes of
//!   one revision together. History is bounded: who asks for more gets
//!   [`StoreError::Compacted`], lists again at a revision, and watches from the next one.
//! - A lease that is not kept alive takes the keys attached to it away. Leases tell who is
//!   *probably* alive; nothing's safety rests on them.
//!
//! Reads are linearizable: what a successful write wrote is in every later read. A write whose
//! outcome is not known says so ([`StoreError::Unclear`]); the caller resolves it by reading
//! again, and never by repeating it blindly.
//!
//! [`Memory`] keeps everything in the process, on the caller's time, for tests and simulation.
//! [`Embedded`] keeps it in one file, for clusters of one machine. Both run the same state machine
//! (`machine`). `etcd::Etcd`, with the feature of that name, asks an etcd. Every implementation runs the same suite
//! (`conformance`).

#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod embedded;
mod entry;
mod error;
#[cfg(feature = "etcd")]
pub mod etcd;
mod faulty;
mod history;
mod machine;
mod memory;
mod published;
mod range;
mod txn;
mod watch;

use std::time::Duration;

use async_trait::async_trait;
pub use embedded::{Embedded, OpenError};

pub use entry::{Batch, Entry, Event, Key, LeaseId, Revision};
pub use error::{Remedy, StoreError};
pub use faulty::{Fault, Faulty, Operation};
pub use history::{HISTORY_BYTES_MAX, HISTORY_EVENTS_MAX};
pub use memory::Memory;
pub use range::{PAGE_ENTRIES_MAX, Page, Range, list, list_together};
pub use txn::{Compare, Condition, Op, TXN_BYTES_MAX, TXN_OPS_MAX, Txn, TxnOutcome};
pub use watch::{WATCH_BATCH_EVENTS_MAX, Watch};

/// The store that holds the cluster's metadata. Shared as `Arc<dyn MetaStore>`.
#[async_trait]
pub trait MetaStore: Send + Sync {
    /// The newest entry under `key`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and the like; retry as [`StoreError::remedy`] says.
    async fn get(&self, key: &Key) -> Result<Option<Entry>, StoreError>;

    /// One page of the entries under a prefix, in key order.
    ///
    /// # Errors
    /// [`StoreError::Compacted`] when the revision asked for is no longer known.
    async fn range(&self, range: Range) -> Result<Page, StoreError>;

    /// What changes under `prefix` at revision `from` and later. Never ends by itself.
    fn watch(&self, prefix: &str, from: Revision) -> Watch;

    /// Writes the operations of `txn` if every compare holds.
    ///
    /// # Errors
    /// [`StoreError::Unclear`] when it may have been applied; all other errors: it was not.
    async fn txn(&self, txn: Txn) -> Result<TxnOutcome, StoreError>;

    /// Opens a lease that ends when it is not kept alive for `ttl`.
    ///
    /// # Errors
    /// As for [`MetaStore::txn`]; a lease that was granted unseen ends by itself.
    async fn grant(&self, ttl: Duration) -> Result<LeaseId, StoreError>;

    /// Gives a lease its whole time again.
    ///
    /// # Errors
    /// [`StoreError::LeaseNotFound`] when it has ended: its keys are gone.
    async fn keep_alive(&self, lease: LeaseId) -> Result<(), StoreError>;

    /// Ends a lease and deletes the keys attached to it.
    ///
    /// # Errors
    /// [`StoreError::LeaseNotFound`] when it has ended already.
    async fn revoke(&self, lease: LeaseId) -> Result<(), StoreError>;
}
