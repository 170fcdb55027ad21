//! Fetching records, and asking where logs begin and end.

use std::collections::BTreeMap;

use futures::future::join_all;
use weir_history::Value;
use weir_ids::NodeId;
use weir_protocol::{
    ErrorCode,
    messages::{
        FetchRequest, ListOffsetsRequest,
        fetch::{FetchPartition, FetchTopic},
        list_offsets::{ListOffsetsPartition, ListOffsetsTopic},
    },
    records::split,
};

use super::{ANSWER_WITHIN, directory::Directory, wire::Gone};

const FETCH_VERSION: i16 = 11;
const LIST_OFFSETS_VERSION: i16 = 6;
/// How long a fetch waits for records.
const WAIT_MS: i32 = 300;
const FETCH_BYTES: i32 = 64 << 10;
const PARTITION_BYTES: i32 = 16 << 10;
/// The most that a batch of the simulation decompresses to.
const BATCH_BYTES: usize = 1 << 20;
/// What ListOffsets takes for the ends.
pub(super) const LATEST: i64 = -1;
pub(super) const EARLIEST: i64 = -2;

/// What came of one partition.
pub(super) struct Fetched {
    pub(super) partition: i32,
    pub(super) error: ErrorCode,
    /// Records from the asked offset on.
    pub(super) records: Vec<(i64, Value)>,
    /// Where to go on.
    pub(super) next: i64,
}

/// What is known of a log's end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Listed {
    pub(super) offset: i64,
    pub(super) epoch: i32,
}

/// Fetches from the leaders of `positions`, all at the same time. A leader that does not answer is
/// forgotten.
pub(super) async fn fetch(directory: &Directory, positions: &BTreeMap<i32, i64>) -> Vec<Fetched> {
    let mut by_leader: BTreeMap<NodeId, Vec<(i32, i64, i32)>> = BTreeMap::new();
    for (partition, offset) in positions {
        if let Some((leader, epoch)) = directory.leader(*partition) {
            by_leader.entry(leader).or_default().push((*partition, *offset, epoch));
        }
    }
    let asked = by_leader.iter().map(|(leader, asked)| fetch_from(directory, *leader, asked));
    let mut fetched = Vec::new();
    for (answer, asked) in join_all(asked).await.into_iter().zip(by_leader.values()) {
        match answer {
            Ok(some) => fetched.extend(some),
            Err(Gone) => asked.iter().for_each(|(partition, ..)| directory.forget(*partition)),
        }
    }
    fetched
}

async fn fetch_from(
    directory: &Directory,
    leader: NodeId,
    asked: &[(i32, i64, i32)],
) -> Result<Vec<Fetched>, Gone> {
    let topics = &directory.shared.topics;
    let mut by_topic: BTreeMap<&str, Vec<FetchPartition>> = BTreeMap::new();
    for (number, offset, epoch) in asked {
        let (topic, partition) = topics.of(*number);
        by_topic.entry(topic).or_default().push(FetchPartition {
            partition,
            current_leader_epoch: *epoch,
            fetch_offset: *offset,
            partition_max_bytes: PARTITION_BYTES,
            ..Default::default()
        });
    }
    let request = FetchRequest {
        replica_id: -1,
        max_wait_ms: WAIT_MS,
        min_bytes: 1,
        max_bytes: FETCH_BYTES,
        session_epoch: -1,
        topics: by_topic
            .into_iter()
            .map(|(topic, partitions)| FetchTopic {
                topic: topic.into(),
                partitions,
                ..Default::default()
            })
            .collect(),
        ..Default::default()
    };
    let answer = directory.ask_within(leader, FETCH_VERSION, &request, ANSWER_WITHIN).await?;
    let mut fetched = Vec::new();
    for topic in answer.responses {
        for data in topic.partitions {
            let Some(number) = topics.number(&topic.topic, data.partition_index) else { continue };
            let Some((_, from, _)) = asked.iter().find(|(asked, ..)| *asked == number) else {
                continue;
            };
            let records = data.records.unwrap_or_default().into_bytes();
            fetched.push(decode(directory, number, *from, data.error_code, records));
        }
    }
    Ok(fetched)
}

fn decode(
    directory: &Directory,
    partition: i32,
    from: i64,
    error: ErrorCode,
    bytes: bytes::Bytes,
) -> Fetched {
    let mut fetched = Fetched { partition, error, records: Vec::new(), next: from };
    let outrage = |what: String| directory.shared.outrage(format!("{partition}@{from}: {what}"));
    for batch in split(bytes) {
        let verified = match batch.map_err(|error| error.to_string()) {
            Ok(batch) => batch.verify().map_err(|error| error.to_string()),
            Err(error) => Err(error),
        };
        let batch = match verified {
            Ok(batch) => batch,
            Err(error) => {
                outrage(error);
                break;
            }
        };
        let records = batch.records(BATCH_BYTES).map_err(|error| error.to_string());
        let Ok(records) = records else { break };
        for record in records {
            let Ok(record) = record else {
                outrage("a record can't be read".to_owned());
                break;
            };
            if record.offset.0 < from {
                continue;
            }
            match record.value.as_deref().and_then(value) {
                Some(value) => fetched.records.push((record.offset.0, value)),
                None => outrage(format!("a strange value at {}", record.offset)),
            }
        }
        fetched.next = fetched.next.max(batch.header().next_offset().0);
    }
    fetched
}

/// The value that a producer wrote.
fn value(bytes: &[u8]) -> Option<Value> {
    let (writer, number) = std::str::from_utf8(bytes).ok()?.split_once('-')?;
    Some(Value { writer: writer.parse().ok()?, number: number.parse().ok()? })
}

/// Where logs begin or end, of the proxy on `node`; what could not be told is left out.
pub(super) async fn list(
    directory: &Directory,
    node: NodeId,
    partitions: &[i32],
    edge: i64,
) -> BTreeMap<i32, Listed> {
    let topics = &directory.shared.topics;
    let mut by_topic: BTreeMap<&str, Vec<ListOffsetsPartition>> = BTreeMap::new();
    for number in partitions {
        let (topic, partition_index) = topics.of(*number);
        by_topic.entry(topic).or_default().push(ListOffsetsPartition {
            partition_index,
            current_leader_epoch: -1,
            timestamp: edge,
        });
    }
    let topics_asked = by_topic
        .into_iter()
        .map(|(name, partitions)| ListOffsetsTopic { name: name.into(), partitions })
        .collect();
    let request = ListOffsetsRequest { replica_id: -1, topics: topics_asked, ..Default::default() };
    let Ok(answer) = directory.ask(node, LIST_OFFSETS_VERSION, &request).await else {
        return BTreeMap::new();
    };
    let mut listed = BTreeMap::new();
    for topic in answer.topics {
        for told in topic.partitions.iter().filter(|told| told.error_code.is_none()) {
            if let Some(number) = topics.number(&topic.name, told.partition_index) {
                let (offset, epoch) = (told.offset, told.leader_epoch);
                listed.insert(number, Listed { offset, epoch });
            }
        }
    }
    listed
}
