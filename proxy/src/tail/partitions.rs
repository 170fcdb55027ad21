//! Who waits for which partitions of one broker, and what is known of those. No I/O.
//!
//! Invariant: a partition is in the table exactly as long as it is subscribed, or as the wish to
//! subscribe it is among the asks.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::time::Instant;
use weir_broker::client::{Isolation, Offsets, TailEvent};
use weir_ids::{Offset, TopicPartition};

use super::{Seen, signal::Signal};

/// How long a partition stays subscribed without a waiter. Looked at when its next news arrives: a
/// partition without news costs nothing.
const IDLE_KEPT: Duration = Duration::from_secs(30);

/// See the module.
pub(super) struct Partitions {
    entries: BTreeMap<TopicPartition, Entry>,
    /// Changes of interest that the broker has not been told yet, in order.
    asks: Vec<(TopicPartition, bool)>,
    idle: usize,
    idle_max: usize,
    ended: bool,
    next: WaiterId,
}

/// Names a waiter, so that one of a thousand is found among the others.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Debug)]
pub(super) struct WaiterId(u64);

#[derive(Default)]
struct Entry {
    known: Option<Known>,
    waiters: BTreeMap<WaiterId, Waiter>,
    /// Since when nobody waits.
    idle_since: Option<Instant>,
}

#[derive(Clone, Copy)]
struct Known {
    offsets: Offsets,
    /// The broker's count of bytes.
    bytes: u64,
}

struct Waiter {
    signal: Arc<Signal>,
    visible: Offset,
    isolation: Isolation,
}

impl Partitions {
    pub(super) fn new(idle_max: usize) -> Self {
        Self {
            entries: BTreeMap::new(),
            asks: Vec::new(),
            idle: 0,
            idle_max,
            ended: false,
            next: WaiterId::default(),
        }
    }

    pub(super) fn offsets(&self, partition: TopicPartition) -> Option<Offsets> {
        self.entries.get(&partition)?.known.map(|known| known.offsets)
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    pub(super) fn has_asks(&self) -> bool {
        !self.asks.is_empty()
    }

    pub(super) fn take_asks(&mut self) -> Vec<(TopicPartition, bool)> {
        std::mem::take(&mut self.asks)
    }

    /// Adds a waiter.
    pub(super) fn enter(&mut self, seen: Seen, signal: &Arc<Signal>) -> WaiterId {
        let Seen { partition, visible, isolation } = seen;
        self.next.0 += 1;
        if self.ended {
            signal.fire();
            return self.next;
        }
        let asks = &mut self.asks;
        let entry = self.entries.entry(partition).or_insert_with(|| {
            asks.push((partition, true));
            Entry::default()
        });
        if entry.idle_since.take().is_some() {
            self.idle -= 1;
        }
        if entry.known.is_some_and(|known| known.offsets.visible(isolation) > visible) {
            signal.fire();
        }
        let waiter = Waiter { signal: Arc::clone(signal), visible, isolation };
        entry.waiters.insert(self.next, waiter);
        self.next
    }

    /// Takes a waiter out.
    pub(super) fn leave(&mut self, partition: TopicPartition, waiter: WaiterId, now: Instant) {
        let Some(entry) = self.entries.get_mut(&partition) else { return };
        entry.waiters.remove(&waiter);
        if !entry.waiters.is_empty() || entry.idle_since.is_some() {
            return;
        }
        if self.idle < self.idle_max {
            entry.idle_since = Some(now);
            self.idle += 1;
        } else {
            self.drop_entry(partition);
        }
    }

    /// Takes in news, and wakes whom it concerns.
    pub(super) fn apply(&mut self, news: Vec<(TopicPartition, TailEvent)>, now: Instant) {
        for (partition, event) in news {
            match event {
                TailEvent::Advanced { offsets, bytes } => {
                    self.advance(partition, Known { offsets, bytes }, now);
                }
                TailEvent::Lost => self.lose(partition),
            }
        }
    }

    /// The broker is gone.
    pub(super) fn end(&mut self) {
        self.ended = true;
        self.asks.clear();
        self.idle = 0;
        for entry in std::mem::take(&mut self.entries).into_values() {
            entry.waiters.values().for_each(|waiter| waiter.signal.fire());
        }
    }

    fn advance(&mut self, partition: TopicPartition, new: Known, now: Instant) {
        // News may still be on its way when nobody wants it any more.
        let Some(entry) = self.entries.get_mut(&partition) else { return };
        if entry.idle_since.is_some_and(|since| now.duration_since(since) >= IDLE_KEPT) {
            self.idle -= 1;
            self.drop_entry(partition);
            return;
        }
        if entry.known.is_some_and(|known| known.offsets.epoch > new.offsets.epoch) {
            return;
        }
        for waiter in entry.waiters.values() {
            waiter.hear(entry.known, new);
        }
        entry.known = Some(new);
    }

    fn lose(&mut self, partition: TopicPartition) {
        let Some(entry) = self.entries.remove(&partition) else { return };
        if entry.idle_since.is_some() {
            self.idle -= 1;
        }
        entry.waiters.values().for_each(|waiter| waiter.signal.fire());
    }

    fn drop_entry(&mut self, partition: TopicPartition) {
        self.entries.remove(&partition);
        self.asks.push((partition, false));
    }
}

impl Waiter {
    fn hear(&self, before: Option<Known>, now: Known) {
        let visible = now.offsets.visible(self.isolation);
        match before {
            // The first news: how much lies between what the waiter has seen and this, nobody knows.
            None if visible > self.visible => self.signal.fire(),
            None => {}
            // The client may believe in the old epoch, or in this one at last.
            Some(before) if before.offsets.epoch != now.offsets.epoch => self.signal.fire(),
            Some(before) if visible > self.visible => {
                self.signal.add(now.bytes.saturating_sub(before.bytes));
            }
            Some(_) => {}
        }
    }
}
