//! DeleteRecords: logs begin later, up to where they end.

use futures::{StreamExt, stream};
use tokio::time::{Instant, sleep_until};
use weir_broker::client::ReadError;
use weir_ids::{Offset, TopicPartition};
use weir_protocol::{
    ErrorCode,
    messages::{
        DeleteRecordsRequest, DeleteRecordsResponse,
        delete_records::{DeleteRecordsPartitionResult, DeleteRecordsTopicResult},
    },
};

use super::{Answer, Handlers, admin, codes, patience::Pauses};
use crate::cluster;

/// How many partitions of a request are worked on at the same time.
const AT_ONCE: usize = 16;

/// What a client asks for that means the high watermark.
const ALL_VISIBLE: i64 = -1;

/// What is told of a log that was not changed.
const NOWHERE: i64 = -1;

pub(super) async fn handle(handlers: &Handlers, request: DeleteRecordsRequest) -> Answer {
    let deadline = admin::deadline(request.timeout_ms);
    let now = handlers.view.now();
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let view = now.topic(&topic.name);
        let deletions = topic.partitions.iter().map(|asked| {
            let partition = view.and_then(|view| cluster::partition(view, asked.partition_index));
            let (partition_index, offset) = (asked.partition_index, asked.offset);
            async move {
                let deleted = match partition {
                    None => Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
                    Some(partition) => delete(handlers, partition, offset, deadline).await,
                };
                let (low_watermark, error_code) = match deleted {
                    Ok(start) => (start.0, ErrorCode::NONE),
                    Err(code) => (NOWHERE, code),
                };
                DeleteRecordsPartitionResult { partition_index, low_watermark, error_code }
            }
        });
        let deletions: Vec<_> = deletions.collect();
        let partitions = stream::iter(deletions).buffered(AT_ONCE).collect().await;
        topics.push(DeleteRecordsTopicResult { name: topic.name, partitions });
    }
    Answer::of(DeleteRecordsResponse { topics, ..DeleteRecordsResponse::default() })
}

/// An owner that is not found at once is looked for until `deadline`.
async fn delete(
    handlers: &Handlers,
    partition: TopicPartition,
    offset: i64,
    deadline: Instant,
) -> Result<Offset, ErrorCode> {
    let before = (offset != ALL_VISIBLE).then_some(Offset(offset));
    let mut pauses = Pauses::new();
    loop {
        let deleted = match handlers.owner(partition) {
            Some(broker) => broker.delete_records(partition, before).await,
            None => Err(ReadError::NotOwner(partition)),
        };
        let next = Instant::now() + pauses.next();
        match deleted {
            Ok(start) => return Ok(start),
            Err(ReadError::NotOwner(_)) if next <= deadline && !handlers.stop.is_requested() => {
                sleep_until(next).await;
            }
            Err(error) => {
                if let ReadError::Storage(reason) = &error {
                    tracing::warn!(%partition, reason, "records are not deleted");
                }
                return Err(codes::of_read(&error));
            }
        }
    }
}
