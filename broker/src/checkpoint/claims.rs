//! Which claims have been adopted: a checkpoint says through which number all have.

use std::collections::BTreeMap;

use weir_ids::{ClaimNumber, TopicPartition};

/// Partitions whose newest claim no checkpoint lists, and that claim.
pub(super) type Unlisted = BTreeMap<TopicPartition, ClaimNumber>;

/// The claims of this session.
#[derive(Default)]
pub(super) struct Claims {
    highest: Option<ClaimNumber>,
    open: BTreeMap<ClaimNumber, TopicPartition>,
    /// Claims that no checkpoint of the current chain lists: the newest of each partition.
    unlisted: Unlisted,
}

impl Claims {
    pub(super) fn claimed(&mut self, claims: Vec<(ClaimNumber, TopicPartition)>) {
        for (claim, partition) in claims {
            self.highest = self.highest.max(Some(claim));
            self.open.insert(claim, partition);
        }
    }

    /// These claims are opened, or were surely not made; with them goes every earlier claim of the same
    /// partitions, for nobody will ask any more what that one had adopted.
    pub(super) fn settled(&mut self, claims: &[ClaimNumber]) {
        let newest: BTreeMap<TopicPartition, ClaimNumber> =
            claims.iter().filter_map(|claim| Some((*self.open.get(claim)?, *claim))).collect();
        self.open.retain(|claim, partition| newest.get(partition).is_none_or(|it| claim > it));
        self.unlisted.extend(newest);
    }

    /// Every claim up to this one is settled.
    pub(super) fn settled_through(&self) -> ClaimNumber {
        match self.open.keys().next() {
            Some(first_open) => ClaimNumber(first_open.0 - 1),
            None => self.highest.unwrap_or(ClaimNumber::NONE),
        }
    }

    pub(super) fn unlisted(&self) -> &Unlisted {
        &self.unlisted
    }

    /// A checkpoint that lists these claims has been published. A partition that has been claimed again
    /// since it was made is listed there as it was before.
    pub(super) fn listed(&mut self, claims: &Unlisted) {
        self.unlisted.retain(|partition, claim| claims.get(partition) != Some(claim));
    }

    pub(super) fn closed(&mut self, partition: TopicPartition) {
        self.unlisted.remove(&partition);
    }
}

#[cfg(test)]
mod tests {
    use weir_segment_store::testing::partition;

    use super::*;

    #[test]
    fn adoption_has_no_gaps() {
        let mut claims = Claims::default();
        assert_eq!(claims.settled_through(), ClaimNumber::NONE);
        claims.claimed((1..=4).map(|n| (ClaimNumber(n), partition(n as u32))).collect());
        claims.settled(&[ClaimNumber(1), ClaimNumber(3), ClaimNumber(4)]);
        assert_eq!(claims.settled_through(), ClaimNumber(1), "claim 2 is still open");
        claims.settled(&[ClaimNumber(2)]);
        assert_eq!(claims.settled_through(), ClaimNumber(4));
    }

    #[test]
    fn a_claim_is_listed_only_by_a_checkpoint_that_was_made_after_it() {
        let mut claims = Claims::default();
        claims.claimed(vec![(ClaimNumber(1), partition(0)), (ClaimNumber(2), partition(1))]);
        claims.settled(&[ClaimNumber(1), ClaimNumber(2)]);
        let made = claims.unlisted().clone();
        claims.claimed(vec![(ClaimNumber(3), partition(0))]);
        claims.settled(&[ClaimNumber(3)]);
        claims.listed(&made);
        assert_eq!(*claims.unlisted(), [(partition(0), ClaimNumber(3))].into());
        let made = claims.unlisted().clone();
        claims.listed(&made);
        assert!(claims.unlisted().is_empty());
    }

    #[test]
    fn a_claim_settles_those_of_its_partition_before_it() {
        let mut claims = Claims::default();
        let of = |claim, index| (ClaimNumber(claim), partition(index));
        claims.claimed(vec![of(1, 0), of(2, 1), of(3, 0), of(4, 0)]);
        claims.settled(&[ClaimNumber(3)]);
        assert_eq!(claims.settled_through(), ClaimNumber(1), "claim 2 is another partition's");
        claims.settled(&[ClaimNumber(2)]);
        assert_eq!(claims.settled_through(), ClaimNumber(3), "claim 4 is later");
    }
}
