//! A consumer of librdkafka.

use std::cell::Cell;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rdkafka::ClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use weir_history::{Place, Seen};
use weir_test_support::wait::Deadline;

use super::{STUCK, client, parse};

/// A consumer of all partitions of a topic, outside any group.
pub struct Reader {
    consumer: BaseConsumer<Quiet>,
    errors: Cell<u64>,
}

struct Quiet;

impl ClientContext for Quiet {
    fn error(&self, _error: KafkaError, _reason: &str) {}
    fn log(&self, _level: rdkafka::config::RDKafkaLogLevel, _facility: &str, _message: &str) {}
}

impl rdkafka::consumer::ConsumerContext for Quiet {}

impl Reader {
    /// A reader from the beginning.
    ///
    /// # Errors
    /// When librdkafka does not take the settings.
    pub fn new(bootstrap: &str, topic: &str, partitions: i32) -> Result<Self> {
        let mut config = client(bootstrap);
        config.set("group.id", "unused").set("enable.auto.commit", "false");
        config.set("fetch.wait.max.ms", "100").set("fetch.error.backoff.ms", "50");
        config.set("auto.offset.reset", "error");
        let consumer: BaseConsumer<Quiet> = config.create_with_context(Quiet)?;
        let mut list = TopicPartitionList::new();
        for partition in 0..partitions {
            list.add_partition_offset(topic, partition, Offset::Offset(0))?;
        }
        consumer.assign(&list)?;
        Ok(Self { consumer, errors: Cell::new(0) })
    }

    /// Polls once; none when nothing came in `most`, or the server is away.
    ///
    /// # Errors
    /// When a record is not one that a [`Writer`](super::Writer) wrote, or its offset is out of range.
    pub fn poll(&self, most: Duration) -> Result<Option<Seen>> {
        match self.consumer.poll(most) {
            None => Ok(None),
            Some(Ok(message)) => {
                let place = Place { partition: message.partition(), offset: message.offset() };
                let value = parse(message.payload()).with_context(|| format!("at {place}"))?;
                Ok(Some(Seen { place, value }))
            }
            Some(Err(error)) => match error.rdkafka_error_code() {
                // The log lost its end, or never had what was read.
                Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange) => {
                    Err(error).context("a consumer's next offset is gone")
                }
                _ => {
                    self.errors.set(self.errors.get() + 1);
                    Ok(None)
                }
            },
        }
    }

    /// How many errors it was told of that pass.
    pub fn errors(&self) -> u64 {
        self.errors.get()
    }

    /// Reads until each partition's offset in `ends` is reached.
    ///
    /// # Errors
    /// When that takes too long.
    pub fn read_to(&self, ends: &[i64]) -> Result<Vec<Seen>> {
        let mut read: Vec<Seen> = Vec::new();
        self.for_each_to(ends, |seen| read.push(seen))?;
        read.sort_by_key(|seen| seen.place.partition); // Stable: keeps the order of reading.
        Ok(read)
    }

    /// The same without keeping what was read.
    ///
    /// # Errors
    /// When that takes too long.
    pub fn count_to(&self, ends: &[i64]) -> Result<()> {
        self.for_each_to(ends, |_| {})
    }

    fn for_each_to(&self, ends: &[i64], mut each: impl FnMut(Seen)) -> Result<()> {
        let mut left = ends.iter().filter(|end| **end > 0).count();
        let mut deadline = Deadline::after(STUCK);
        while left > 0 {
            if let Some(seen) = self.poll(Duration::from_millis(100))? {
                let end = ends.get(usize::try_from(seen.place.partition)?);
                left -= usize::from(end == Some(&(seen.place.offset + 1)));
                each(seen);
                deadline = Deadline::after(STUCK);
            } else {
                ensure!(!deadline.has_passed(), "reading stopped short of the end");
            }
        }
        Ok(())
    }
}
