//! A consumer that reads everything while load goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Result, anyhow};
use weir_test_support::Cluster;

use super::TOPIC;
use crate::load::Reader;

const POLL: Duration = Duration::from_millis(50);

/// A consumer of all partitions.
pub(super) struct Consumption {
    stop: Arc<AtomicBool>,
    read: Arc<AtomicU64>,
    thread: JoinHandle<Result<u64>>,
}

impl Consumption {
    /// Begins at the beginning.
    pub(super) fn start(cluster: &Cluster, partitions: i32) -> Result<Self> {
        let (stop, read) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let reader = Reader::new(&cluster.bootstrap(), TOPIC, partitions)?;
        let (stopped, count) = (Arc::clone(&stop), Arc::clone(&read));
        let thread = std::thread::Builder::new().name("consumption".to_owned());
        let thread = thread.spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                let seen = reader.poll(POLL)?;
                count.fetch_add(u64::from(seen.is_some()), Ordering::Relaxed);
            }
            Ok(reader.errors())
        })?;
        Ok(Self { stop, read, thread })
    }

    /// How many records it has read.
    pub(super) fn read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// Ends it; gives how many errors it was told of.
    pub(super) fn finish(self) -> Result<u64> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow!("the consumer has panicked"))?
    }
}
