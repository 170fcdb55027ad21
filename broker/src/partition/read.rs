//! Reading: from the tail, or where in the store.

use bytes::Bytes;
use weir_ids::{LeaderEpoch, Offset, Timestamp};
use weir_segment_store::{Reference, checkpoint::Listing};

use super::Partition;
use crate::client::{Entries, Places, Read, ReadError, ReadOutcome, TimestampMatch};

/// How many references one answer names at most.
const MAX_REFERENCES: usize = 64;
/// About how many bytes behind those that were asked for it tells of: who reads on can read ahead.
const AHEAD_BYTES: u64 = 16 << 20;

impl Partition {
    /// What is visible from an offset on.
    pub(crate) fn read(&self, read: &Read) -> Result<ReadOutcome, ReadError> {
        self.check_epoch(read.epoch)?;
        let offsets = self.offsets();
        let (offset, end) = (read.offset, offsets.visible(read.isolation));
        if offset < offsets.log_start || offset > offsets.durable {
            let (log_start, durable) = (offsets.log_start, offsets.durable);
            if self.frozen && offset > durable {
                return Err(ReadError::NotOwner(self.id));
            }
            return Err(ReadError::OutOfRange { offset, log_start, durable });
        }
        let entries = if offset >= end {
            Entries::None
        } else if self.tail.start().is_some_and(|start| start <= offset) {
            match self.tail.read(offset, end, read.max_bytes) {
                pieces if pieces.is_empty() => Entries::None,
                pieces => Entries::Tail(pieces),
            }
        } else {
            match self.listing.page_with(offset) {
                Some(page) => Entries::Stored(Places::Listed(*page)),
                None => Entries::Stored(Places::Known(self.stored(offset, end, read.max_bytes))),
            }
        };
        Ok(ReadOutcome { offsets, entries })
    }

    fn check_epoch(&self, asked: Option<LeaderEpoch>) -> Result<(), ReadError> {
        let current = self.epoch;
        match asked {
            Some(asked) if asked < current => Err(ReadError::FencedEpoch { asked, current }),
            Some(asked) if asked > current => Err(ReadError::UnknownEpoch { asked, current }),
            _ => Ok(()),
        }
    }

    /// References from the one that holds `offset` on, for about `max_bytes` and what may be read ahead of them.
    fn stored(&self, offset: Offset, end: Offset, max_bytes: u32) -> Vec<Reference> {
        let references = &self.listing.references;
        let first = references.partition_point(|reference| reference.last < offset);
        let (mut len, mut most) = (0u64, u64::from(max_bytes));
        if most > 0 {
            most += AHEAD_BYTES;
        }
        references[first..]
            .iter()
            .take(MAX_REFERENCES)
            .take_while(|reference| {
                let wanted = len < most && reference.base < end;
                len += u64::from(reference.data.len);
                wanted
            })
            .copied()
            .collect()
    }

    /// The first visible batch that ends at `from` or behind it and may hold a record at or after `timestamp`.
    pub(crate) fn find_timestamp(&self, timestamp: Timestamp, from: Offset) -> TimestampMatch {
        let from = from.max(self.listing.log_start);
        let may = |last: Offset, newest: Timestamp| last >= from && newest >= timestamp;
        let Listing { pages, references, next, .. } = &self.listing;
        if let Some(page) = pages.iter().find(|it| may(it.last, it.max_timestamp)) {
            return TimestampMatch::Paged(*page);
        }
        if let Some(reference) = references.iter().find(|it| may(it.last, it.max_timestamp)) {
            return TimestampMatch::Stored(*reference);
        }
        let in_tail = self
            .tail
            .from(from.max(*next))
            .take_while(|batch| batch.last < self.durable)
            .find(|batch| batch.max_timestamp >= timestamp);
        match in_tail {
            Some(batch) => TimestampMatch::Batch(joined(batch.batch.pieces())),
            None => TimestampMatch::None,
        }
    }

    /// The visible batch with the largest timestamp, the first of several, as Kafka has it.
    pub(crate) fn find_max_timestamp(&self) -> TimestampMatch {
        let pages = self.listing.pages.iter();
        let pages = pages.map(|it| (it.max_timestamp, TimestampMatch::Paged(*it)));
        let references = self.listing.references.iter();
        let references = references.map(|it| (it.max_timestamp, TimestampMatch::Stored(*it)));
        let stored = pages.chain(references);
        let stored = stored.reduce(|best, next| if next.0 > best.0 { next } else { best });
        let in_tail =
            self.tail.from(self.listing.next).take_while(|batch| batch.last < self.durable).reduce(
                |best, next| if next.max_timestamp > best.max_timestamp { next } else { best },
            );
        match (stored, in_tail) {
            (Some((newest, stored)), Some(tail)) if tail.max_timestamp <= newest => stored,
            (_, Some(tail)) => TimestampMatch::Batch(joined(tail.batch.pieces())),
            (Some((_, stored)), None) => stored,
            (None, None) => TimestampMatch::None,
        }
    }

    /// The largest epoch at or below `asked` of which anything is left, and where it ended. This owner's epoch began where
    /// the log ended when it was claimed, also if nothing has been written since.
    pub(crate) fn epoch_end(&self, asked: LeaderEpoch) -> Option<(LeaderEpoch, Offset)> {
        if asked >= self.epoch {
            return (asked == self.epoch).then_some((self.epoch, self.durable));
        }
        let starts = &self.listing.epoch_starts;
        let after = starts.partition_point(|(epoch, _)| *epoch <= asked);
        let (epoch, _) = *starts.get(after.checked_sub(1)?)?;
        let end = starts.get(after).map_or(self.claimed_at, |(_, start)| *start);
        let end = end.min(self.claimed_at);
        // Of one that ended before the log begins nothing is left.
        (end > self.listing.log_start).then_some((epoch, end))
    }
}

fn joined(pieces: [&Bytes; 2]) -> Bytes {
    pieces.into_iter().flat_map(|piece| piece.iter().copied()).collect()
}
