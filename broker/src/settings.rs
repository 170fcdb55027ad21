//! A broker's settings.

use std::time::Duration;

use weir_segment_store::pages::PAGE_ENTRIES;

/// A broker's settings.
#[derive(Clone, Debug)]
pub struct BrokerSettings {
    /// Room for records in memory: what is not durable yet, what waits for a checkpoint, and the
    /// tail for readers.
    pub buffer_bytes: u64,
    /// When slots of the write-ahead log are written.
    pub slots: SlotSettings,
    /// How many tasks partitions are spread over.
    pub shards: usize,
    /// This process is known to be the only broker, e.g. by a lock on the directory: sessions that
    /// nobody has ended are ended by it, and what it trims of its own log it deletes at once. Otherwise
    /// that is the collector's: whoever took a partition over may refer to it.
    pub sole: bool,
    /// How what is stored is kept in order.
    pub tending: Tending,
}

/// How what is stored is kept in order: folds, pages, retention, log compaction.
#[derive(Clone, Debug)]
pub struct Tending {
    /// How many short ranges of a partition are written once more as one; at least two. A byte is written once more
    /// while its range grows by so much.
    pub fold_after: usize,
    /// How many references of a partition one page lists; at least two. About as many are kept in memory.
    pub page_entries: usize,
    /// How often old records are looked for.
    pub retention_interval: Duration,
    /// How long after a round of log compaction the next begins.
    pub compaction_interval: Duration,
    /// Less than this is compacted only once it has been there for a while: each pass costs a request.
    pub compaction_least_bytes: u64,
    /// What it may take of memory for the keys of a partition; those that find no room are left to the next round.
    pub compaction_bytes: u64,
}

impl Default for Tending {
    fn default() -> Self {
        Self {
            fold_after: 64,
            page_entries: PAGE_ENTRIES,
            retention_interval: Duration::from_secs(30),
            compaction_interval: Duration::from_secs(30),
            compaction_least_bytes: 1 << 20,
            compaction_bytes: 128 << 20,
        }
    }
}

/// When slots of the write-ahead log are written: what records wait for, and what writing costs. At once if
/// nothing is being written, unless it says otherwise.
#[derive(Clone, Debug)]
pub struct SlotSettings {
    /// How much one holds before the next is begun beside it.
    pub bytes: u64,
    /// How long records wait for company while another slot is being written; `None`: for as long as that
    /// takes.
    pub linger: Option<Duration>,
    /// They wait for so long also while nothing is being written.
    pub patient: bool,
}

impl Default for SlotSettings {
    fn default() -> Self {
        // Large enough that a store takes one as fast as it takes anything.
        Self { bytes: 8 << 20, linger: None, patient: false }
    }
}
