//! A producer that always has several batches in flight, one a request.
//!
//! Idempotent, `acks=all`. It notes what each batch was and where it is. It is for runs in which nothing fails: an error
//! ends it.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{InitProducerIdRequest, ProduceRequest, TopicName};
use kafka_protocol::protocol::StrBytes;
use weir_test_support::wait;
use weir_test_support::wire::Connection;

use super::STUCK;
use super::batch::{self, Producer};
use super::ledger::{Batch, Ledger};

/// The version of Produce that it speaks: topics by name.
const PRODUCE: i16 = 9;
const INIT_PRODUCER_ID: i16 = 4;
/// What a request may wait for at the server.
const TIMEOUT_MS: i32 = 30_000;
/// Batches of one partition that are in flight: as many as a server remembers of an idempotent producer.
const IN_FLIGHT_A_PARTITION: usize = 5;
const IN_FLIGHT: usize = 60;
/// Where a batch's CRC is.
const CRC: Range<usize> = 17..21;
/// Where it says how many offsets it takes, less one.
const LAST_DELTA: Range<usize> = 23..27;

/// A producer.
pub struct Pipeline {
    connection: Connection,
    producer: Producer,
    topic: &'static str,
    /// The sequence of the next record of each partition.
    sequences: Vec<i32>,
    in_flight: VecDeque<(i32, i32, Batch)>,
    ledger: Ledger,
    sent_bytes: u64,
}

impl Pipeline {
    /// A producer of its own id, to the partitions from 0 on.
    ///
    /// # Errors
    /// When the server gives it none.
    pub fn new(server: SocketAddr, topic: &'static str, partitions: i32) -> Result<Self> {
        let mut connection = Connection::open(server)?;
        let producer = wait::until("there is a producer id", STUCK, || {
            let request = InitProducerIdRequest::default().with_transactional_id(None);
            let answer = connection.request(INIT_PRODUCER_ID, &request).ok()?;
            let (id, epoch) = (answer.producer_id.0, answer.producer_epoch);
            (answer.error_code == 0).then_some(Producer { id, epoch })
        })?;
        Ok(Self {
            connection,
            producer,
            topic,
            sequences: vec![0; usize::try_from(partitions)?],
            in_flight: VecDeque::new(),
            ledger: Ledger::default(),
            sent_bytes: 0,
        })
    }

    /// Bytes of batches that were sent.
    pub fn sent_bytes(&self) -> u64 {
        self.sent_bytes
    }

    /// Whether [`Self::send`] would wait.
    pub(super) fn is_full(&self) -> bool {
        let most = self.sequences.len() * IN_FLIGHT_A_PARTITION;
        self.in_flight.len() >= most.min(IN_FLIGHT)
    }

    /// Sends a batch of records that were due at `at`; waits while too many are in flight.
    ///
    /// # Errors
    /// When the server refuses one, or does not answer.
    pub fn send(
        &mut self,
        partition: i32,
        records: impl IntoIterator<Item = (Option<Bytes>, Bytes)>,
        at: Duration,
    ) -> Result<()> {
        while self.is_full() {
            self.take_answer()?;
        }
        self.take_answers()?;
        let sequence = &mut self.sequences[usize::try_from(partition)?];
        let by = Some((self.producer, *sequence));
        let batch = batch::encode_at(wait::timestamp(), records, by)?;
        let last = i32::from_be_bytes(batch[LAST_DELTA].try_into()?);
        *sequence += last + 1;
        let crc = u32::from_be_bytes(batch[CRC].try_into()?);
        let note = Batch { base: 0, last: i64::from(last), crc, bytes: batch.len(), at };
        self.sent_bytes += batch.len() as u64;
        let data = PartitionProduceData::default().with_index(partition).with_records(Some(batch));
        let topic = TopicProduceData::default()
            .with_name(TopicName(StrBytes::from_static_str(self.topic)))
            .with_partition_data(vec![data]);
        let request = ProduceRequest::default().with_acks(-1).with_timeout_ms(TIMEOUT_MS);
        let correlation = self.connection.send(PRODUCE, &request.with_topic_data(vec![topic]))?;
        self.in_flight.push_back((correlation, partition, note));
        Ok(())
    }

    /// Takes the answers that have come.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub(super) fn take_answers(&mut self) -> Result<()> {
        while !self.in_flight.is_empty() && self.connection.has_answer()? {
            self.take_answer()?;
        }
        Ok(())
    }

    /// Lets time pass until an answer comes, or as much as `most`.
    ///
    /// # Errors
    /// When the connection has broken.
    pub(super) fn pass(&mut self, most: Duration) -> Result<()> {
        if self.in_flight.is_empty() {
            wait::let_pass(most);
            return Ok(());
        }
        self.connection.await_answer(most)
    }

    /// Waits until all is acknowledged; gives what was written.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub fn finish(mut self) -> Result<Ledger> {
        while !self.in_flight.is_empty() {
            self.take_answer()?;
        }
        Ok(self.ledger)
    }

    fn take_answer(&mut self) -> Result<()> {
        let next = self.in_flight.pop_front().context("nothing is in flight")?;
        let (correlation, partition, batch) = next;
        let answer = self.connection.receive::<ProduceRequest>(PRODUCE, correlation)?;
        let mut partitions = answer.responses.iter().flat_map(|it| &it.partition_responses);
        let told = partitions.next().context("an answer about nothing")?;
        let (error, base) = (told.error_code, told.base_offset);
        ensure!(error == 0, "partition {partition} refuses a batch with error {error}");
        ensure!(told.index == partition, "an answer about another partition");
        self.ledger.note(partition, Batch { base, last: base + batch.last, ..batch });
        Ok(())
    }
}
