//! At a million partitions a view stays under 100 MiB. Alone in its process, so that what the
//! process grows by is the view.

#![allow(clippy::unwrap_used, reason = "a test should panic")]

use std::{collections::BTreeMap, sync::Arc};

use weir_ids::{LeaderEpoch, NodeId, TopicId};
use weir_meta::{
    Metadata,
    model::{Assignment, Record, Topic, TopicState},
    store::{Memory, MetaStore, Txn},
    views::View,
};
use weir_runtime::Tasks;

const TOPICS: u32 = 100_000;
const PARTITIONS_PER_TOPIC: u32 = 10;

/// What this process has in memory.
fn resident_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    let kib: usize = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib << 10
}

#[tokio::test]
async fn a_million_partitions_fit() {
    let store = Memory::new();
    for n in 0..TOPICS {
        let id = TopicId(uuid::Uuid::from_u128(u128::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        let topic = Topic {
            id,
            partitions: PARTITIONS_PER_TOPIC,
            replication_factor: 3,
            configs: BTreeMap::new(),
            internal: false,
            highest_epoch: LeaderEpoch::NONE,
            state: TopicState::Live,
        };
        let nodes = (0..PARTITIONS_PER_TOPIC).map(|p| NodeId((n + p) % 50)).collect();
        let txn = Txn::new()
            .put(Topic::key(&format!("a-topic-with-a-usual-name-{n}")), topic.encode())
            .put(Assignment::key(id), Assignment { nodes }.encode());
        store.txn(txn).await.unwrap();
    }
    let before = resident_bytes();
    let tasks = Tasks::new();
    let view = View::follow(Metadata::new(Arc::new(store)), &tasks).await.unwrap();
    let grown = resident_bytes().saturating_sub(before);
    assert_eq!(view.now().partition_count(), 1_000_000);
    println!("a view of 1,000,000 partitions in {TOPICS} topics: {} MiB", grown >> 20);
    assert!(grown < 100 << 20, "{} MiB", grown >> 20);
    tasks.shutdown().await.unwrap();
}
