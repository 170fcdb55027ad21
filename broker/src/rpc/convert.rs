//! Between the messages of the wire and what this crate works with. What arrives may be anything: it is
//! checked, and a message that makes no sense is an error, never a panic.

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};
use uuid::Uuid;
use weir_ids::{
    LeaderEpoch, Offset, PartitionIndex, SessionId, Timestamp, TopicId, TopicPartition,
};
use weir_rpc::tonic::Status;
use weir_segment_store::{ObjectName, Reference, pages::PageRef};

use super::wire;
use crate::{
    Named,
    client::{
        Acks, Append, Appended, Entries, Isolation, Offsets, Origin, Places, Read, ReadOutcome,
        SessionReport, TailEvent, Thin, TimestampMatch,
    },
};

/// A message that makes no sense.
pub(super) fn nonsense(what: &str) -> Status {
    Status::invalid_argument(format!("the message makes no sense: {what}"))
}

pub(super) fn error<E: Serialize>(error: &E) -> Bytes {
    // Errors are plain values: they have a form as JSON.
    serde_json::to_vec(error).unwrap_or_default().into()
}

pub(super) fn error_of<E: DeserializeOwned>(bytes: &[u8]) -> Result<E, Status> {
    serde_json::from_slice(bytes).map_err(|error| nonsense(&error.to_string()))
}

impl From<TopicPartition> for wire::Partition {
    fn from(partition: TopicPartition) -> Self {
        let topic = Bytes::copy_from_slice(partition.topic.0.as_bytes());
        Self { topic, index: partition.partition.0 }
    }
}

pub(super) fn partition(wire: Option<wire::Partition>) -> Result<TopicPartition, Status> {
    let wire = wire.ok_or_else(|| nonsense("no partition"))?;
    let topic = Uuid::from_slice(&wire.topic).map_err(|_| nonsense("a topic's id"))?;
    Ok(TopicPartition::new(TopicId(topic), PartitionIndex(wire.index)))
}

pub(super) fn partitions(wire: wire::Partitions) -> Result<Vec<TopicPartition>, Status> {
    wire.partitions.into_iter().map(|it| partition(Some(it))).collect()
}

impl wire::Append {
    pub(super) fn new(number: u64, append: Append) -> Self {
        let Append { partition, epoch, records, acks, expected, origin } = append;
        Self {
            number,
            partition: Some(partition.into()),
            epoch: epoch.map(|epoch| epoch.0),
            records,
            durable: acks == Acks::Durable,
            expected: expected.map(|offset| offset.0),
            coordinator: origin == Origin::Coordinator,
        }
    }

    pub(super) fn take(self) -> Result<(u64, Append), Status> {
        let append = Append {
            partition: partition(self.partition)?,
            epoch: self.epoch.map(LeaderEpoch),
            records: self.records,
            acks: if self.durable { Acks::Durable } else { Acks::Buffered },
            expected: self.expected.map(Offset),
            origin: if self.coordinator { Origin::Coordinator } else { Origin::Client },
        };
        Ok((self.number, append))
    }
}

impl From<Appended> for wire::Appended {
    fn from(appended: Appended) -> Self {
        Self {
            base: appended.base.0,
            last: appended.last.0,
            log_append_time: appended.log_append_time.map(|time| time.0),
            log_start: appended.log_start.0,
            epoch: appended.epoch.0,
        }
    }
}

impl From<wire::Appended> for Appended {
    fn from(wire: wire::Appended) -> Self {
        Self {
            base: Offset(wire.base),
            last: Offset(wire.last),
            log_append_time: wire.log_append_time.map(Timestamp),
            log_start: Offset(wire.log_start),
            epoch: LeaderEpoch(wire.epoch),
        }
    }
}

impl From<Offsets> for wire::OffsetsNow {
    fn from(offsets: Offsets) -> Self {
        Self {
            epoch: offsets.epoch.0,
            log_start: offsets.log_start.0,
            stable: offsets.stable.0,
            durable: offsets.durable.0,
        }
    }
}

impl From<wire::OffsetsNow> for Offsets {
    fn from(wire: wire::OffsetsNow) -> Self {
        Self {
            epoch: LeaderEpoch(wire.epoch),
            log_start: Offset(wire.log_start),
            stable: Offset(wire.stable),
            durable: Offset(wire.durable),
        }
    }
}

impl From<(TopicPartition, TailEvent)> for wire::Event {
    fn from((partition, event): (TopicPartition, TailEvent)) -> Self {
        let partition = Some(partition.into());
        match event {
            TailEvent::Advanced { offsets, bytes } => {
                Self { partition, offsets: Some(offsets.into()), bytes }
            }
            TailEvent::Lost => Self { partition, offsets: None, bytes: 0 },
        }
    }
}

pub(super) fn event(wire: wire::Event) -> Result<(TopicPartition, TailEvent), Status> {
    let event = match wire.offsets {
        Some(offsets) => TailEvent::Advanced { offsets: offsets.into(), bytes: wire.bytes },
        None => TailEvent::Lost,
    };
    Ok((partition(wire.partition)?, event))
}

impl From<Read> for wire::ReadQuestion {
    fn from(read: Read) -> Self {
        Self {
            partition: Some(read.partition.into()),
            epoch: read.epoch.map(|epoch| epoch.0),
            offset: read.offset.0,
            max_bytes: read.max_bytes,
            committed: read.isolation == Isolation::ReadCommitted,
        }
    }
}

pub(super) fn read(wire: wire::ReadQuestion) -> Result<Read, Status> {
    let committed = Isolation::ReadCommitted;
    Ok(Read {
        partition: partition(wire.partition)?,
        epoch: wire.epoch.map(LeaderEpoch),
        offset: Offset(wire.offset),
        max_bytes: wire.max_bytes,
        isolation: if wire.committed { committed } else { Isolation::ReadUncommitted },
    })
}

impl From<ReadOutcome> for wire::ReadOutcome {
    fn from(outcome: ReadOutcome) -> Self {
        use wire::read_outcome::Entries as Wire;
        let entries = match outcome.entries {
            Entries::None => None,
            Entries::Tail(slices) => Some(Wire::Tail(wire::Slices { slices })),
            Entries::Stored(Places::Known(there)) => Some(Wire::Stored(Reference::encode(&there))),
            Entries::Stored(Places::Listed(page)) => Some(Wire::Paged(PageRef::encode(&[page]))),
        };
        Self { offsets: Some(outcome.offsets.into()), entries }
    }
}

pub(super) fn read_outcome(wire: wire::ReadOutcome) -> Result<ReadOutcome, Status> {
    use wire::read_outcome::Entries as Wire;
    let offsets = wire.offsets.ok_or_else(|| nonsense("no offsets"))?.into();
    let entries = match wire.entries {
        None => Entries::None,
        Some(Wire::Tail(tail)) => Entries::Tail(tail.slices),
        Some(Wire::Stored(stored)) => Entries::Stored(Places::Known(references(&stored)?)),
        Some(Wire::Paged(page)) => Entries::Stored(Places::Listed(one_page(&page)?)),
    };
    Ok(ReadOutcome { offsets, entries })
}

fn references(bytes: &[u8]) -> Result<Vec<Reference>, Status> {
    Reference::decode(bytes).map_err(|error| nonsense(&error.to_string()))
}

fn pages(bytes: &[u8]) -> Result<Vec<PageRef>, Status> {
    if bytes.is_empty() {
        return Ok(Vec::new()); // From a broker that knows none.
    }
    PageRef::decode(bytes).map_err(|error| nonsense(&error.to_string()))
}

fn one_page(bytes: &[u8]) -> Result<PageRef, Status> {
    match pages(bytes)?.as_slice() {
        [page] => Ok(*page),
        _ => Err(nonsense("not one page")),
    }
}

impl From<TimestampMatch> for wire::TimestampMatch {
    fn from(found: TimestampMatch) -> Self {
        use wire::timestamp_match::Match as Wire;
        let r#match = match found {
            TimestampMatch::None => None,
            TimestampMatch::Batch(batch) => Some(Wire::Batch(batch)),
            TimestampMatch::Stored(stored) => Some(Wire::Stored(Reference::encode(&[stored]))),
            TimestampMatch::Paged(page) => Some(Wire::Paged(PageRef::encode(&[page]))),
        };
        Self { r#match }
    }
}

pub(super) fn timestamp_match(wire: wire::TimestampMatch) -> Result<TimestampMatch, Status> {
    use wire::timestamp_match::Match as Wire;
    Ok(match wire.r#match {
        None => TimestampMatch::None,
        Some(Wire::Batch(batch)) => TimestampMatch::Batch(batch),
        Some(Wire::Stored(stored)) => match references(&stored)?.as_slice() {
            [stored] => TimestampMatch::Stored(*stored),
            _ => return Err(nonsense("not one reference")),
        },
        Some(Wire::Paged(page)) => TimestampMatch::Paged(one_page(&page)?),
    })
}

impl From<SessionReport> for wire::Report {
    fn from(report: SessionReport) -> Self {
        let held = |name| report.held.get(name).copied().unwrap_or(0);
        Self {
            held: report.named.objects.iter().map(held).collect(),
            session: report.session.0,
            names: report.named.objects.iter().map(ToString::to_string).collect(),
            partitions: report.partitions.into_iter().map(Into::into).collect(),
            pages: PageRef::encode(&report.named.pages.keys().copied().collect::<Vec<_>>()),
            from: report.named.pages.values().map(|from| from.0).collect(),
        }
    }
}

fn names<T: FromIterator<ObjectName>>(texts: Vec<String>) -> Result<T, Status> {
    let name = |text| ObjectName::parse(text).map_err(|error| nonsense(&error.to_string()));
    texts.iter().map(|text| name(text)).collect()
}

impl From<Thin> for wire::Thin {
    fn from(thin: Thin) -> Self {
        let (partitions, offsets) =
            thin.listed_at.into_iter().map(|(partition, at)| (partition.into(), at.0)).unzip();
        let objects = thin.objects.iter().map(ToString::to_string).collect();
        Self { objects, partitions, offsets }
    }
}

pub(super) fn thin(wire: wire::Thin) -> Result<Thin, Status> {
    let partitions = partitions(wire::Partitions { partitions: wire.partitions })?;
    if partitions.len() != wire.offsets.len() {
        return Err(nonsense("not an offset a partition"));
    }
    let listed_at = partitions.into_iter().zip(wire.offsets.into_iter().map(Offset)).collect();
    Ok(Thin { objects: names(wire.objects)?, listed_at })
}

pub(super) fn report(wire: wire::Report) -> Result<SessionReport, Status> {
    let pages = pages(&wire.pages)?;
    if pages.len() != wire.from.len() {
        return Err(nonsense("not an offset a page"));
    }
    let names: Vec<ObjectName> = names(wire.names)?;
    // From a broker that does not know, all of them are.
    let held = if wire.held.is_empty() { vec![u64::MAX; names.len()] } else { wire.held };
    if held.len() != names.len() {
        return Err(nonsense("not a count of bytes an object"));
    }
    Ok(SessionReport {
        session: SessionId(wire.session),
        held: names.iter().copied().zip(held).filter(|(_, bytes)| *bytes > 0).collect(),
        named: Named {
            objects: names.into_iter().collect(),
            pages: pages.into_iter().zip(wire.from.into_iter().map(Offset)).collect(),
        },
        partitions: partitions(wire::Partitions { partitions: wire.partitions })?,
    })
}
