//! Which records have been there for long enough.

use weir_ids::{Offset, Timestamp};

use super::Partition;

impl Partition {
    /// Where the log is to begin by its topic's rules, if that is further on than it does. Ranges go whole: what shares
    /// one with a record that is to stay, stays. What no checkpoint names yet stays too.
    pub(crate) fn expired(&self, now: Timestamp) -> Option<Offset> {
        let rules = &self.rules;
        let oldest = rules.retention_ms.map(|ms| now.0.saturating_sub(ms));
        if self.frozen || oldest.is_none() && rules.retention_bytes.is_none() {
            return None;
        }
        let references = &self.listing.references;
        let mut bytes: u64 = references.iter().map(|it| u64::from(it.data.len)).sum();
        bytes += self.tail.bytes_between(self.listing.next, self.durable);
        let expired = references.iter().take_while(|reference| {
            let left = bytes - u64::from(reference.data.len);
            let Timestamp(newest) = reference.max_timestamp;
            let old = newest >= 0 && oldest.is_some_and(|oldest| newest < oldest);
            let goes = old || rules.retention_bytes.is_some_and(|most| left >= most);
            if goes {
                bytes = left;
            }
            goes
        });
        expired.last().map(|reference| reference.last.plus(1))
    }
}
