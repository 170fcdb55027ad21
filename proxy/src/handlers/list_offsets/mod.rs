//! ListOffsets: the offsets of a partition's ends, and of records by their time.
//!
//! Nothing here is answered from the proxy's own view: the owner tells the ends, and which batch
//! may hold a time; the record within the batch is found here, exactly, also when the batch is
//! compressed.

mod search;

use std::collections::HashMap;

use futures::{StreamExt, stream};
use tokio::time::Instant;
use weir_broker::client::{Isolation, Offsets, ReadError};
use weir_ids::{LeaderEpoch, Timestamp, TopicPartition};
use weir_meta::views::Snapshot;
use weir_protocol::{
    ErrorCode,
    messages::{
        ListOffsetsRequest, ListOffsetsResponse,
        list_offsets::{
            ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsTopic,
            ListOffsetsTopicResponse,
        },
    },
};

use super::{Answer, Call, Handlers, owners, patience::PATIENCE};
use crate::cluster;
use search::Search;
pub(super) use search::refused;

/// How many partitions of a request are looked up at the same time.
const AT_ONCE: usize = 16;

/// From this version on an answer says which epoch wrote the record.
const TELLS_EPOCHS: i16 = 4;

/// What a client asks for by a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Latest,
    Earliest,
    LatestTimestamp,
    /// What only tiered storage has: Weir has one tier.
    Tiered,
    At(Timestamp),
}

impl Asked {
    /// `None` if a client of this version can't mean anything by it.
    fn from_wire(timestamp: i64, version: i16) -> Option<Self> {
        let (asked, since) = match timestamp {
            -1 => (Self::Latest, 0),
            -2 => (Self::Earliest, 0),
            -3 => (Self::LatestTimestamp, 7),
            // The earliest record on local disk: all records are equally near.
            -4 => (Self::Earliest, 8),
            -5 => (Self::Tiered, 9),
            -6 => (Self::Tiered, 11),
            0.. => (Self::At(Timestamp(timestamp)), 0),
            _ => return None,
        };
        (version >= since).then_some(asked)
    }
}

/// An offset that was asked for; none of it is known by default.
struct Located {
    offset: i64,
    timestamp: i64,
    epoch: LeaderEpoch,
}

const NOWHERE: Located = Located { offset: -1, timestamp: -1, epoch: LeaderEpoch::NONE };

/// One look-up.
struct Lookup {
    asked: ListOffsetsPartition,
    /// Where to, and what is to be found there.
    target: Result<(TopicPartition, Asked), ErrorCode>,
}

pub(super) async fn handle(
    handlers: &Handlers,
    call: &Call,
    request: ListOffsetsRequest,
) -> Answer {
    let isolation = match request.isolation_level {
        1 => Isolation::ReadCommitted,
        _ => Isolation::ReadUncommitted,
    };
    let mut topics = Vec::with_capacity(request.topics.len());
    let lookups = plan(&request.topics, call.version, &handlers.view.now());
    let targets = lookups.iter().filter_map(|lookup| lookup.target.ok());
    let targets: Vec<_> = targets.map(|(partition, _)| partition).collect();
    let deadline = Instant::now() + PATIENCE;
    let mut told = owners::offsets_by(handlers, &targets, deadline).await.into_iter();
    let located = lookups.into_iter().map(|Lookup { asked, target }| {
        let target = target.map(|target| (target, told.next()));
        async move {
            let located = match target {
                Ok(((partition, wanted), told)) => {
                    let told = told.unwrap_or(Err(ReadError::NotOwner(partition)));
                    locate(handlers, partition, wanted, told, asked.current_leader_epoch, isolation)
                        .await
                }
                Err(code) => Err(code),
            };
            response(asked.partition_index, located, call.version)
        }
    });
    let located: Vec<_> = located.collect();
    let located: Vec<_> = stream::iter(located).buffered(AT_ONCE).collect().await;
    let mut located = located.into_iter();
    for ListOffsetsTopic { name, partitions } in request.topics {
        let partitions = located.by_ref().take(partitions.len()).collect();
        topics.push(ListOffsetsTopicResponse { name, partitions });
    }
    Answer::of(ListOffsetsResponse { topics, ..ListOffsetsResponse::default() })
}

/// The look-ups of a request, one after the other. A partition that is named twice gets no answer,
/// as with Kafka.
fn plan(topics: &[ListOffsetsTopic], version: i16, snapshot: &Snapshot) -> Vec<Lookup> {
    let mut times = HashMap::new();
    for topic in topics {
        for partition in &topic.partitions {
            *times.entry((&*topic.name, partition.partition_index)).or_insert(0) += 1;
        }
    }
    let mut lookups = Vec::with_capacity(times.len());
    for topic in topics {
        let view = snapshot.topic(&topic.name);
        lookups.extend(topic.partitions.iter().map(|asked| {
            let index = asked.partition_index;
            let target = match view.and_then(|view| cluster::partition(view, index)) {
                _ if times.get(&(&*topic.name, index)).is_some_and(|times| *times > 1) => {
                    Err(ErrorCode::INVALID_REQUEST)
                }
                None => Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
                Some(partition) => Asked::from_wire(asked.timestamp, version)
                    .map(|wanted| (partition, wanted))
                    .ok_or(ErrorCode::UNSUPPORTED_VERSION),
            };
            Lookup { asked: asked.clone(), target }
        }));
    }
    lookups
}

fn response(
    index: i32,
    located: Result<Located, ErrorCode>,
    version: i16,
) -> ListOffsetsPartitionResponse {
    let (located, error_code) = match located {
        Ok(located) => (located, ErrorCode::NONE),
        Err(code) => (NOWHERE, code),
    };
    ListOffsetsPartitionResponse {
        partition_index: index,
        error_code,
        timestamp: located.timestamp,
        offset: located.offset,
        leader_epoch: if version >= TELLS_EPOCHS { located.epoch.0 } else { LeaderEpoch::NONE.0 },
    }
}

async fn locate(
    handlers: &Handlers,
    partition: TopicPartition,
    wanted: Asked,
    told: Result<Offsets, ReadError>,
    epoch: i32,
    isolation: Isolation,
) -> Result<Located, ErrorCode> {
    let offsets = told.map_err(|error| refused(partition, &error))?;
    check_epoch(epoch, offsets.epoch)?;
    let end = offsets.visible(isolation);
    let broker = handlers.owner(partition).ok_or(ErrorCode::NOT_LEADER_OR_FOLLOWER)?;
    let log_start = offsets.log_start;
    let search = Search { handlers, broker: &*broker, partition, log_start };
    let found = match wanted {
        Asked::Latest => return Ok(Located { offset: end.0, epoch: offsets.epoch, ..NOWHERE }),
        // Which epoch wrote the first record is not known here; clients do without.
        Asked::Earliest => return Ok(Located { offset: log_start.0, ..NOWHERE }),
        Asked::Tiered => return Ok(NOWHERE),
        Asked::LatestTimestamp => search.latest().await?,
        Asked::At(timestamp) => search.first_at(timestamp).await?,
    };
    // What is not visible yet was not found.
    let found = found.filter(|(found, _)| found.offset < end);
    Ok(found.map_or(NOWHERE, |(found, epoch)| Located {
        offset: found.offset.0,
        timestamp: found.timestamp.0,
        epoch,
    }))
}

/// The client's epoch, if it has one, must be the owner's (KIP-320).
pub(super) fn check_epoch(asked: i32, current: LeaderEpoch) -> Result<(), ErrorCode> {
    match LeaderEpoch(asked) {
        asked if asked.0 >= 0 && asked < current => Err(ErrorCode::FENCED_LEADER_EPOCH),
        asked if asked > current => Err(ErrorCode::UNKNOWN_LEADER_EPOCH),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_timestamps_need_the_version_that_brought_them() {
        for (timestamp, since, asked) in [
            (-1, 1, Asked::Latest),
            (-2, 1, Asked::Earliest),
            (-3, 7, Asked::LatestTimestamp),
            (-4, 8, Asked::Earliest),
            (-5, 9, Asked::Tiered),
            (-6, 11, Asked::Tiered),
            (77, 1, Asked::At(Timestamp(77))),
        ] {
            assert_eq!(Asked::from_wire(timestamp, since), Some(asked));
            if since > 1 {
                assert_eq!(Asked::from_wire(timestamp, since - 1), None);
            }
        }
        assert_eq!(Asked::from_wire(-7, 11), None);
    }

    #[test]
    fn an_epoch_must_be_the_owners_own() {
        let current = LeaderEpoch(5);
        assert_eq!(check_epoch(-1, current), Ok(()));
        assert_eq!(check_epoch(5, current), Ok(()));
        assert_eq!(check_epoch(4, current), Err(ErrorCode::FENCED_LEADER_EPOCH));
        assert_eq!(check_epoch(6, current), Err(ErrorCode::UNKNOWN_LEADER_EPOCH));
    }
}
