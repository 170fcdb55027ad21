//! What a Produce request asks for, held against the cluster and the wire's own rules. No I/O.
//!
//! What a batch must be is the broker's to judge; here it is decided where it goes, and whether the
//! version of the request may carry it.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use bytestring::ByteString;
use weir_broker::client::{Acks, Append, AppendError, Appended, Origin, Refused};
use weir_ids::{NodeId, TopicId, TopicPartition};
use weir_meta::views::{Snapshot, TopicView};
use weir_protocol::{
    ErrorCode,
    messages::{
        ProduceRequest,
        produce::{PartitionProduceData, PartitionProduceResponse, TopicProduceData},
    },
    records::{BatchHeader, Compression, Rejection},
};

use crate::{cluster, handlers::codes, routing::Owners};

/// From this version on topics are named by id.
const BY_TOPIC_ID: i16 = 13;
/// Below this version zstd is refused (KIP-110).
const MAY_CARRY_ZSTD: i16 = 7;
/// How Kafka's own tools call themselves when they write to internal topics.
const ADMIN_CLIENT_ID: &str = "__admin_client";

/// What becomes of a request.
pub(super) struct Plan {
    /// The topics, each with the end of its partitions in `partitions`.
    pub(super) topics: Vec<(ByteString, TopicId, usize)>,
    pub(super) partitions: Vec<Partition>,
    /// What to hand to each broker, in the order of the request, with its place in `partitions`.
    pub(super) appends: Vec<(NodeId, Vec<(usize, Append)>)>,
}

/// What becomes of one partition's records.
pub(super) enum Partition {
    /// They are refused before any broker sees them.
    Failed(PartitionProduceResponse),
    /// They are handed to the partition's owner.
    Appending { index: i32, partition: TopicPartition, owner: NodeId },
}

impl Partition {
    /// What is said if they are handed to nobody.
    pub(super) fn untried(&self) -> Option<Result<Appended, AppendError>> {
        match self {
            Self::Failed(_) => None,
            Self::Appending { partition, .. } => Some(Err(AppendError::NotOwner(*partition))),
        }
    }
}

/// How to answer, from the number on the wire; `None` if it is none that Kafka has.
pub(super) fn acks(acks: i16) -> Option<Acks> {
    match acks {
        0 | 1 => Some(Acks::Buffered),
        -1 => Some(Acks::Durable),
        _ => None,
    }
}

impl Plan {
    pub(super) fn new(
        request: ProduceRequest,
        version: i16,
        client_id: Option<&ByteString>,
        snapshot: &Snapshot,
        owners: &Owners,
    ) -> Self {
        let acks = acks(request.acks);
        let may_write_internal = client_id.is_some_and(|id| *id == ADMIN_CLIENT_ID);
        let mut topics = Vec::with_capacity(request.topic_data.len());
        let mut partitions = Vec::new();
        let mut appends = BTreeMap::<NodeId, Vec<(usize, Append)>>::new();
        for TopicProduceData { name, topic_id, partition_data } in request.topic_data {
            let topic = find(&name, topic_id, version, may_write_internal, snapshot);
            for PartitionProduceData { index, records } in partition_data {
                let judged = acks.ok_or_else(invalid_acks).and_then(|acks| {
                    let topic = topic.as_ref().map_err(|code| (*code, None))?;
                    let records = records.map(|records| records.into_bytes()).unwrap_or_default();
                    let (partition, owner) = route(topic, index, snapshot, owners)?;
                    check_codec(&records, version)?;
                    Ok((partition, owner, append(partition, records, acks)))
                });
                partitions.push(match judged {
                    Ok((partition, owner, append)) => {
                        appends.entry(owner).or_default().push((partitions.len(), append));
                        Partition::Appending { index, partition, owner }
                    }
                    Err((code, message)) => {
                        Partition::Failed(codes::failed_partition(index, code, message))
                    }
                });
            }
            topics.push((name, topic_id, partitions.len()));
        }
        Self { topics, partitions, appends: appends.into_iter().collect() }
    }
}

type Failure = (ErrorCode, Option<ByteString>);

fn invalid_acks() -> Failure {
    (ErrorCode::INVALID_REQUIRED_ACKS, Some("acks must be 0, 1 or -1".into()))
}

fn find(
    name: &str,
    id: TopicId,
    version: i16,
    may_write_internal: bool,
    snapshot: &Snapshot,
) -> Result<Arc<TopicView>, ErrorCode> {
    let topic = if version >= BY_TOPIC_ID {
        snapshot.topic_by_id(id).ok_or(ErrorCode::UNKNOWN_TOPIC_ID)?
    } else {
        snapshot.topic(name).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?
    };
    if topic.internal && !may_write_internal {
        return Err(ErrorCode::INVALID_TOPIC_EXCEPTION);
    }
    Ok(Arc::clone(topic))
}

fn route(
    topic: &TopicView,
    index: i32,
    snapshot: &Snapshot,
    owners: &Owners,
) -> Result<(TopicPartition, NodeId), Failure> {
    let partition =
        cluster::partition(topic, index).ok_or((ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, None))?;
    let owner = owners.owner(partition, snapshot);
    let owner = owner.ok_or((ErrorCode::NOT_LEADER_OR_FOLLOWER, None))?;
    Ok((partition, owner))
}

fn check_codec(records: &Bytes, version: i16) -> Result<(), Failure> {
    if version >= MAY_CARRY_ZSTD {
        return Ok(());
    }
    match BatchHeader::parse(records, 0) {
        Ok(header) if header.attributes.compression() == Some(Compression::Zstd) => {
            let refused = Refused::Batch(Rejection::ZstdTooOld);
            Err((ErrorCode::UNSUPPORTED_COMPRESSION_TYPE, Some(refused.to_string().into())))
        }
        // What else may be wrong with it, the broker says.
        _ => Ok(()),
    }
}

fn append(partition: TopicPartition, records: Bytes, acks: Acks) -> Append {
    Append { partition, epoch: None, records, acks, expected: None, origin: Origin::Client }
}
