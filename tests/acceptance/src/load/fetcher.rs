//! A consumer that does no more than it must: it fetches several partitions over one connection, and sums up each batch.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use anyhow::{Context, Result, bail, ensure};
use bytes::{Buf, Bytes};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::{FetchRequest, TopicName};
use kafka_protocol::protocol::StrBytes;
use weir_protocol::records::crc32c;
use weir_test_support::wait::{Deadline, Stopwatch};
use weir_test_support::wire::Connection;

use super::STUCK;
use super::ledger::{Batch, Ledger};

/// The version of Fetch that it speaks: topics by name.
const FETCH: i16 = 11;
/// What comes before a batch's length, and with that before what it counts.
const PREFIX_BYTES: usize = 12;
/// What a batch's header takes.
const HEADER_BYTES: usize = 61;
/// What a batch's CRC covers begins here.
const SUMMED: usize = 21;
/// Errors that pass: no leader, not the leader, timed out, offset not available yet.
const PASSING: [i16; 4] = [5, 6, 7, 78];

/// How it fetches.
#[derive(Clone, Copy, Debug)]
pub struct FetchTerms {
    /// `fetch.max.bytes`.
    pub max_bytes: i32,
    /// `max.partition.fetch.bytes`.
    pub partition_max_bytes: i32,
    /// `fetch.max.wait.ms`.
    pub max_wait_ms: i32,
}

/// A consumer outside any group.
#[derive(Debug)]
pub struct Fetcher {
    connection: Connection,
    topic: &'static str,
    terms: FetchTerms,
    clock: Stopwatch,
    /// Where it goes on in each partition.
    next: BTreeMap<i32, i64>,
    read: Ledger,
    bytes: u64,
    /// The partition that is asked for first.
    turn: usize,
}

impl Fetcher {
    /// A consumer of partitions, from these offsets on.
    ///
    /// # Errors
    /// When nobody listens.
    pub fn new(
        server: SocketAddr,
        topic: &'static str,
        from: BTreeMap<i32, i64>,
        terms: FetchTerms,
        clock: Stopwatch,
    ) -> Result<Self> {
        let (connection, read) = (Connection::open(server)?, Ledger::default());
        Ok(Self { connection, topic, terms, clock, next: from, read, bytes: 0, turn: 0 })
    }

    /// Bytes of batches that it has read.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What it has read.
    pub fn into_read(self) -> Ledger {
        self.read
    }

    /// Reads until it has come to these ends of its partitions.
    ///
    /// # Errors
    /// When it gets an error that does not pass, or a batch that is not whole, or nothing for long.
    pub fn read_to(&mut self, ends: &BTreeMap<i32, i64>) -> Result<()> {
        let mut patience = Deadline::after(STUCK);
        loop {
            let behind = |(partition, next): (&i32, &i64)| {
                ends.get(partition).is_some_and(|end| next < end).then_some(*partition)
            };
            let wanted: Vec<i32> = self.next.iter().filter_map(behind).collect();
            if wanted.is_empty() {
                return Ok(());
            }
            if self.fetch(&wanted)? > 0 {
                patience = Deadline::after(STUCK);
            }
            ensure!(!patience.has_passed(), "reading {} stopped short of the end", self.topic);
        }
    }

    /// Asks once for all its partitions; gives how many bytes came.
    ///
    /// # Errors
    /// As [`Self::read_to`].
    pub fn poll(&mut self) -> Result<u64> {
        let all: Vec<i32> = self.next.keys().copied().collect();
        self.fetch(&all)
    }

    fn fetch(&mut self, partitions: &[i32]) -> Result<u64> {
        self.turn += 1;
        let first = self.turn % partitions.len();
        let (behind, before) = partitions.split_at(first);
        let asked = before.iter().chain(behind).map(|partition| {
            FetchPartition::default()
                .with_partition(*partition)
                .with_fetch_offset(self.next[partition])
                .with_partition_max_bytes(self.terms.partition_max_bytes)
        });
        let topic = FetchTopic::default()
            .with_topic(TopicName(StrBytes::from_static_str(self.topic)))
            .with_partitions(asked.collect());
        let request = FetchRequest::default()
            .with_replica_id((-1).into())
            .with_max_wait_ms(self.terms.max_wait_ms)
            .with_min_bytes(1)
            .with_max_bytes(self.terms.max_bytes)
            .with_session_epoch(-1)
            .with_topics(vec![topic]);
        let answer = self.connection.request(FETCH, &request)?;
        ensure!(answer.error_code == 0, "a fetch fails with error {}", answer.error_code);
        let before = self.bytes;
        for told in answer.responses.into_iter().flat_map(|it| it.partitions) {
            let (partition, error) = (told.partition_index, told.error_code);
            match error {
                0 => self.take(partition, told.records.unwrap_or_default())?,
                error if PASSING.contains(&error) => {}
                error => bail!("{}/{partition}: error {error}", self.topic),
            }
        }
        Ok(self.bytes - before)
    }

    /// Takes batches that came.
    fn take(&mut self, partition: i32, mut records: Bytes) -> Result<()> {
        while records.len() >= HEADER_BYTES {
            let mut header = &records[..HEADER_BYTES];
            let base = header.get_i64();
            let bytes = PREFIX_BYTES + usize::try_from(header.get_i32())?;
            if records.len() < bytes {
                break; // Servers may cut the last one short.
            }
            header.advance(5);
            let crc = header.get_u32();
            header.advance(2);
            let last = base + i64::from(header.get_i32());
            let batch = records.split_to(bytes);
            ensure!(crc32c(&batch[SUMMED..]) == crc, "{partition}/{base}: a batch is not whole");
            let next = self.next.get_mut(&partition).context("a partition not asked for")?;
            if last < *next {
                continue;
            }
            ensure!(base <= *next, "{}/{partition} skips from {next} to {base}", self.topic);
            *next = last + 1;
            self.bytes += bytes as u64;
            let at = self.clock.elapsed();
            self.read.note(partition, Batch { base, last, crc, bytes, at });
        }
        Ok(())
    }
}
