//! Load in bulk: values that nobody could compress, as many as somebody says or as fast as it goes.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use weir_test_support::wait::Stopwatch;

use super::ledger::Ledger;
use super::pipeline::Pipeline;
use crate::chance::Chance;

/// What values are cut out of.
const POOL_BYTES: usize = 16 << 20;
/// How long it waits when it has nothing else to do.
const TICK: Duration = Duration::from_millis(1);

/// What it writes.
#[derive(Clone, Debug)]
pub struct BulkSettings {
    /// The topic.
    pub topic: &'static str,
    /// How many partitions, from 0 on, are written in turn.
    pub partitions: i32,
    /// How long a batch is made, about.
    pub batch_bytes: usize,
    /// How long values are: as likely between 1 and 2 KiB as between 32 and 64.
    pub value_bytes: RangeInclusive<usize>,
    /// Bytes a second; none: as fast as it goes.
    pub bytes_per_second: Option<u64>,
    /// Decides what values are.
    pub seed: u64,
    /// What its times are told by.
    pub clock: Stopwatch,
}

/// A producer.
pub struct BulkWriter {
    settings: BulkSettings,
    pipeline: Pipeline,
    pool: Bytes,
    chance: Chance,
    began: Duration,
    turn: i32,
}

impl BulkWriter {
    /// A producer of its own id.
    ///
    /// # Errors
    /// When the server gives it none.
    pub fn new(server: SocketAddr, settings: BulkSettings) -> Result<Self> {
        let pipeline = Pipeline::new(server, settings.topic, settings.partitions)?;
        let mut chance = Chance::new(settings.seed);
        let pool = chance.bytes(POOL_BYTES + settings.value_bytes.end()).into();
        let began = settings.clock.elapsed();
        Ok(Self { settings, pipeline, pool, chance, began, turn: 0 })
    }

    /// Bytes of batches that were sent.
    pub fn sent_bytes(&self) -> u64 {
        self.pipeline.sent_bytes()
    }

    /// Sends one more batch if one is due, or waits for a moment.
    ///
    /// # Errors
    /// When the server refuses one, or does not answer.
    pub fn turn(&mut self) -> Result<()> {
        let now = self.settings.clock.elapsed();
        let due = match self.settings.bytes_per_second {
            None => now,
            Some(rate) => {
                self.began + Duration::from_secs_f64(self.sent_bytes() as f64 / rate as f64)
            }
        };
        if due > now {
            self.pipeline.take_answers()?;
            return self.pipeline.pass(TICK.min(due - now));
        }
        let (mut values, mut bytes) = (Vec::new(), 0);
        while values.is_empty() || bytes < self.settings.batch_bytes {
            let value = self.value();
            bytes += value.len();
            values.push((None, value));
        }
        let partition = self.turn;
        self.turn = (self.turn + 1) % self.settings.partitions;
        self.pipeline.send(partition, values, due)
    }

    /// Waits until all is acknowledged; gives what was written.
    ///
    /// # Errors
    /// As [`Self::turn`].
    pub fn finish(self) -> Result<Ledger> {
        self.pipeline.finish()
    }

    fn value(&mut self) -> Bytes {
        let [least, most] = [self.settings.value_bytes.start(), self.settings.value_bytes.end()]
            .map(|bytes| (*bytes).max(1) as f64);
        let fraction = self.chance.below(1 << 20) as f64 / f64::from(1 << 20);
        let len = (least * (most / least).powf(fraction)) as usize;
        let at = self.chance.below(POOL_BYTES as u64) as usize;
        self.pool.slice(at..at + len)
    }
}
