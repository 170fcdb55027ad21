//! OffsetFetch.
//!
//! The request has two forms, for one group (to version 7) and for several. Both are brought to the
//! same questions: which offsets of which group. `require_stable` asks for what transactions have
//! not decided yet to be an error; nothing is undecided here, since only durable commits are
//! answered and transactions do not write offsets yet.

use std::collections::BTreeMap;

use bytestring::ByteString;
use futures::future;
use weir_ids::{PartitionIndex, TopicId};
use weir_protocol::{
    ErrorCode,
    messages::{
        OffsetFetchRequest, OffsetFetchResponse,
        offset_fetch::{
            OffsetFetchRequestGroup, OffsetFetchRequestTopics, OffsetFetchResponseGroup,
            OffsetFetchResponsePartition, OffsetFetchResponsePartitions, OffsetFetchResponseTopic,
            OffsetFetchResponseTopics,
        },
    },
};

use super::{code, commit::is_of};
use crate::{
    client::Caller,
    coordinator::Coordinator,
    group::{Error, GroupId},
    records::{Committed, OffsetKey},
    shard::Request,
};

/// From here on an error of the whole group has its own field.
const GROUP_ERROR_FROM: i16 = 2;
/// From here on a request is for several groups.
const GROUPS_FROM: i16 = 8;
/// From here on topics are named by id.
const TOPIC_IDS_FROM: i16 = 10;

/// What stands for "nothing is committed".
const NO_OFFSET: i64 = -1;

pub(super) async fn fetch(
    coordinator: &Coordinator,
    caller: &Caller,
    request: &OffsetFetchRequest,
) -> OffsetFetchResponse {
    if caller.api_version >= GROUPS_FROM {
        let by_id = caller.api_version >= TOPIC_IDS_FROM;
        let groups = request.groups.iter().map(|group| fetch_group(coordinator, group, by_id));
        let groups = future::join_all(groups).await;
        return OffsetFetchResponse { groups, ..OffsetFetchResponse::default() };
    }
    let topics = request.topics.as_ref().map(|topics| {
        let topic = |topic: &weir_protocol::messages::offset_fetch::OffsetFetchRequestTopic| {
            OffsetFetchRequestTopics {
                name: topic.name.clone(),
                topic_id: TopicId::NIL,
                partition_indexes: topic.partition_indexes.clone(),
            }
        };
        topics.iter().map(topic).collect()
    });
    let group_id = request.group_id.clone();
    let group = OffsetFetchRequestGroup { group_id, topics, ..Default::default() };
    let fetched = fetch_group(coordinator, &group, false).await;
    for_one_group(caller, &group, fetched)
}

/// The answer in its old form. The oldest has no place for an error but in each partition.
fn for_one_group(
    caller: &Caller,
    asked: &OffsetFetchRequestGroup,
    fetched: OffsetFetchResponseGroup,
) -> OffsetFetchResponse {
    let error_code = fetched.error_code;
    let mut topics = fetched.topics;
    if !error_code.is_none() && caller.api_version < GROUP_ERROR_FROM {
        let asked = asked.topics.iter().flatten();
        topics = asked.map(|topic| refused_topic(topic, error_code)).collect();
    }
    let topics = topics.into_iter().map(|topic| OffsetFetchResponseTopic {
        name: topic.name,
        partitions: topic.partitions.into_iter().map(old_partition).collect(),
    });
    OffsetFetchResponse { topics: topics.collect(), error_code, ..Default::default() }
}

fn old_partition(partition: OffsetFetchResponsePartitions) -> OffsetFetchResponsePartition {
    OffsetFetchResponsePartition {
        partition_index: partition.partition_index,
        committed_offset: partition.committed_offset,
        committed_leader_epoch: partition.committed_leader_epoch,
        metadata: partition.metadata,
        error_code: partition.error_code,
    }
}

async fn fetch_group(
    coordinator: &Coordinator,
    asked: &OffsetFetchRequestGroup,
    by_id: bool,
) -> OffsetFetchResponseGroup {
    let topics = match &asked.topics {
        Some(topics) => fetch_topics(coordinator, &asked.group_id, topics, by_id).await,
        None => fetch_all(coordinator, &asked.group_id, by_id).await,
    };
    let group_id = asked.group_id.clone();
    match topics {
        Ok(topics) => OffsetFetchResponseGroup { group_id, topics, ..Default::default() },
        Err(error) => {
            OffsetFetchResponseGroup { group_id, error_code: code(error), ..Default::default() }
        }
    }
}

async fn fetch_topics(
    coordinator: &Coordinator,
    group: &str,
    topics: &[OffsetFetchRequestTopics],
    by_id: bool,
) -> Result<Vec<OffsetFetchResponseTopics>, Error> {
    let cluster = &coordinator.context().cluster;
    // The name of each topic, and its id as the cluster has it now.
    let resolve = |topic: &OffsetFetchRequestTopics| match by_id {
        true => cluster.topic_by_id(topic.topic_id).map(|found| (found.name, found.id)),
        false => {
            let id = cluster.topic_by_name(&topic.name).map_or(TopicId::NIL, |found| found.id);
            Some((topic.name.clone(), id))
        }
    };
    let resolved: Vec<_> = topics.iter().map(|topic| (topic, resolve(topic))).collect();
    let mut keys = Vec::new();
    for (topic, found) in &resolved {
        let Some((name, _)) = found else { continue };
        // A partition below 0 is asked for as one that can't exist.
        keys.extend(topic.partition_indexes.iter().map(|index| OffsetKey {
            topic: name.clone(),
            partition: PartitionIndex(u32::try_from(*index).unwrap_or(u32::MAX)),
        }));
    }
    let group = GroupId::from(group);
    let ask = coordinator.ask(&group, |to| Request::Fetch(group.clone(), keys, to));
    let mut found = ask.await??.into_iter();
    let answers = resolved.into_iter().map(|(topic, resolved)| {
        let Some((_, id)) = resolved else {
            return refused_topic(topic, ErrorCode::UNKNOWN_TOPIC_ID);
        };
        let partitions = topic.partition_indexes.iter().map(|index| {
            let committed = found.next().flatten().filter(|committed| is_of(committed, id));
            answer(*index, committed)
        });
        named(topic, partitions.collect())
    });
    Ok(answers.collect())
}

async fn fetch_all(
    coordinator: &Coordinator,
    group: &str,
    by_id: bool,
) -> Result<Vec<OffsetFetchResponseTopics>, Error> {
    let cluster = &coordinator.context().cluster;
    let group = GroupId::from(group);
    let ask = coordinator.ask(&group, |to| Request::FetchAll(group.clone(), to));
    let mut by_topic: BTreeMap<ByteString, Vec<(OffsetKey, Committed)>> = BTreeMap::new();
    for (key, committed) in ask.await?? {
        by_topic.entry(key.topic.clone()).or_default().push((key, committed));
    }
    let topics = by_topic.into_iter().filter_map(|(name, offsets)| {
        let topic_id = cluster.topic_by_name(&name).map_or(TopicId::NIL, |topic| topic.id);
        if by_id && topic_id == TopicId::NIL {
            return None;
        }
        let offsets = offsets.into_iter().filter(|(_, committed)| is_of(committed, topic_id));
        let partitions = offsets.map(|(key, committed)| {
            // Came out of an `i32`.
            answer(i32::try_from(key.partition.0).unwrap_or(i32::MAX), Some(committed))
        });
        Some(OffsetFetchResponseTopics { name, topic_id, partitions: partitions.collect() })
    });
    Ok(topics.filter(|topic| !topic.partitions.is_empty()).collect())
}

fn answer(index: i32, committed: Option<Committed>) -> OffsetFetchResponsePartitions {
    let Some(committed) = committed else { return without_offset(index, ErrorCode::NONE) };
    OffsetFetchResponsePartitions {
        partition_index: index,
        committed_offset: committed.offset.0,
        committed_leader_epoch: committed.leader_epoch.0,
        metadata: Some(committed.metadata),
        error_code: ErrorCode::NONE,
    }
}

fn without_offset(index: i32, error_code: ErrorCode) -> OffsetFetchResponsePartitions {
    OffsetFetchResponsePartitions {
        partition_index: index,
        committed_offset: NO_OFFSET,
        metadata: Some(ByteString::new()),
        error_code,
        ..Default::default()
    }
}

fn refused_topic(topic: &OffsetFetchRequestTopics, error: ErrorCode) -> OffsetFetchResponseTopics {
    let partitions = topic.partition_indexes.iter().map(|index| without_offset(*index, error));
    named(topic, partitions.collect())
}

fn named(
    topic: &OffsetFetchRequestTopics,
    partitions: Vec<OffsetFetchResponsePartitions>,
) -> OffsetFetchResponseTopics {
    OffsetFetchResponseTopics { name: topic.name.clone(), topic_id: topic.topic_id, partitions }
}
