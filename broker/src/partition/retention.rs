//! Which records have been there for long enough.

use weir_ids::{LeaderEpoch, Timestamp, TopicPartition};
use weir_segment_store::{checkpoint::Listing, pages::PageRef};

use super::Partition;
use crate::retention::Expiry;

/// What may have to go of a partition.
#[derive(Clone, Debug)]
pub(crate) struct Expired {
    pub(crate) partition: TopicPartition,
    pub(crate) epoch: LeaderEpoch,
    /// What goes for sure.
    pub(crate) expiry: Expiry,
    /// A page of which a part may go: what it lists is to be looked at next.
    pub(crate) look: Option<PageRef>,
}

impl Partition {
    /// What may have to go by the topic's rules. What no checkpoint names yet stays.
    pub(crate) fn expired(&self, now: Timestamp) -> Option<Expired> {
        if self.frozen {
            return None;
        }
        let Listing { log_start, pages, references, next, .. } = &self.listing;
        let bytes = self.listing.stored_bytes() + self.tail.bytes_between(*next, self.durable);
        let mut expiry = Expiry::new(&self.rules, now, *log_start, bytes)?;
        let stays = expiry.pages(pages).copied();
        if stays.is_none() {
            expiry.references(references);
        }
        let look = stays.filter(|page| expiry.is_worth_a_look(page));
        let (partition, epoch) = (self.id, self.epoch);
        (look.is_some() || expiry.start().is_some()).then_some(Expired {
            partition,
            epoch,
            expiry,
            look,
        })
    }
}
