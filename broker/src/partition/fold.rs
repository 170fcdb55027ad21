//! References that are replaced by others to the same batches, or by pages that list them.

use weir_ids::Offset;
use weir_segment_store::{
    fold::{Rule, Segment},
    pages::{Page, PageRef},
};

use super::Partition;
use crate::fold::{Due, DuePage, Folded, OldPage, Paged, Wanted};

impl Partition {
    /// Neighbours that are to be written once more as one range.
    pub(crate) fn due(&self, rule: &Rule, wanted: &Wanted) -> Option<Due> {
        let (references, segment) = (&self.listing.references, self.segment());
        if self.frozen || self.compacting {
            return None;
        }
        let range = match wanted {
            Wanted::Short => rule.due(references, segment)?,
            Wanted::In(objects) => rule.lying_in(references, objects, segment)?,
        };
        let references = references[range].to_vec();
        let (partition, epoch, lifetime) = (self.id, self.epoch, self.rules.lifetime());
        Some(Due { partition, epoch, lifetime, references })
    }

    fn segment(&self) -> Segment {
        Segment { bytes: self.rules.segment_bytes, ms: self.rules.segment_ms }
    }

    /// They have been. Returns whether the partition refers to what was made of them from now on: not if some are
    /// gone, because the log begins later now.
    pub(crate) fn folded(&mut self, folded: Folded) -> bool {
        let Folded { due, by } = folded;
        let (Some(first), references) = (due.references.first(), &mut self.listing.references)
        else {
            return false;
        };
        let begin = references.partition_point(|reference| reference.base < first.base);
        let range = begin..begin + due.references.len();
        if due.epoch != self.epoch || references.get(range.clone()) != Some(&due.references[..]) {
            return false;
        }
        references.splice(range, by);
        assert!(self.listing.is_dense(), "{}: a fold leaves a hole: {:?}", self.id, self.listing);
        true
    }

    /// The oldest that it refers to, if there is so much that a page is to list it.
    pub(crate) fn due_page(&self, entries: usize) -> Option<DuePage> {
        let entries = self.listing.due_page(entries)?;
        if self.frozen || self.rules.compacted {
            return None; // Compaction needs all of them.
        };
        Some(DuePage { epoch: self.epoch, page: Page { partition: self.id, entries } })
    }

    /// There is such a page now. Returns whether the partition refers to it from now on: not if some of what it lists
    /// is gone.
    pub(crate) fn paged(&mut self, paged: &Paged) -> bool {
        let Paged { due: DuePage { epoch, page }, at } = paged;
        let is_paged = *epoch == self.epoch && self.listing.page_off(&page.entries, *at);
        assert!(self.listing.is_dense(), "{}: a page leaves a hole: {:?}", self.id, self.listing);
        is_paged
    }

    /// The page that leads to `offset`, if something of it is to be written once more.
    pub(crate) fn page_of(&self, offset: Offset) -> Option<OldPage> {
        if self.frozen || self.compacting {
            return None;
        }
        let page = *self.listing.pages.iter().find(|it| it.base <= offset && offset <= it.last)?;
        let (epoch, lifetime, segment) = (self.epoch, self.rules.lifetime(), self.segment());
        Some(OldPage { partition: self.id, epoch, lifetime, segment, page })
    }

    /// Another page lists the same offsets. Returns whether the partition refers to it from now on: not if the old one
    /// is gone.
    pub(crate) fn page_replaced(&mut self, old: &OldPage, by: PageRef) -> bool {
        let pages = &mut self.listing.pages;
        let found = pages.iter_mut().find(|it| **it == old.page);
        let Some(found) = found.filter(|_| old.epoch == self.epoch) else { return false };
        *found = by;
        assert!(self.listing.is_dense(), "{}: a page leaves a hole: {:?}", self.id, self.listing);
        true
    }
}
