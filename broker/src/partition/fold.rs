//! References that are replaced by others to the same batches.

use weir_segment_store::fold::Rule;

use super::Partition;
use crate::fold::{Due, Folded};

impl Partition {
    /// Neighbours that are worth being written once more as one range.
    pub(crate) fn due(&self, rule: &Rule) -> Option<Due> {
        let references = &self.listing.references;
        let range = rule.due(references).filter(|_| !self.frozen)?;
        let references = references[range].to_vec();
        Some(Due { partition: self.id, epoch: self.epoch, references })
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
}
