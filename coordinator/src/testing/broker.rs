//! One broker that owns every partition it is asked about, and fails as it is told.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, MutexGuard},
};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::Notify;
use weir_broker::client::{
    Acks, Append, AppendError, Appended, BrokerClient, Entries, Offsets, Origin, Read, ReadError,
    ReadOutcome, Receipt, Resolver, SessionReport, TailSource, Thin, TimestampMatch, receipt,
};
use weir_ids::{LeaderEpoch, Offset, Timestamp, TopicPartition};
use weir_protocol::records::{Batch, Patcher};

use crate::shard::log::{Chunk, LogError, LogReader};

const EPOCH: LeaderEpoch = LeaderEpoch(1);

/// What happens to the next append.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    /// Refused; surely not appended.
    Busy,
    /// The partition has moved; surely not appended.
    NotOwner,
    /// The store fails before.
    Storage,
    /// Nobody knows; it is not there.
    Lost,
    /// Nobody knows; it is there.
    Landed,
    /// It waits until released.
    Held,
    /// Somebody else's append is on its way, which will end the log elsewhere.
    Conflicts,
}

#[derive(Default)]
pub(crate) struct FakeBroker {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    logs: BTreeMap<TopicPartition, Log>,
    faults: VecDeque<Fault>,
    held: VecDeque<(Append, Resolver)>,
    /// How many reads fail from now on.
    failing_reads: usize,
    failing_trims: usize,
}

#[derive(Default)]
struct Log {
    start: i64,
    next: i64,
    batches: Vec<Batch>,
}

impl FakeBroker {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// The next appends fail so, in this order.
    pub(crate) fn fail(&self, faults: impl IntoIterator<Item = Fault>) {
        self.state().faults.extend(faults);
    }

    /// How many of those have not happened yet.
    pub(crate) fn faults_left(&self) -> usize {
        self.state().faults.len()
    }

    /// The next reads of a log fail.
    pub(crate) fn fail_reads(&self, count: usize) {
        self.state().failing_reads = count;
    }

    /// The next attempts to move a log start fail.
    pub(crate) fn fail_trims(&self, count: usize) {
        self.state().failing_trims = count;
    }

    /// Waits until something is held.
    pub(crate) async fn until_held(&self) {
        self.until(|state| !state.held.is_empty()).await;
    }

    /// Waits until a log starts at or behind `offset`.
    pub(crate) async fn until_start(&self, partition: TopicPartition, offset: Offset) {
        self.until(|state| state.logs.get(&partition).is_some_and(|log| log.start >= offset.0))
            .await;
    }

    async fn until(&self, reached: impl Fn(&State) -> bool) {
        loop {
            let changed = self.changed.notified();
            if reached(&self.state()) {
                return;
            }
            changed.await;
        }
    }

    /// What was held goes on.
    pub(crate) fn release(&self) {
        let held = std::mem::take(&mut self.state().held);
        for (append, resolver) in held {
            let result = self.state().append(&append);
            resolver.resolve(result);
        }
        self.changed.notify_waiters();
    }

    /// Appends as somebody else would.
    pub(crate) fn intrude(&self, partition: TopicPartition, batch: Bytes) {
        let append = Append {
            partition,
            epoch: None,
            records: batch,
            acks: Acks::Durable,
            expected: None,
            origin: Origin::Coordinator,
        };
        self.state().append(&append).unwrap();
    }

    pub(crate) fn offsets_of(&self, partition: TopicPartition) -> (Offset, Offset) {
        let mut state = self.state();
        let log = state.logs.entry(partition).or_default();
        (Offset(log.start), Offset(log.next))
    }

    /// The number of records of each batch.
    pub(crate) fn batches(&self, partition: TopicPartition) -> Vec<i32> {
        let state = self.state();
        let batches = state.logs.get(&partition).map(|log| &log.batches);
        batches.into_iter().flatten().map(|batch| batch.header().record_count).collect()
    }
}

impl State {
    fn append(&mut self, append: &Append) -> Result<Appended, AppendError> {
        let log = self.logs.entry(append.partition).or_default();
        let next = Offset(log.next);
        if let Some(expected) = append.expected.filter(|expected| *expected != next) {
            return Err(AppendError::Conflict { expected, next });
        }
        let verified = Batch::parse(append.records.clone()).unwrap().verify().unwrap();
        let patched = Patcher::new().patch(verified, next, EPOCH);
        let batch = Batch::parse(patched.to_bytes()).unwrap();
        let last = batch.header().last_offset();
        log.next = last.0 + 1;
        log.batches.push(batch);
        Ok(Appended {
            base: next,
            last,
            log_append_time: None,
            log_start: Offset(log.start),
            epoch: EPOCH,
        })
    }

    fn offsets(&mut self, partition: TopicPartition) -> Offsets {
        let log = self.logs.entry(partition).or_default();
        let durable = Offset(log.next);
        Offsets { epoch: EPOCH, log_start: Offset(log.start), stable: durable, durable }
    }
}

#[async_trait]
impl BrokerClient for FakeBroker {
    async fn append(&self, appends: Vec<Append>) -> Vec<Receipt> {
        let mut receipts = Vec::new();
        for append in appends {
            let partition = append.partition;
            let (resolver, answer) = receipt(partition);
            receipts.push(answer);
            let mut state = self.state();
            let result = match state.faults.pop_front() {
                None => state.append(&append),
                Some(Fault::Busy) => Err(AppendError::Busy),
                Some(Fault::NotOwner) => Err(AppendError::NotOwner(partition)),
                Some(Fault::Storage) => Err(AppendError::Storage("broken".into())),
                Some(Fault::Lost) => Err(AppendError::Unclear(partition)),
                Some(Fault::Conflicts) => {
                    let expected = append.expected.unwrap();
                    Err(AppendError::Conflict { expected, next: expected.plus(1) })
                }
                Some(Fault::Landed) => {
                    state.append(&append).unwrap();
                    Err(AppendError::Unclear(partition))
                }
                Some(Fault::Held) => {
                    state.held.push_back((append, resolver));
                    continue;
                }
            };
            resolver.resolve(result);
        }
        self.changed.notify_waiters();
        receipts
    }

    async fn read(&self, reads: Vec<Read>) -> Vec<Result<ReadOutcome, ReadError>> {
        let mut state = self.state();
        let mut read = |read: &Read| {
            if state.failing_reads > 0 {
                state.failing_reads -= 1;
                return Err(ReadError::Storage("broken".into()));
            }
            let offsets = state.offsets(read.partition);
            if read.offset < offsets.log_start || read.offset > offsets.durable {
                let Offsets { log_start, durable, .. } = offsets;
                return Err(ReadError::OutOfRange { offset: read.offset, log_start, durable });
            }
            let log = state.logs.entry(read.partition).or_default();
            let mut slices = Vec::new();
            let mut bytes = 0;
            for batch in &log.batches {
                let header = batch.header();
                if header.last_offset() < read.offset {
                    continue;
                }
                bytes += header.size();
                if !slices.is_empty() && bytes > read.max_bytes as usize {
                    break;
                }
                // As a broker's tail has them: heads apart from bodies.
                let mut body = batch.bytes().clone();
                slices.push(body.split_to(16));
                slices.push(body);
            }
            let entries = if slices.is_empty() { Entries::None } else { Entries::Tail(slices) };
            Ok(ReadOutcome { offsets, entries })
        };
        reads.iter().map(&mut read).collect()
    }

    async fn offsets(&self, partitions: Vec<TopicPartition>) -> Vec<Result<Offsets, ReadError>> {
        let mut state = self.state();
        partitions.into_iter().map(|partition| Ok(state.offsets(partition))).collect()
    }

    async fn find_timestamp(
        &self,
        _: TopicPartition,
        _: Timestamp,
        _: Offset,
    ) -> Result<TimestampMatch, ReadError> {
        Ok(TimestampMatch::None)
    }

    async fn find_max_timestamp(&self, _: TopicPartition) -> Result<TimestampMatch, ReadError> {
        Ok(TimestampMatch::None)
    }

    async fn epoch_end(
        &self,
        _: TopicPartition,
        _: LeaderEpoch,
    ) -> Result<Option<(LeaderEpoch, Offset)>, ReadError> {
        Ok(None)
    }

    async fn delete_records(
        &self,
        partition: TopicPartition,
        before: Option<Offset>,
    ) -> Result<Offset, ReadError> {
        let start = {
            let mut state = self.state();
            if state.failing_trims > 0 {
                state.failing_trims -= 1;
                return Err(ReadError::Storage("broken".into()));
            }
            let log = state.logs.entry(partition).or_default();
            let start = before.map_or(log.next, |before| before.0).max(log.start);
            log.start = start;
            log.batches.retain(|batch| batch.header().last_offset().0 >= start);
            Offset(start)
        };
        self.changed.notify_waiters();
        Ok(start)
    }

    async fn references(&self, _: Thin) -> Result<SessionReport, ReadError> {
        Err(ReadError::Storage("refers to nothing".to_owned()))
    }

    fn tail(&self) -> TailSource {
        weir_broker::client::tail().2
    }
}

#[async_trait]
impl LogReader for FakeBroker {
    async fn read(
        &self,
        partition: TopicPartition,
        from: Offset,
        max_bytes: u32,
    ) -> Result<Chunk, LogError> {
        let read =
            Read { partition, epoch: None, offset: from, max_bytes, isolation: Default::default() };
        let outcome = BrokerClient::read(self, vec![read]).await.remove(0)?;
        let batches = match outcome.entries {
            Entries::Tail(batches) => batches,
            Entries::None | Entries::Stored(_) => Vec::new(),
        };
        Ok(Chunk { offsets: outcome.offsets, batches })
    }
}
