//! OffsetCommit.
//!
//! Which partitions exist is checked against the cluster's view, as every broker of Kafka does; a
//! view that lags answers with a retriable error.

use bytestring::ByteString;
use weir_ids::{LeaderEpoch, Offset, PartitionIndex, Timestamp, TopicId};
use weir_protocol::{
    ErrorCode,
    messages::{
        OffsetCommitRequest, OffsetCommitResponse,
        offset_commit::{
            OffsetCommitRequestPartition, OffsetCommitRequestTopic, OffsetCommitResponsePartition,
            OffsetCommitResponseTopic,
        },
    },
};

use super::{code, identity};
use crate::{
    client::Caller,
    cluster::Topic,
    coordinator::Coordinator,
    group::{Error, GroupId},
    records::{Committed, OffsetKey},
    shard::Request,
};

/// From here on topics are named by id.
const TOPIC_IDS_FROM: i16 = 10;
/// From here on clients understand that a group is not there.
const GROUP_NOT_FOUND_FROM: i16 = 9;

pub(super) async fn commit(
    coordinator: &Coordinator,
    caller: &Caller,
    request: &OffsetCommitRequest,
) -> OffsetCommitResponse {
    let mut accepted = Vec::new();
    let mut topics: Vec<OffsetCommitResponseTopic> = Vec::with_capacity(request.topics.len());
    let check = Check::new(coordinator, caller, request);
    for topic in &request.topics {
        topics.push(check.topic(topic, &mut accepted));
    }
    let result = if accepted.is_empty() && !request.topics.is_empty() {
        Ok(())
    } else {
        let group = GroupId::from(&*request.group_id);
        let from = identity(
            &request.member_id,
            request.group_instance_id.as_ref(),
            request.generation_id_or_member_epoch,
        );
        let ask = coordinator.ask(&group, |to| Request::Commit(group.clone(), from, accepted, to));
        ask.await.and_then(|answer| answer)
    };
    if let Err(error) = result {
        let error_code = match error {
            Error::GroupNotFound if caller.api_version < GROUP_NOT_FOUND_FROM => {
                ErrorCode::ILLEGAL_GENERATION
            }
            error => code(error),
        };
        let partitions = topics.iter_mut().flat_map(|topic| &mut topic.partitions);
        partitions.filter(|partition| partition.error_code.is_none()).for_each(|partition| {
            partition.error_code = error_code;
        });
    }
    OffsetCommitResponse { topics, ..OffsetCommitResponse::default() }
}

/// What a commit's partitions are checked against.
struct Check<'a> {
    coordinator: &'a Coordinator,
    by_id: bool,
    metadata_max: usize,
    now: Timestamp,
    expires: Option<Timestamp>,
}

impl<'a> Check<'a> {
    fn new(coordinator: &'a Coordinator, caller: &Caller, request: &OffsetCommitRequest) -> Self {
        let context = coordinator.context();
        let now = context.runtime.now();
        let keep = u64::try_from(request.retention_time_ms).ok();
        let expires = keep.map(|_| Timestamp(now.0.saturating_add(request.retention_time_ms)));
        Self {
            coordinator,
            by_id: caller.api_version >= TOPIC_IDS_FROM,
            metadata_max: context.settings.offset_metadata_max_bytes,
            now,
            expires,
        }
    }

    /// Adds what may be committed of a topic, and gives the topic's part of the answer for the case
    /// that it is.
    fn topic(
        &self,
        topic: &OffsetCommitRequestTopic,
        accepted: &mut Vec<(OffsetKey, Committed)>,
    ) -> OffsetCommitResponseTopic {
        let cluster = &self.coordinator.context().cluster;
        let found = match self.by_id {
            true => cluster.topic_by_id(topic.topic_id),
            false => cluster.topic_by_name(&topic.name),
        };
        let unknown = match self.by_id {
            true => ErrorCode::UNKNOWN_TOPIC_ID,
            false => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        };
        let partitions = topic.partitions.iter().map(|partition| {
            let checked = match &found {
                Some(found) => self.partition(found, partition),
                None => Err(unknown),
            };
            let error_code = match checked {
                Ok(commit) => {
                    accepted.push(commit);
                    ErrorCode::NONE
                }
                Err(error) => error,
            };
            OffsetCommitResponsePartition { partition_index: partition.partition_index, error_code }
        });
        OffsetCommitResponseTopic {
            partitions: partitions.collect(),
            name: topic.name.clone(),
            topic_id: topic.topic_id,
        }
    }

    fn partition(
        &self,
        topic: &Topic,
        partition: &OffsetCommitRequestPartition,
    ) -> Result<(OffsetKey, Committed), ErrorCode> {
        let index = u32::try_from(partition.partition_index).ok();
        let index = index.filter(|index| *index < topic.partitions);
        let index = index.ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
        let metadata = partition.committed_metadata.as_deref().unwrap_or_default();
        // Kafka counts the characters that Java does.
        if metadata.len() > self.metadata_max && metadata.encode_utf16().count() > self.metadata_max
        {
            return Err(ErrorCode::OFFSET_METADATA_TOO_LARGE);
        }
        let key = OffsetKey { topic: topic.name.clone(), partition: PartitionIndex(index) };
        let committed = Committed {
            offset: Offset(partition.committed_offset),
            leader_epoch: LeaderEpoch(partition.committed_leader_epoch.max(-1)),
            metadata: ByteString::from(metadata),
            at: self.now,
            expires: self.expires,
            topic_id: topic.id,
        };
        Ok((key, committed))
    }
}

/// Whether an offset is of this very topic, not of one that had its name before.
pub(super) fn is_of(committed: &Committed, topic: TopicId) -> bool {
    committed.topic_id == TopicId::NIL || topic == TopicId::NIL || committed.topic_id == topic
}
