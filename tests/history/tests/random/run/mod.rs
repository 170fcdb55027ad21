//! A random run of clients against a cluster that keeps every promise: what they record is a good
//! history, with everything in it that Kafka allows.

mod consume;
mod produce;

use std::collections::BTreeMap;

use weir_history::{
    Delivery, Edge, Group, History, Isolation, Notes, Order, Recorder, Transaction, Value, Writer,
};

use crate::chance::Chance;
use crate::cluster::{Cluster, PARTITIONS};

/// The group whose members share the partitions.
const SHARED: Group = Group(0);
/// The group whose offsets are committed with transactions.
const WITHIN: Group = Group(1);
/// What each writer promises; the last two write in transactions.
const DELIVERIES: [Delivery; 6] = [
    Delivery::ExactlyOnce,
    Delivery::ExactlyOnce,
    Delivery::OnceEachSent,
    Delivery::AtLeastOnce,
    Delivery::ExactlyOnce,
    Delivery::ExactlyOnce,
];
/// The first writer in transactions.
const TRANSACTIONAL: usize = 4;
/// Readers: two alone, two in the group, by turns of each isolation.
const READERS: usize = 4;
/// The first reader in the group.
const MEMBER: usize = 2;

#[derive(Clone, Copy)]
struct Pending {
    value: Value,
    partition: i32,
    transaction: Option<Transaction>,
}

#[derive(Default)]
struct Producer {
    next: u32,
    /// In the order of sending.
    pending: Vec<Pending>,
    transaction: Option<Transaction>,
}

pub(crate) struct Run {
    chance: Chance,
    cluster: Cluster,
    recorder: Recorder,
    writers: Vec<(Notes, Producer)>,
    /// With the next offset of each partition.
    readers: Vec<(Notes, Isolation, BTreeMap<i32, i64>)>,
    tool: Notes,
    /// Which member has each partition.
    owners: Vec<usize>,
    /// Requests for an edge that are under way, by writer.
    asked: Vec<(usize, Edge, i32, Order)>,
    epoch: i32,
    transactions: u32,
    /// The next offset that is committed with a transaction.
    within: i64,
}

/// A good history of so many steps.
pub(crate) fn history(seed: u64, steps: usize) -> History {
    let mut run = Run::new(seed);
    (0..steps).for_each(|_| run.step());
    run.finish()
}

impl Run {
    fn new(seed: u64) -> Self {
        let recorder = Recorder::new();
        let client = || recorder.client(Isolation::ReadUncommitted);
        let writers = DELIVERIES.iter().map(|_| (client(), Producer::default())).collect();
        let isolations = [Isolation::ReadUncommitted, Isolation::ReadCommitted];
        let readers = (0..READERS).map(|reader| {
            let isolation = isolations[reader % 2];
            (recorder.client(isolation), isolation, BTreeMap::new())
        });
        Self {
            chance: Chance::new(seed),
            cluster: Cluster::new(),
            writers,
            readers: readers.collect(),
            tool: client(),
            recorder: recorder.clone(),
            owners: vec![MEMBER; PARTITIONS as usize],
            asked: Vec::new(),
            epoch: 1,
            transactions: 0,
            within: 0,
        }
    }

    fn step(&mut self) {
        let writer = self.chance.below(DELIVERIES.len());
        let partition = self.partition();
        match self.chance.below(20) {
            0..6 => self.send(writer, partition),
            6..11 => self.resolve(writer),
            11 => self.end_transaction(),
            12..16 => self.poll(partition),
            16 => self.commit(partition),
            17 => self.look(writer, partition),
            18 => self.rebalance_or_seek(partition),
            _ if self.chance.once_in(10) => self.delete(partition),
            _ => self.epoch += i32::from(self.chance.once_in(5)),
        }
    }

    fn partition(&mut self) -> i32 {
        i32::try_from(self.chance.below(PARTITIONS as usize)).expect("few partitions")
    }

    /// What was under way stays unclear; open transactions stay open.
    fn finish(mut self) -> History {
        let end = self.cluster.in_the_end(self.chance.once_in(2));
        let writers = DELIVERIES.iter().zip(&self.writers).map(|(delivery, (_, producer))| {
            let sent = if *delivery == Delivery::AtLeastOnce { producer.next } else { 0 };
            Writer { delivery: *delivery, sent }
        });
        let writers = writers.collect();
        History { writers, end: Some(end), ends_bind_all: true, ..self.recorder.history() }
    }
}
