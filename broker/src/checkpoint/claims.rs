//! Which claims have been adopted: a checkpoint says through which number all have.

use std::collections::{BTreeMap, BTreeSet};

use weir_ids::{ClaimNumber, TopicPartition};

/// The claims of this session.
#[derive(Default)]
pub(super) struct Claims {
    highest: Option<ClaimNumber>,
    open: BTreeMap<ClaimNumber, TopicPartition>,
    /// Partitions that no checkpoint of the current chain lists whole.
    unlisted: BTreeSet<TopicPartition>,
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
        self.unlisted.extend(newest.into_keys());
    }

    /// Every claim up to this one is settled.
    pub(super) fn settled_through(&self) -> ClaimNumber {
        match self.open.keys().next() {
            Some(first_open) => ClaimNumber(first_open.0 - 1),
            None => self.highest.unwrap_or(ClaimNumber::NONE),
        }
    }

    pub(super) fn unlisted(&self) -> &BTreeSet<TopicPartition> {
        &self.unlisted
    }

    /// A checkpoint that lists these whole has been published.
    pub(super) fn listed<'a>(&mut self, partitions: impl Iterator<Item = &'a TopicPartition>) {
        for partition in partitions {
            self.unlisted.remove(partition);
        }
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
