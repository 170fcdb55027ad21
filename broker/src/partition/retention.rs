//! Which records have been there for long enough.

use weir_ids::{Offset, Timestamp};
use weir_segment_store::checkpoint::Listing;

use super::Partition;

impl Partition {
    /// Where the log is to begin by its topic's rules, if that is further on than it does. Ranges go whole, and so does
    /// what a page lists, about as much as a segment of Kafka's: what shares one with a record that is to stay, stays. What no checkpoint names yet stays too.
    pub(crate) fn expired(&self, now: Timestamp) -> Option<Offset> {
        let rules = &self.rules;
        let oldest = rules.retention_ms.map(|ms| now.0.saturating_sub(ms));
        if self.frozen || oldest.is_none() && rules.retention_bytes.is_none() {
            return None;
        }
        let Listing { pages, references, next, .. } = &self.listing;
        let pages = pages.iter().map(|it| (it.last, it.max_timestamp, it.bytes));
        let references =
            references.iter().map(|it| (it.last, it.max_timestamp, u64::from(it.data.len)));
        let mut bytes = self.listing.stored_bytes() + self.tail.bytes_between(*next, self.durable);
        let mut expired = None;
        for (last, Timestamp(newest), len) in pages.chain(references) {
            let left = bytes - len;
            let is_too_much = rules.retention_bytes.is_some_and(|most| left >= most);
            let is_old = newest >= 0 && oldest.is_some_and(|oldest| newest < oldest);
            if is_too_much || is_old {
                (bytes, expired) = (left, Some(last));
            } else if newest >= 0 || oldest.is_none() {
                break;
            }
            // Nothing there has a time, perhaps since compaction has left nothing: it goes with what follows.
        }
        expired.map(|last| last.plus(1))
    }
}
