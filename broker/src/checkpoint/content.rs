//! What a checkpoint says. No I/O.

use std::collections::BTreeMap;

use weir_ids::{LeaderEpoch, TopicPartition};
use weir_runtime::planted::{Bug, is_planted};
use weir_segment_store::checkpoint::{Line, Listing};

use crate::shard::LogStart;

/// Makes the lines of a checkpoint.
///
/// `deltas` is what the slots brought. `wholes` are the listings, as of the checkpoint before, of the
/// partitions that must be listed whole: all of them in a full checkpoint, the newly adopted and those
/// that were folded in a delta. `gone` were listed in this chain and have been given up. A delta of a partition that is not
/// there any more, or that belongs to an epoch before its present one, is void.
pub(super) fn lines(
    deltas: &BTreeMap<TopicPartition, (LeaderEpoch, Listing)>,
    mut wholes: BTreeMap<TopicPartition, Listing>,
    listed: impl Fn(&TopicPartition) -> bool,
    gone: impl Iterator<Item = TopicPartition>,
) -> BTreeMap<TopicPartition, Line> {
    let mut lines: BTreeMap<_, _> = gone.map(|partition| (partition, Line::Gone)).collect();
    for (partition, (epoch, delta)) in deltas {
        match wholes.get_mut(partition) {
            Some(whole) if *epoch == whole.epoch => whole.extend(delta.clone()),
            Some(_) => {}
            None if listed(partition) => {
                lines.insert(*partition, Line::Delta(delta.clone()));
            }
            None => {}
        }
    }
    if is_planted(Bug::AdoptedNotListed) {
        wholes.retain(|partition, _| listed(partition) || deltas.contains_key(partition));
    }
    lines.extend(wholes.into_iter().map(|(partition, listing)| (partition, Line::Whole(listing))));
    lines
}

/// Says of logs that they begin later.
pub(super) fn add_starts<'a>(
    deltas: &mut BTreeMap<TopicPartition, (LeaderEpoch, Listing)>,
    starts: impl Iterator<Item = &'a LogStart>,
) {
    for start in starts {
        let (epoch, delta) = deltas
            .entry(start.partition)
            .or_insert_with(|| (start.epoch, Listing { epoch: start.epoch, ..Listing::default() }));
        if *epoch == start.epoch {
            delta.log_start = delta.log_start.max(start.offset);
        }
    }
}

#[cfg(test)]
mod tests {
    use weir_ids::Offset;
    use weir_segment_store::testing::partition;

    use super::*;

    fn upto(next: i64, epoch: i32) -> Listing {
        Listing { next: Offset(next), epoch: LeaderEpoch(epoch), ..Listing::default() }
    }

    #[test]
    fn each_partition_gets_the_line_that_it_needs() {
        let delta = |index, epoch| (partition(index), (LeaderEpoch(epoch), upto(9, epoch)));
        let deltas = BTreeMap::from([delta(0, 1), delta(1, 1), delta(2, 1), delta(3, 1)]);
        let wholes = BTreeMap::from([
            (partition(0), upto(5, 1)),
            (partition(2), upto(20, 2)),
            (partition(4), upto(7, 1)),
        ]);
        let listed = |listed: &TopicPartition| *listed == partition(1);
        let lines = lines(&deltas, wholes, listed, [partition(5)].into_iter());
        assert_eq!(lines[&partition(0)], Line::Whole(upto(9, 1)), "whole, with what came on top");
        assert_eq!(lines[&partition(1)], Line::Delta(upto(9, 1)));
        assert_eq!(lines[&partition(2)], Line::Whole(upto(20, 2)), "claimed anew since");
        assert!(!lines.contains_key(&partition(3)), "given up before it was ever listed");
        assert_eq!(lines[&partition(4)], Line::Whole(upto(7, 1)), "adopted, untouched");
        assert_eq!(lines[&partition(5)], Line::Gone);
    }
}
