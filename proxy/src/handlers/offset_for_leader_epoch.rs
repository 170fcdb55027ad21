//! OffsetForLeaderEpoch: where an epoch of a partition ended, by its owner (KIP-320).

use futures::{StreamExt, stream};
use tokio::time::Instant;
use weir_broker::client::{Offsets, ReadError};
use weir_ids::{LeaderEpoch, Offset, TopicPartition};
use weir_protocol::{
    ErrorCode,
    messages::{
        OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse,
        offset_for_leader_epoch::{
            EpochEndOffset, OffsetForLeaderPartition, OffsetForLeaderTopicResult,
        },
    },
};

use super::{
    Answer, Handlers, list_offsets::check_epoch, list_offsets::refused, owners, patience::PATIENCE,
};
use crate::cluster;

/// How many partitions of a request are looked up at the same time.
const AT_ONCE: usize = 16;

/// Where no epoch ended.
const NOWHERE: (LeaderEpoch, Offset) = (LeaderEpoch::NONE, Offset(-1));

pub(super) async fn handle(handlers: &Handlers, request: OffsetForLeaderEpochRequest) -> Answer {
    let now = handlers.view.now();
    let deadline = Instant::now() + PATIENCE;
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let view = now.topic(&topic.topic);
        let found = topic.partitions.iter();
        let found = found.map(|it| view.and_then(|view| cluster::partition(view, it.partition)));
        let found: Vec<Option<TopicPartition>> = found.collect();
        let known: Vec<TopicPartition> = found.iter().flatten().copied().collect();
        let mut told = owners::offsets_by(handlers, &known, deadline).await.into_iter();
        let ends = found.into_iter().zip(&topic.partitions).map(|(partition, asked)| {
            let told = partition.and_then(|partition| Some((partition, told.next()?)));
            async move {
                let end = match told {
                    None => Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
                    Some((partition, told)) => end(handlers, partition, told, asked).await,
                };
                let ((epoch, offset), error_code) = match end {
                    Ok(end) => (end, ErrorCode::NONE),
                    Err(code) => (NOWHERE, code),
                };
                let (leader_epoch, end_offset) = (epoch.0, offset.0);
                EpochEndOffset { error_code, partition: asked.partition, leader_epoch, end_offset }
            }
        });
        let ends: Vec<_> = ends.collect();
        let partitions = stream::iter(ends).buffered(AT_ONCE).collect().await;
        topics.push(OffsetForLeaderTopicResult { topic: topic.topic, partitions });
    }
    Answer::of(OffsetForLeaderEpochResponse { topics, ..Default::default() })
}

async fn end(
    handlers: &Handlers,
    partition: TopicPartition,
    told: Result<Offsets, ReadError>,
    asked: &OffsetForLeaderPartition,
) -> Result<(LeaderEpoch, Offset), ErrorCode> {
    let offsets = told.map_err(|error| refused(partition, &error))?;
    check_epoch(asked.current_leader_epoch, offsets.epoch)?;
    let wanted = LeaderEpoch(asked.leader_epoch);
    if wanted.0 < 0 || wanted > offsets.epoch {
        return Ok(NOWHERE);
    }
    let broker = handlers.owner(partition).ok_or(ErrorCode::NOT_LEADER_OR_FOLLOWER)?;
    let end = broker.epoch_end(partition, wanted).await;
    let end = end.map_err(|error| refused(partition, &error))?;
    // Of older epochs there is nothing left: they ended where the log begins, as with Kafka.
    Ok(end.unwrap_or((wanted, offsets.log_start)))
}
