//! What there was when all had settled: the measure for everything that was seen before.

use crate::{Group, Place, Seen};

/// The end of a run: all faults healed, no request in flight, every transaction that was ended with its
/// control records written.
#[derive(Clone, Debug, Default)]
pub struct End {
    /// The edges of each partition's log, by its index.
    pub partitions: Vec<Partition>,
    /// Every record, as a `read_uncommitted` reader gets them; each partition in the order of reading.
    pub read: Vec<Seen>,
    /// What a `read_committed` reader gets, in runs with transactions.
    pub read_committed: Option<Vec<Seen>>,
    /// The places of all control records, where the reader sees them. `None`: nobody looked.
    pub controls: Option<Vec<Place>>,
    /// Committed offsets of groups.
    pub offsets: Vec<(Group, Place)>,
}

/// Where a partition's log begins and ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Partition {
    /// The first offset.
    pub log_start: i64,
    /// Where `read_committed` readers end.
    pub stable: i64,
    /// Where the log ends.
    pub end: i64,
    /// Whether records may go without being asked to, by age or size.
    pub retention: bool,
}

impl Partition {
    /// A log from `log_start` to `end`, all of it stable, from which nothing goes by itself.
    pub fn new(log_start: i64, end: i64) -> Self {
        Self { log_start, stable: end, end, retention: false }
    }
}

impl End {
    /// The end of logs without transactions, by the first and the latest offset of each.
    pub fn new(log_starts: &[i64], ends: &[i64], read: Vec<Seen>) -> Self {
        let edges = log_starts.iter().zip(ends);
        let partitions = edges.map(|(start, end)| Partition::new(*start, *end)).collect();
        Self { partitions, read, ..Self::default() }
    }
}
