//! Committed offsets of groups: committing them, and asking for them.

use std::collections::BTreeMap;

use bytestring::ByteString;
use weir_ids::NodeId;
use weir_protocol::{
    ErrorCode,
    messages::{
        OffsetCommitRequest, OffsetFetchRequest,
        offset_commit::{OffsetCommitRequestPartition, OffsetCommitRequestTopic},
        offset_fetch::OffsetFetchRequestTopic,
    },
};

use super::{directory::Directory, wire::Gone};

const COMMIT_VERSION: i16 = 7;
const FETCH_VERSION: i16 = 7;

/// On whose behalf offsets are committed.
#[derive(Clone)]
pub(super) struct Committer {
    pub(super) group_id: ByteString,
    pub(super) member_id: ByteString,
    pub(super) generation: i32,
}

impl Committer {
    /// Who is not a member, and assigns partitions to itself.
    pub(super) fn alone(group: &str) -> Self {
        Self { group_id: group.into(), member_id: ByteString::new(), generation: -1 }
    }
}

/// Commits through `node`. What each partition was answered.
pub(super) async fn commit(
    directory: &Directory,
    node: NodeId,
    by: &Committer,
    offsets: &[(i32, i64)],
) -> Result<Vec<(i32, ErrorCode)>, Gone> {
    let topics = &directory.shared.topics;
    let mut by_topic: BTreeMap<&str, Vec<OffsetCommitRequestPartition>> = BTreeMap::new();
    for (partition, offset) in offsets {
        let (topic, partition_index) = topics.of(*partition);
        by_topic.entry(topic).or_default().push(OffsetCommitRequestPartition {
            partition_index,
            committed_offset: *offset,
            committed_leader_epoch: -1,
            committed_metadata: Some(ByteString::new()),
        });
    }
    let by_topic = by_topic.into_iter().map(|(name, partitions)| OffsetCommitRequestTopic {
        name: name.into(),
        partitions,
        ..Default::default()
    });
    let request = OffsetCommitRequest {
        group_id: by.group_id.clone(),
        generation_id_or_member_epoch: by.generation,
        member_id: by.member_id.clone(),
        topics: by_topic.collect(),
        ..Default::default()
    };
    let answer = directory.ask(node, COMMIT_VERSION, &request).await?;
    let answered = answer.topics.iter().flat_map(|topic| {
        topic.partitions.iter().filter_map(|partition| {
            let number = topics.number(&topic.name, partition.partition_index)?;
            Some((number, partition.error_code))
        })
    });
    Ok(answered.collect())
}

/// What `group` has committed for each of `partitions`, asked of `node`; -1 where it has nothing.
pub(super) async fn committed(
    directory: &Directory,
    node: NodeId,
    group: &ByteString,
    partitions: &[i32],
) -> Option<Vec<(i32, i64)>> {
    let topics = &directory.shared.topics;
    let mut by_topic: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for number in partitions {
        let (topic, partition) = topics.of(*number);
        by_topic.entry(topic).or_default().push(partition);
    }
    let asked = by_topic.into_iter().map(|(name, partition_indexes)| OffsetFetchRequestTopic {
        name: name.into(),
        partition_indexes,
    });
    let request = OffsetFetchRequest {
        group_id: group.clone(),
        topics: Some(asked.collect()),
        require_stable: true,
        ..Default::default()
    };
    let answer = directory.ask(node, FETCH_VERSION, &request).await.ok()?;
    if !answer.error_code.is_none() {
        return None;
    }
    let mut committed = Vec::new();
    for topic in &answer.topics {
        for partition in &topic.partitions {
            if !partition.error_code.is_none() {
                return None;
            }
            let number = topics.number(&topic.name, partition.partition_index)?;
            committed.push((number, partition.committed_offset));
        }
    }
    (committed.len() == partitions.len()).then_some(committed)
}
