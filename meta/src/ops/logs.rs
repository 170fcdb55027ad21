//! Reading the logs of many partitions.

use futures::future::try_join_all;
use weir_ids::{PartitionIndex, TopicPartition};

use crate::{
    Error,
    cas::{Found, read},
    model::{Log, Record},
    store::{MetaStore, PAGE_ENTRIES_MAX, Range},
};

/// From so many partitions on it is worth while to read those between them too.
const FEW: usize = 4;
/// How many more are read then at most.
const TIMES: usize = 8;

/// The logs of `partitions`, in their order: a request each where they lie apart, and a page of keys where
/// they lie close together, as those of one broker do.
pub(super) async fn read_logs(
    store: &dyn MetaStore,
    partitions: &[TopicPartition],
) -> Result<Vec<Option<Found<Log>>>, Error> {
    let (Some(first), Some(last)) = (partitions.iter().min(), partitions.iter().max()) else {
        return Ok(Vec::new());
    };
    let between = (last.partition.0.saturating_sub(first.partition.0)) as usize + 1;
    let close = first.topic == last.topic
        && partitions.len() > FEW
        && between <= (partitions.len() * TIMES).min(PAGE_ENTRIES_MAX);
    if !close {
        let keys: Vec<_> = partitions.iter().map(|partition| Log::key(*partition)).collect();
        return try_join_all(keys.iter().map(|key| read::<Log>(store, key))).await;
    }
    let mut range = Range::prefix(Log::prefix(first.topic)).limit(between);
    if let Some(before) = first.partition.0.checked_sub(1) {
        let before = TopicPartition::new(first.topic, PartitionIndex(before));
        range = range.after(Log::key(before));
    }
    let entries = store.range(range).await?.entries;
    let mut logs = Vec::with_capacity(partitions.len());
    for partition in partitions {
        let key = Log::key(*partition);
        let found = entries.binary_search_by(|entry| entry.key.cmp(&key)).ok();
        let found = found.map(|place| -> Result<_, Error> {
            let entry = &entries[place];
            Ok(Found { value: Log::decode(entry)?, revision: entry.mod_revision })
        });
        logs.push(found.transpose()?);
    }
    Ok(logs)
}

#[cfg(test)]
mod tests {
    use weir_ids::{LeaderEpoch, TopicId};

    use super::*;
    use crate::store::{Memory, Txn};

    fn at(topic: u128, number: u32) -> TopicPartition {
        TopicPartition::new(TopicId(uuid::Uuid::from_u128(topic)), PartitionIndex(number))
    }

    #[tokio::test]
    async fn close_or_apart_all_are_found_and_none_else() {
        let store = Memory::new();
        for topic in 1..4 {
            for number in (0..600).filter(|number| number % 7 != 3) {
                let log =
                    Log { leader_epoch: LeaderEpoch(number as i32), ..Log::new(LeaderEpoch::NONE) };
                store.txn(Txn::new().put(Log::key(at(topic, number)), log.encode())).await.unwrap();
            }
        }
        let every = |step: usize, from: u32, to: u32| -> Vec<TopicPartition> {
            (from..to).rev().step_by(step).map(|number| at(2, number)).collect()
        };
        let mut asked =
            vec![every(3, 0, 600), every(1, 5, 40), every(1, 590, 610), every(200, 0, 600)];
        asked.push(vec![at(1, 5), at(3, 5), at(2, 5), at(2, 3), at(9, 0)]);
        asked.push(Vec::new());
        for asked in asked {
            let found = read_logs(&store, &asked).await.unwrap();
            let found: Vec<Option<i32>> =
                found.iter().map(|log| log.as_ref().map(|log| log.value.leader_epoch.0)).collect();
            let known = |it: &TopicPartition| {
                let TopicPartition { topic, partition } = *it;
                let there = partition.0 < 600 && partition.0 % 7 != 3 && topic.0.as_u128() < 4;
                there.then_some(partition.0 as i32)
            };
            assert_eq!(found, asked.iter().map(known).collect::<Vec<_>>());
        }
    }
}
