//! A cluster that keeps every promise: logs, transactions and committed offsets in memory, and what a
//! client is told of them.

use std::collections::{BTreeMap, BTreeSet};

use weir_history::{End, Group, Partition, Place, Seen, Transaction, Value};

/// Partitions of every log.
pub(crate) const PARTITIONS: i32 = 3;

#[derive(Clone, Copy, Debug)]
enum Slot {
    Record(Value, Option<Transaction>),
    Control,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    Committed,
    Aborted,
}

#[derive(Debug)]
pub(crate) struct Cluster {
    logs: Vec<Vec<Slot>>,
    starts: Vec<i64>,
    transactions: BTreeMap<Transaction, State>,
    /// Offsets that wait for their transaction.
    waiting: Vec<(Transaction, Group, Place)>,
    committed: BTreeMap<(Group, i32), i64>,
}

impl Cluster {
    pub(crate) fn new() -> Self {
        let logs: Vec<Vec<Slot>> = (0..PARTITIONS).map(|_| Vec::new()).collect();
        Self {
            starts: vec![0; logs.len()],
            logs,
            transactions: BTreeMap::new(),
            waiting: Vec::new(),
            committed: BTreeMap::new(),
        }
    }

    /// Appends a record; gives its place.
    pub(crate) fn append(
        &mut self,
        partition: i32,
        value: Value,
        transaction: Option<Transaction>,
    ) -> Place {
        if let Some(transaction) = transaction {
            self.transactions.entry(transaction).or_insert(State::Open);
        }
        let offset = self.end(partition);
        self.logs[partition as usize].push(Slot::Record(value, transaction));
        Place { partition, offset }
    }

    /// Ends a transaction; control records follow in each partition that it wrote to.
    pub(crate) fn finish(&mut self, transaction: Transaction, commit: bool) {
        let state = if commit { State::Committed } else { State::Aborted };
        self.transactions.insert(transaction, state);
        let is_of = |slot: &Slot| matches!(slot, Slot::Record(_, Some(it)) if *it == transaction);
        for log in &mut self.logs {
            if log.iter().any(is_of) {
                log.push(Slot::Control);
            }
        }
        for (_, group, place) in self.waiting.extract_if(.., |(it, ..)| *it == transaction) {
            if commit {
                self.committed.insert((group, place.partition), place.offset);
            }
        }
    }

    /// Commits an offset, or lets it wait for its transaction.
    pub(crate) fn commit(&mut self, group: Group, place: Place, within: Option<Transaction>) {
        match within {
            Some(transaction) => self.waiting.push((transaction, group, place)),
            None => _ = self.committed.insert((group, place.partition), place.offset),
        }
    }

    pub(crate) fn committed(&self, group: Group, partition: i32) -> i64 {
        self.committed.get(&(group, partition)).copied().unwrap_or(-1)
    }

    pub(crate) fn start(&self, partition: i32) -> i64 {
        self.starts[partition as usize]
    }

    pub(crate) fn end(&self, partition: i32) -> i64 {
        i64::try_from(self.logs[partition as usize].len()).expect("small logs")
    }

    /// Where the first open transaction begins, or the log ends.
    pub(crate) fn stable(&self, partition: i32) -> i64 {
        let is_open = |slot: &Slot| match slot {
            Slot::Record(_, Some(transaction)) => self.transactions[transaction] == State::Open,
            _ => false,
        };
        let first = self.logs[partition as usize].iter().position(is_open);
        first.map_or(self.end(partition), |at| i64::try_from(at).expect("small logs"))
    }

    /// Deletes what lies below an offset.
    pub(crate) fn delete(&mut self, below: Place) {
        let start = &mut self.starts[below.partition as usize];
        *start = below.offset.max(*start);
    }

    /// The records from an offset on.
    pub(crate) fn read(&self, partition: i32, from: i64, committed_only: bool) -> Vec<Seen> {
        let end = if committed_only { self.stable(partition) } else { self.end(partition) };
        let slots = (0..end).zip(&self.logs[partition as usize]);
        let records = slots.filter_map(|(offset, slot)| match slot {
            Slot::Record(value, transaction) => {
                let state = transaction.map(|it| self.transactions[&it]);
                let shows = !committed_only || matches!(state, None | Some(State::Committed));
                let place = Place { partition, offset };
                (offset >= from && shows).then_some(Seen { place, value: *value })
            }
            Slot::Control => None,
        });
        records.collect()
    }

    /// What there is in the end; places of control records only if somebody looks.
    pub(crate) fn in_the_end(&self, looks_at_controls: bool) -> End {
        let all = |committed_only: bool| {
            let read = |partition| self.read(partition, self.start(partition), committed_only);
            (0..PARTITIONS).flat_map(read).collect::<Vec<Seen>>()
        };
        let partition = |partition| Partition {
            log_start: self.start(partition),
            stable: self.stable(partition),
            end: self.end(partition),
            retention: false,
        };
        let offsets = self.committed.iter();
        let offsets = offsets.map(|((group, partition), offset)| {
            (*group, Place { partition: *partition, offset: *offset })
        });
        End {
            partitions: (0..PARTITIONS).map(partition).collect(),
            read: all(false),
            read_committed: Some(all(true)),
            controls: looks_at_controls.then(|| self.controls().into_iter().collect()),
            offsets: offsets.collect(),
        }
    }

    fn controls(&self) -> BTreeSet<Place> {
        let of = |(partition, log): (i32, &Vec<Slot>)| {
            let slots = (0..).zip(log.clone());
            let controls = slots.filter(|(_, slot)| matches!(slot, Slot::Control));
            controls.map(move |(offset, _)| Place { partition, offset }).collect::<Vec<_>>()
        };
        (0..).zip(&self.logs).flat_map(of).collect()
    }
}
