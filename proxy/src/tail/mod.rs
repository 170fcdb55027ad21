//! Waiting for records.
//!
//! A fetch with nothing to return waits here. All waits on one broker share one stream of news, and
//! a partition stays subscribed for a while after its last waiter has left, because consumers come
//! back: a fetch at the known end then asks the broker nothing at all, and a thousand idle consumers
//! cost it nothing. There are no timers here; the one deadline of a wait is the fetch's own.
//!
//! What is known here may lag behind the broker, never run ahead of it: enough to say "nothing new
//! yet", and nothing else is ever answered from it.

mod partitions;
mod signal;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{sync::Notify, time::Instant};
use weir_broker::client::{BrokerClient, Isolation, Offsets, TailSource};
use weir_ids::{NodeId, Offset, TopicPartition};
use weir_runtime::{Stop, Tasks};

use partitions::{Partitions, WaiterId};
use signal::Signal;

/// The news of every broker that somebody waits on.
pub(crate) struct Tails {
    by_node: Mutex<BTreeMap<NodeId, Arc<Tail>>>,
    tasks: Tasks,
    idle_max: usize,
}

impl Tails {
    /// `tasks`: when they are to stop, every wait is over, and nobody waits any more. `idle_max`: how many partitions without a waiter may stay subscribed, a broker.
    pub(crate) fn new(tasks: Tasks, idle_max: usize) -> Self {
        Self { by_node: Mutex::default(), tasks, idle_max }
    }

    /// The news of `node`, whose client is `broker`.
    pub(crate) fn of(&self, node: NodeId, broker: &Arc<dyn BrokerClient>) -> Arc<Tail> {
        let mut by_node = self.by_node.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tail) = by_node.get(&node).filter(|tail| !tail.lock().has_ended()) {
            return Arc::clone(tail);
        }
        let partitions = Mutex::new(Partitions::new(self.idle_max));
        let tail = Arc::new(Tail { partitions, asked: Notify::new() });
        by_node.insert(node, Arc::clone(&tail));
        let (running, source) = (Arc::clone(&tail), broker.tail());
        self.tasks.spawn("tail", |stop| async move { running.run(source, stop).await });
        tail
    }
}

/// The news of one broker.
pub(crate) struct Tail {
    partitions: Mutex<Partitions>,
    /// There are changes of interest to pass on.
    asked: Notify,
}

/// What is known of a broker's partitions. Nobody else can look as long as this lives.
pub(crate) struct Known<'a>(MutexGuard<'a, Partitions>);

impl Known<'_> {
    /// A partition's offsets at some moment not long ago, if somebody waits, or waited, for it.
    pub(crate) fn offsets(&self, partition: TopicPartition) -> Option<Offsets> {
        self.0.offsets(partition)
    }
}

/// What a waiting fetch has seen of a partition.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    pub(crate) partition: TopicPartition,
    /// It knows of everything below.
    pub(crate) visible: Offset,
    pub(crate) isolation: Isolation,
}

impl Tail {
    /// What is known of partitions.
    pub(crate) fn known(&self) -> Known<'_> {
        Known(self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Partitions> {
        self.partitions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn run(&self, source: TailSource, stop: Stop) {
        loop {
            let asks = self.lock().take_asks();
            for (partition, wanted) in asks {
                if wanted {
                    source.subscribe(partition).await;
                } else {
                    source.unsubscribe(partition).await;
                }
            }
            tokio::select! {
                biased;
                () = stop.requested() => break,
                news = source.next() => match news {
                    Some(news) => self.lock().apply(news, Instant::now()),
                    None => break,
                },
                () = self.asked.notified() => {}
            }
        }
        self.lock().end();
    }
}

/// One wait, on any number of partitions. Dropped, it is over.
pub(crate) struct Wait {
    signal: Arc<Signal>,
    on: Vec<WaitingOn>,
}

/// A wait's places at one broker.
struct WaitingOn {
    tail: Arc<Tail>,
    waiters: Vec<(TopicPartition, WaiterId)>,
}

impl Wait {
    /// A wait for `bytes` more to become visible in all partitions together.
    pub(crate) fn for_bytes(bytes: u64) -> Self {
        Self { signal: Arc::new(Signal::new(bytes)), on: Vec::new() }
    }

    /// Waits on these partitions too.
    pub(crate) fn on(&mut self, tail: &Arc<Tail>, seen: impl Iterator<Item = Seen>) {
        let (waiters, asks) = {
            let mut partitions = tail.lock();
            let enter = |seen: Seen| (seen.partition, partitions.enter(seen, &self.signal));
            let waiters = seen.map(enter).collect();
            (waiters, partitions.has_asks())
        };
        self.on.push(WaitingOn { tail: Arc::clone(tail), waiters });
        if asks {
            tail.asked.notify_one();
        }
    }

    /// Whether any of its partitions has changed since, in a way that concerns the fetch.
    pub(crate) fn has_heard(&self) -> bool {
        self.signal.has_heard()
    }

    /// Resolves when enough has become visible, or something else makes it worth asking the broker.
    pub(crate) async fn reached(&self) {
        self.signal.fired().await;
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        for WaitingOn { tail, waiters } in &self.on {
            let now = Instant::now();
            let mut partitions = tail.lock();
            for (partition, waiter) in waiters {
                partitions.leave(*partition, *waiter, now);
            }
            if partitions.has_asks() {
                tail.asked.notify_one();
            }
        }
    }
}

#[cfg(test)]
mod tests;
