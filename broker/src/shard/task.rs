//! The task that runs a shard.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use tokio::sync::mpsc;
use weir_ids::{PartitionIndex, Timestamp, TopicId, TopicPartition};
use weir_protocol::records::Patcher;
use weir_runtime::{Runtime, Stop};
use weir_segment_store::checkpoint::Listing;

use super::{DurableChunk, Held, Listings, Message, QueuedAppend, ReadAnswers, Reads, ShardInbox};
use crate::{
    TopicRules,
    buffers::Buffers,
    client::{AppendError, Entries, ReadError, TailEvent, TailSink},
    partition::{Accepted, Answered, Claimed, Covered, Partition, Verdict},
    wal::WalHandle,
};

/// How many messages are taken at once.
const TAKE: usize = 256;

/// A shard.
pub(crate) struct Shard {
    runtime: Runtime,
    buffers: Arc<Buffers>,
    wal: WalHandle,
    pub(super) partitions: BTreeMap<TopicPartition, Partition>,
    /// Released partitions, of which checkpoints still tell.
    covered: BTreeMap<TopicPartition, Covered>,
    /// Appends to partitions that are about to be opened.
    expected: BTreeMap<TopicPartition, Vec<QueuedAppend>>,
    readers: BTreeMap<u64, BTreeSet<TopicPartition>>,
    trouble: Option<String>,
    /// Nothing is accepted any more.
    draining: bool,
    patcher: Patcher,
    accepted: Vec<Accepted>,
}

impl Shard {
    pub(crate) fn new(runtime: Runtime, buffers: Arc<Buffers>, wal: WalHandle) -> Self {
        Self {
            runtime,
            buffers,
            wal,
            partitions: BTreeMap::new(),
            covered: BTreeMap::new(),
            expected: BTreeMap::new(),
            readers: BTreeMap::new(),
            trouble: None,
            draining: false,
            patcher: Patcher::new(),
            accepted: Vec::new(),
        }
    }

    /// Runs until `stop` and gives everything up then.
    pub(crate) async fn run(mut self, inbox: ShardInbox, stop: Stop) {
        let mut inbox: mpsc::UnboundedReceiver<Message> = inbox.0;
        let mut taken = Vec::with_capacity(TAKE);
        loop {
            tokio::select! {
                biased;
                () = stop.requested() => break,
                count = inbox.recv_many(&mut taken, TAKE) => if count == 0 { break },
            }
            let now = self.runtime.now();
            taken.drain(..).for_each(|message| self.handle(message, now));
            self.hand_over();
        }
        let all = self.partitions.keys().chain(self.expected.keys()).copied().collect();
        self.handle_close(all);
    }

    fn hand_over(&mut self) {
        if !self.accepted.is_empty() {
            self.wal.submit(std::mem::take(&mut self.accepted));
        }
    }

    fn handle(&mut self, message: Message, now: Timestamp) {
        match message {
            Message::Append(appends) => {
                appends.into_iter().for_each(|queued| self.handle_append(queued, now));
            }
            Message::Read(reads, answer) => drop(answer.send(self.handle_read(reads))),
            Message::Ask(questions) => {
                for (partition, question) in questions {
                    question(self.partitions.get_mut(&partition));
                }
            }
            Message::Expect(partitions) => {
                for partition in partitions {
                    self.expected.entry(partition).or_default();
                }
            }
            Message::Unexpect(partitions) => {
                partitions.into_iter().for_each(|id| self.handle_unexpect(id));
            }
            Message::Open(claimed, opened) => {
                claimed.into_iter().for_each(|claimed| self.handle_open(claimed, now));
                let _ = opened.send(());
            }
            Message::Close(partitions) => self.handle_close(partitions),
            Message::Freeze(partitions, done) => {
                self.handle_freeze(&partitions);
                self.hand_over();
                let _ = done.send(());
            }
            Message::Cover(partitions) => self.handle_cover(partitions),
            Message::Uncover(partitions) => {
                partitions.iter().for_each(|id| drop(self.covered.remove(id)));
            }
            Message::Listings(partitions, answer) => {
                let _ = answer.send(self.listings(partitions));
            }
            Message::Covered(answer) => {
                let _ = answer.send(self.covered.keys().copied().collect());
            }
            Message::References(answer) => drop(answer.send(self.references())),
            Message::Passed(answer) => drop(answer.send(self.take_passed())),
            Message::Durable(chunks) => self.handle_durable(chunks),
            Message::Trouble(trouble) => self.handle_trouble(trouble),
            Message::Checkpointed(lines) => {
                for (partition, epoch, delta) in lines {
                    self.handle_checkpointed(partition, epoch, delta);
                }
            }
            Message::Evict(chunks) => self.handle_evict(chunks),
            Message::Subscribe(reader, partition, sink) => {
                self.handle_subscribe(reader, partition, sink);
            }
            Message::Unsubscribe(reader, partition) => self.handle_unsubscribe(reader, partition),
            Message::ReaderGone(reader) => {
                for partition in self.readers.remove(&reader).unwrap_or_default() {
                    self.handle_unsubscribe(reader, partition);
                }
            }
            Message::Tend(tend) => self.handle_tend(tend),
            Message::Rules(topic, rules) => self.handle_rules(topic, &rules),
            Message::Drain(done) => {
                self.draining = true;
                self.hand_over();
                let _ = done.send(());
            }
        }
    }

    fn handle_append(&mut self, queued: QueuedAppend, now: Timestamp) {
        let id = queued.append.partition;
        if self.draining {
            return self.refuse(queued, AppendError::NotOwner(id));
        }
        let Some(partition) = self.partitions.get_mut(&id) else {
            match self.expected.get_mut(&id) {
                Some(waiting) => waiting.push(queued),
                None => self.refuse(queued, AppendError::NotOwner(id)),
            }
            return;
        };
        if let Some(trouble) = &self.trouble {
            let error = AppendError::Storage(trouble.clone());
            return self.refuse(queued, error);
        }
        let QueuedAppend { append, resolver, reserved } = queued;
        match partition.append(append, resolver, reserved, now, &mut self.patcher) {
            Verdict::Accepted(accepted, answered) => {
                self.accepted.push(accepted);
                answered.into_iter().for_each(Answered::send);
            }
            Verdict::Waiting => self.buffers.release(reserved),
            Verdict::Answered(answered) => {
                self.buffers.release(reserved);
                answered.send();
            }
        }
    }

    fn refuse(&self, queued: QueuedAppend, error: AppendError) {
        self.buffers.release(queued.reserved);
        queued.resolver.resolve(Err(error));
    }

    fn handle_read(&mut self, reads: Reads) -> ReadAnswers {
        let mut read = |read: &crate::client::Read| match self.partitions.get_mut(&read.partition) {
            Some(partition) => {
                let outcome = partition.read(read)?;
                if let Entries::Tail(pieces) = &outcome.entries {
                    partition.served(pieces.iter().map(|piece| piece.len() as u64).sum());
                }
                Ok(outcome)
            }
            None => Err(ReadError::NotOwner(read.partition)),
        };
        reads.into_iter().map(|(place, asked)| (place, read(&asked))).collect()
    }

    fn take_passed(&mut self) -> Vec<(TopicPartition, u64)> {
        let passed = self.partitions.iter_mut().map(|(id, it)| (*id, it.take_passed()));
        passed.filter(|(_, bytes)| *bytes > 0).collect()
    }

    fn handle_open(&mut self, claimed: Claimed, now: Timestamp) {
        let partition = Partition::new(claimed, now);
        let id = partition.id();
        assert!(!self.partitions.contains_key(&id), "{id} is opened twice");
        self.partitions.insert(id, partition);
        // What was covered is part of what was recovered.
        self.covered.remove(&id);
        for queued in self.expected.remove(&id).unwrap_or_default() {
            self.handle_append(queued, now);
        }
    }

    fn handle_close(&mut self, partitions: Vec<TopicPartition>) {
        for id in partitions {
            self.handle_unexpect(id);
            self.covered.remove(&id);
            self.give_up(id);
        }
    }

    fn handle_unexpect(&mut self, id: TopicPartition) {
        for queued in self.expected.remove(&id).unwrap_or_default() {
            self.refuse(queued, AppendError::NotOwner(id));
        }
    }

    fn handle_freeze(&mut self, partitions: &[TopicPartition]) {
        for id in partitions {
            if let Some(partition) = self.partitions.get_mut(id) {
                partition.freeze();
            }
        }
    }

    fn handle_cover(&mut self, partitions: Vec<TopicPartition>) {
        for id in partitions {
            if let Some(covered) = self.give_up(id) {
                self.covered.insert(id, covered);
            }
        }
    }

    fn give_up(&mut self, id: TopicPartition) -> Option<Covered> {
        let mut partition = self.partitions.remove(&id)?;
        self.buffers.release(partition.evict_all());
        let (covered, answers) = partition.give_up(&AppendError::Unclear(id));
        answers.into_iter().for_each(Answered::send);
        Some(covered)
    }

    fn listings(&self, partitions: Vec<TopicPartition>) -> Listings {
        let listing = |id: TopicPartition| {
            let open = self.partitions.get(&id).map(Partition::listing);
            Some((id, open.or_else(|| self.covered.get(&id).map(Covered::listing))?))
        };
        partitions.into_iter().filter_map(listing).collect()
    }

    fn references(&self) -> Held {
        let mut held = Held::default();
        for (id, partition) in &self.partitions {
            partition.add_to(&mut held.named);
            held.partitions.push(*id);
            for reference in partition.references() {
                *held.bytes.entry(reference.object).or_default() += reference.takes_bytes();
            }
        }
        self.covered.values().for_each(|covered| covered.add_to(&mut held.named));
        held
    }

    fn handle_durable(&mut self, chunks: Vec<DurableChunk>) {
        for DurableChunk { partition, epoch, last } in chunks {
            let Some(found) = self.partitions.get_mut(&partition) else { continue };
            if found.epoch() == epoch {
                found.durable_through(last).into_iter().for_each(Answered::send);
            }
        }
    }

    /// While the log takes no writes, what waits is answered with an error: it may still land, and a
    /// retry then finds it.
    fn handle_trouble(&mut self, trouble: Option<String>) {
        if let Some(trouble) = &trouble {
            let error = AppendError::Storage(trouble.clone());
            for partition in self.partitions.values_mut() {
                partition.fail_pending(&error).into_iter().for_each(Answered::send);
            }
        }
        self.trouble = trouble;
    }

    fn handle_checkpointed(
        &mut self,
        partition: TopicPartition,
        epoch: weir_ids::LeaderEpoch,
        delta: Listing,
    ) {
        if let Some(found) = self.partitions.get_mut(&partition).filter(|p| p.epoch() == epoch) {
            found.checkpointed(delta);
        } else if let Some(covered) = self.covered.get_mut(&partition) {
            covered.checkpointed(epoch, delta);
        }
    }

    fn handle_evict(&mut self, chunks: Vec<DurableChunk>) {
        let mut freed = 0;
        for DurableChunk { partition, epoch, last } in chunks {
            if let Some(found) = self.partitions.get_mut(&partition).filter(|p| p.epoch() == epoch)
            {
                freed += found.evict(last);
            }
        }
        self.buffers.release(freed);
    }

    fn handle_subscribe(&mut self, reader: u64, partition: TopicPartition, sink: TailSink) {
        match self.partitions.get_mut(&partition) {
            Some(found) => {
                found.subscribe(reader, sink);
                self.readers.entry(reader).or_default().insert(partition);
            }
            None => sink.push(partition, TailEvent::Lost),
        }
    }

    fn handle_unsubscribe(&mut self, reader: u64, partition: TopicPartition) {
        if let Some(found) = self.partitions.get_mut(&partition) {
            found.unsubscribe(reader);
        }
        if let Some(subscribed) = self.readers.get_mut(&reader) {
            subscribed.remove(&partition);
        }
    }

    fn handle_rules(&mut self, topic: TopicId, rules: &Arc<TopicRules>) {
        let all = TopicPartition::new(topic, PartitionIndex(0))
            ..=TopicPartition::new(topic, PartitionIndex(u32::MAX));
        for (_, partition) in self.partitions.range_mut(all) {
            partition.set_rules(Arc::clone(rules));
        }
    }
}
