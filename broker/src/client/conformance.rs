//! What every [`BrokerClient`] must do, as a suite that each implementation runs: the broker behind it is a
//! real one.

#![allow(clippy::unwrap_used, reason = "a check that fails should panic")]

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures::future::join_all;
use weir_ids::{
    LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence, Timestamp, TopicPartition,
};
use weir_protocol::records::{BatchBuilder, Patcher, Rejection, split};
use weir_segment_store::Reader;

use super::{
    Acks, Append, AppendError, Appended, BrokerClient, Entries, Isolation, Offsets, Origin, Places,
    Read, ReadError, ReadOutcome, Refused, TailEvent, TailSource, Thin, TimestampMatch,
};

/// How long a check waits for what must come.
const PATIENCE: Duration = Duration::from_secs(30);
/// Batches of the check of order, and of how many sizes.
const MANY: usize = 300;

/// A client, and what its broker owns.
pub struct Ground {
    /// The client.
    pub broker: Arc<dyn BrokerClient>,
    /// Partitions that the broker owns, all empty; at least six.
    pub owned: Vec<TopicPartition>,
    /// One that it does not.
    pub foreign: TopicPartition,
    /// Reads what the broker says is in the store.
    pub reader: Reader,
}

/// Runs the suite.
///
/// # Panics
/// When a check fails.
pub async fn run(ground: &Ground) {
    let [order, errors, reads, times, tails, deletes, ..] = ground.owned[..] else {
        panic!("at least six partitions are needed")
    };
    ground.appends_keep_their_order(order).await;
    ground.refusals_say_why(errors).await;
    ground.what_was_appended_is_read(reads).await;
    ground.times_and_epochs_are_found(times).await;
    ground.news_follow_what_is_durable(tails).await;
    ground.log_starts_move(deletes).await;
    ground.a_session_reports_what_it_owns().await;
}

fn batch(values: &[&[u8]], time: i64, producer: Option<(i64, i32)>) -> Bytes {
    let mut builder = BatchBuilder::new();
    if let Some((id, sequence)) = producer {
        builder = builder.producer(ProducerId(id), ProducerEpoch(0), Sequence(sequence));
    }
    for value in values {
        builder.push(Timestamp(time), None, Some(value), &[]).unwrap();
    }
    builder.build().unwrap().into_batch().into_bytes()
}

fn append(partition: TopicPartition, records: Bytes) -> Append {
    let (acks, origin) = (Acks::Durable, Origin::Client);
    Append { partition, epoch: None, records, acks, expected: None, origin }
}

fn read(partition: TopicPartition, offset: i64, max_bytes: u32) -> Read {
    let (offset, isolation) = (Offset(offset), Isolation::ReadUncommitted);
    Read { partition, epoch: None, offset, max_bytes, isolation }
}

/// As the broker keeps it.
fn patched(records: &Bytes, appended: &Appended) -> Bytes {
    let whole = split(records.clone()).next().unwrap().unwrap().verify().unwrap();
    Patcher::new().patch(whole, appended.base, appended.epoch).to_bytes()
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("it takes too long")
}

impl Ground {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        within(self.broker.append(vec![append]).await.pop().unwrap()).await
    }

    async fn appended(&self, partition: TopicPartition, records: Bytes) -> Appended {
        self.append(append(partition, records)).await.unwrap()
    }

    async fn offsets(&self, partition: TopicPartition) -> Offsets {
        within(self.broker.offsets(vec![partition])).await.pop().unwrap().unwrap()
    }

    async fn outcome(&self, read: Read) -> Result<ReadOutcome, ReadError> {
        within(self.broker.read(vec![read])).await.pop().unwrap()
    }

    /// The bytes at an offset, wherever they are.
    async fn bytes(&self, read: Read) -> Bytes {
        match self.outcome(read).await.unwrap().entries {
            Entries::None => Bytes::new(),
            Entries::Tail(slices) => slices.concat().into(),
            Entries::Stored(Places::Listed(page)) => panic!("nothing is old enough for {page:?}"),
            Entries::Stored(Places::Known(references)) => {
                let read = self.reader.read(&references[0], read.offset, read.max_bytes).await;
                read.unwrap().0.concat().into()
            }
        }
    }

    async fn appends_keep_their_order(&self, partition: TopicPartition) {
        let mut receipts = Vec::new();
        let mut sizes = Vec::new();
        for n in 0..MANY {
            let value = vec![b'x'; (n * 7_919) % 20_000];
            let producer = Some((5, i32::try_from(n).unwrap()));
            sizes.push(value.len());
            let mut together = vec![append(partition, batch(&[&value], 1, producer))];
            if n % 10 == 0 {
                together.push(append(self.foreign, batch(&[b"x"], 1, None)));
            }
            receipts.extend(self.broker.append(together).await);
        }
        let mut next = 0;
        for answer in within(join_all(receipts)).await {
            match answer {
                Ok(appended) => {
                    assert_eq!((appended.base.0, appended.last.0), (next, next));
                    next += 1;
                }
                Err(error) => assert_eq!(error, AppendError::NotOwner(self.foreign)),
            }
        }
        assert_eq!(next, MANY as i64);
        assert_eq!(self.offsets(partition).await.durable, Offset(next));
        let again = self.appended(partition, batch(&[b"x"], 1, Some((5, MANY as i32)))).await;
        let twice = self.appended(partition, batch(&[b"x"], 1, Some((5, MANY as i32)))).await;
        assert_eq!(again, twice, "a duplicate is answered as its original was");
    }

    async fn refusals_say_why(&self, partition: TopicPartition) {
        let first = self.appended(partition, batch(&[b"a", b"b"], 1, Some((7, 0)))).await;
        assert_eq!((first.base, first.last), (Offset(0), Offset(1)));
        let gap = self.append(append(partition, batch(&[b"c"], 1, Some((7, 9))))).await;
        let (expected, found) = (Sequence(2), Sequence(9));
        assert_eq!(gap, Err(AppendError::OutOfOrderSequence { expected, found }));
        let mut rotten = batch(&[b"d"], 1, None).to_vec();
        *rotten.last_mut().unwrap() ^= 1;
        let rotten = self.append(append(partition, rotten.into())).await;
        let is_crc = |error: &AppendError| {
            matches!(error, AppendError::Refused(Refused::Batch(Rejection::Crc(_))))
        };
        assert!(rotten.as_ref().is_err_and(is_crc), "{rotten:?}");
        let nothing = self.append(append(partition, Bytes::new())).await;
        assert_eq!(nothing, Err(AppendError::Refused(Refused::Batch(Rejection::NoBatch))));
        let conditional = |expected: i64| Append {
            expected: Some(Offset(expected)),
            origin: Origin::Coordinator,
            ..append(partition, batch(&[b"e"], 1, None))
        };
        let conflict = self.append(conditional(7)).await;
        let (expected, next) = (Offset(7), Offset(2));
        assert_eq!(conflict, Err(AppendError::Conflict { expected, next }));
        assert_eq!(self.append(conditional(2)).await.unwrap().base, Offset(2));
        let (asked, current) = (LeaderEpoch(first.epoch.0 + 1), first.epoch);
        let ahead = append(partition, batch(&[b"f"], 1, None));
        let ahead = self.append(Append { epoch: Some(asked), ..ahead }).await;
        assert_eq!(ahead, Err(AppendError::WrongEpoch { partition, asked, current }));
        let buffered = append(partition, batch(&[b"g"], 1, None));
        let buffered = self.append(Append { acks: Acks::Buffered, ..buffered }).await;
        assert_eq!(buffered.unwrap().base, Offset(3));
    }

    async fn what_was_appended_is_read(&self, partition: TopicPartition) {
        assert!(self.bytes(read(partition, 0, 1 << 20)).await.is_empty());
        let large = vec![b'z'; 700_000];
        let mut kept = Vec::new();
        for value in [&b"small"[..], &large, b"", b"last"] {
            let records = batch(&[value], 1, None);
            let appended = self.appended(partition, records.clone()).await;
            kept.push(patched(&records, &appended));
        }
        for (offset, records) in (0..).zip(&kept) {
            assert_eq!(self.bytes(read(partition, offset, 1)).await, records);
        }
        let all = self.outcome(read(partition, 0, 10 << 20)).await.unwrap();
        let Entries::Tail(slices) = all.entries else { panic!("nothing was checkpointed") };
        assert_eq!(slices.concat(), kept.concat());
        assert_eq!(all.offsets, self.offsets(partition).await);
        let ahead = self.outcome(read(partition, 99, 1)).await.unwrap_err();
        let (log_start, durable) = (Offset(0), Offset(4));
        assert_eq!(ahead, ReadError::OutOfRange { offset: Offset(99), log_start, durable });
        let asked = LeaderEpoch(all.offsets.epoch.0 + 5);
        let unknown = Read { epoch: Some(asked), ..read(partition, 0, 1) };
        let current = all.offsets.epoch;
        let unknown = self.outcome(unknown).await.unwrap_err();
        assert_eq!(unknown, ReadError::UnknownEpoch { asked, current });
        let both = vec![read(self.foreign, 0, 1), read(partition, 4, 1)];
        let both = within(self.broker.read(both)).await;
        assert_eq!(both[0].as_ref().unwrap_err(), &ReadError::NotOwner(self.foreign));
        assert!(matches!(both[1].as_ref().unwrap().entries, Entries::None));
        let both = within(self.broker.offsets(vec![partition, self.foreign])).await;
        assert_eq!(both, [Ok(all.offsets), Err(ReadError::NotOwner(self.foreign))]);
    }

    async fn times_and_epochs_are_found(&self, partition: TopicPartition) {
        let mut kept = Vec::new();
        for time in [100, 300, 200] {
            let records = batch(&[b"x"], time, None);
            let appended = self.appended(partition, records.clone()).await;
            kept.push((appended.epoch, patched(&records, &appended)));
        }
        let found_from = async |time: i64, from: Offset| {
            let found = self.broker.find_timestamp(partition, Timestamp(time), from);
            match within(found).await.unwrap() {
                TimestampMatch::Batch(batch) => Some(batch),
                TimestampMatch::None => None,
                found => panic!("nothing was checkpointed, but it is in {found:?}"),
            }
        };
        let found = async |time: i64| found_from(time, Offset::ZERO).await;
        assert_eq!(found(50).await.as_ref(), Some(&kept[0].1));
        assert_eq!(found(101).await.as_ref(), Some(&kept[1].1));
        assert_eq!(found(301).await, None);
        assert_eq!(found_from(50, Offset(2)).await.as_ref(), Some(&kept[2].1));
        assert_eq!(found_from(50, Offset(3)).await, None);
        let largest = within(self.broker.find_max_timestamp(partition)).await.unwrap();
        let TimestampMatch::Batch(largest) = largest else { panic!("{largest:?}") };
        assert_eq!(largest, kept[1].1);
        let epoch = kept[0].0;
        let end = within(self.broker.epoch_end(partition, epoch)).await;
        assert_eq!(end, Ok(Some((epoch, Offset(3)))));
        let end = within(self.broker.epoch_end(partition, LeaderEpoch(-1))).await;
        assert_eq!(end, Ok(None));
        let not_owner = ReadError::NotOwner(self.foreign);
        let asked =
            within(self.broker.find_timestamp(self.foreign, Timestamp(1), Offset::ZERO)).await;
        assert_eq!(asked.unwrap_err(), not_owner);
        let asked = within(self.broker.epoch_end(self.foreign, epoch)).await;
        assert_eq!(asked, Err(not_owner));
    }

    async fn news_follow_what_is_durable(&self, partition: TopicPartition) {
        let tail = self.broker.tail();
        tail.subscribe(partition).await;
        let (first, _) = advanced(&tail, partition).await;
        assert_eq!(first.durable, Offset(0), "its state, as it is when it begins");
        let records = batch(&[b"a", b"b"], 1, None);
        let len = records.len() as u64;
        self.appended(partition, records).await;
        let (then, bytes) = advanced(&tail, partition).await;
        assert_eq!((then.durable, bytes), (Offset(2), len));
        tail.subscribe(self.foreign).await;
        let lost = within(tail.next()).await.unwrap();
        assert_eq!(lost, [(self.foreign, TailEvent::Lost)]);
        tail.unsubscribe(partition).await;
        tail.subscribe(self.foreign).await;
        assert_eq!(within(tail.next()).await.unwrap(), [(self.foreign, TailEvent::Lost)]);
        self.appended(partition, batch(&[b"c"], 1, None)).await;
        tail.subscribe(self.foreign).await;
        let next = within(tail.next()).await.unwrap();
        assert_eq!(next, [(self.foreign, TailEvent::Lost)], "no news of what is not wanted");
    }

    async fn log_starts_move(&self, partition: TopicPartition) {
        for value in [b"a", b"b", b"c"] {
            self.appended(partition, batch(&[value], 1, None)).await;
        }
        let to = |before: Option<i64>| self.broker.delete_records(partition, before.map(Offset));
        assert_eq!(within(to(Some(2))).await, Ok(Offset(2)));
        assert_eq!(self.offsets(partition).await.log_start, Offset(2));
        let below = self.outcome(read(partition, 1, 1)).await;
        assert!(matches!(below, Err(ReadError::OutOfRange { .. })), "{below:?}");
        assert_eq!(within(to(None)).await, Ok(Offset(3)));
        let beyond = within(to(Some(9))).await;
        assert!(matches!(beyond, Err(ReadError::OutOfRange { .. })), "{beyond:?}");
        let foreign = within(self.broker.delete_records(self.foreign, None)).await;
        assert_eq!(foreign, Err(ReadError::NotOwner(self.foreign)));
    }

    async fn a_session_reports_what_it_owns(&self) {
        let report = within(self.broker.references(Thin::default())).await.unwrap();
        for partition in &self.owned {
            assert!(report.partitions.contains(partition), "{partition}");
        }
        assert!(!report.partitions.contains(&self.foreign));
    }
}

/// The next offsets of a partition, and how many bytes have become durable.
async fn advanced(tail: &TailSource, partition: TopicPartition) -> (Offsets, u64) {
    let news = within(tail.next()).await.unwrap();
    let [(of, TailEvent::Advanced { offsets, bytes })] = news[..] else { panic!("{news:?}") };
    assert_eq!(of, partition);
    (offsets, bytes)
}
