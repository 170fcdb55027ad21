//! A partition that this session has released and still covers: its checkpoints tell of it until no
//! `logs/` key needs them any more (DESIGN §6).

use weir_ids::LeaderEpoch;
use weir_segment_store::checkpoint::Listing;

use crate::Named;

/// What checkpoints say of a released partition.
pub(crate) struct Covered(Listing);

impl Covered {
    /// `listing` is under the epoch in which the partition was owned.
    pub(super) fn new(listing: Listing) -> Self {
        Self(listing)
    }

    /// A checkpoint has been written that covers everything up to `delta.next`.
    pub(crate) fn checkpointed(&mut self, epoch: LeaderEpoch, delta: Listing) {
        if epoch == self.0.epoch {
            let log_start = self.0.log_start;
            self.0.extend(delta);
            self.0.start_at(log_start);
        }
    }

    pub(crate) fn listing(&self) -> Listing {
        self.0.clone()
    }

    /// Names what its records are read from.
    pub(crate) fn add_to(&self, named: &mut Named) {
        named.add(&self.0);
    }
}
