//! Checking that all is there that the metadata lead to, and bringing metadata back from objects.
//!
//! [`Fsck::check`] follows the metadata to what they need: the chains of checkpoints, the slots behind them, pages,
//! ranges of records. It changes nothing, and nodes may go on meanwhile: what is missing at one look may only have been
//! replaced, so it is looked for again. What nobody leads to is counted; the collector deletes it while brokers run, and
//! [`Fsck::sweep`] when none does.
//!
//! [`Fsck::rebuild`] writes metadata anew: logs and checkpoints tell which session wrote which partition under which
//! epoch, and a copy of the catalog ([`crate::catalog`]) what topics are called. It ends every session that it finds,
//! and leaves partitions as if all brokers had died; opening them is recovery as always.

mod check;
mod ended;
mod follow;
mod found;
mod logs;
mod rebuild;
mod sizes;
mod topics;

use std::sync::Arc;

use weir_meta::Metadata;
use weir_segment_store::{Reader, ReaderSettings, Store, journal::Journal};

pub use check::CheckError;
pub use follow::Depth;
pub use found::{Problem, Report, Tally};
pub use rebuild::{Plan, RebuildError, Rebuilt, founder};

/// Looks at a cluster's metadata, store and logs.
pub struct Fsck {
    metadata: Metadata,
    store: Store,
    journal: Arc<dyn Journal>,
    reader: Reader,
}

/// How many requests are made at once.
const REQUESTS: usize = 16;

impl Fsck {
    /// Looks at these.
    pub fn new(metadata: Metadata, store: Store, journal: Arc<dyn Journal>) -> Self {
        // Nothing is read twice.
        let settings = ReaderSettings { block_cache_bytes: 0, ..ReaderSettings::default() };
        let reader = Reader::new(store.clone(), settings);
        Self { metadata, store, journal, reader }
    }
}
