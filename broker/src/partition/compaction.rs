//! Whether log compaction is worth it, and what it has come to.

use weir_ids::{LeaderEpoch, Offset, Timestamp};
use weir_segment_store::{Reference, checkpoint::Listing, pages::PageRef};

use super::Partition;
use crate::compaction::Dirty;

/// How long little waits.
const PATIENCE_MS: i64 = 600_000;

impl Partition {
    /// What is to be compacted, if that is worth it: less than `least_bytes` only after a while. From then on nothing is folded until the pass has ended.
    pub(crate) fn dirty(&mut self, least_bytes: u64, now: Timestamp) -> Option<Dirty> {
        let rules = &self.rules;
        if self.frozen || !rules.compacted {
            return None;
        }
        let Listing { pages, references, cleaned, .. } = &self.listing;
        let oldest = now.0.saturating_sub(rules.min_compaction_lag_ms);
        let is_old = |it: &&Reference| it.last < *cleaned || it.max_timestamp.0 <= oldest;
        let old = match rules.min_compaction_lag_ms {
            0 => references.len(),
            _ => references.iter().take_while(is_old).count(),
        };
        let references = &references[..old];
        let first = references.partition_point(|it| it.last < *cleaned);
        let since = references.get(first)?.max_timestamp.0;
        let bytes = |of: &[Reference]| of.iter().map(|it| u64::from(it.data.len)).sum::<u64>();
        let (clean, dirty) = (bytes(&references[..first]), bytes(&references[first..]));
        let paged: u64 = pages.iter().map(|page| page.bytes).sum();
        let least = u128::from(clean + paged + dirty) * u128::from(rules.min_dirty_ppm);
        let overdue = since < now.0.saturating_sub(rules.max_compaction_lag_ms);
        let is_much = dirty >= least_bytes || since < now.0.saturating_sub(PATIENCE_MS);
        let worth = overdue || is_much && u128::from(dirty) * 1_000_000 >= least;
        if !worth {
            return None;
        }
        let dirty = Dirty {
            partition: self.id,
            epoch: self.epoch,
            cleaned: *cleaned,
            references: references.to_vec(),
            pages: pages.clone(),
            delete_retention_ms: rules.delete_retention_ms,
        };
        self.compacting = true;
        Some(dirty)
    }

    /// No pass is under way.
    pub(crate) fn end_compaction(&mut self) {
        self.compacting = false;
    }

    /// A pass has left out what has a later record below `until`. Returns whether that is news.
    pub(crate) fn compacted(&mut self, epoch: LeaderEpoch, until: Offset) -> bool {
        self.compacting = false;
        let is_news = epoch == self.epoch && until > self.listing.cleaned && !self.frozen;
        if is_news {
            self.listing.cleaned = until;
        }
        is_news
    }

    /// What these pages list is held here again. Returns whether it is.
    pub(crate) fn unpage(
        &mut self,
        epoch: LeaderEpoch,
        pages: &[PageRef],
        references: Vec<Reference>,
    ) -> bool {
        let unpaged = epoch == self.epoch && !self.frozen && self.listing.unpage(pages, references);
        assert!(self.listing.is_dense(), "{}: pages leave a hole: {:?}", self.id, self.listing);
        unpaged
    }
}
