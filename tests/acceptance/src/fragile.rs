//! A producer that does not retry, and so sees every error. The libraries hide those that they take for
//! passing, whatever they are told.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{ProduceRequest, TopicName};
use kafka_protocol::protocol::StrBytes;
use weir_history::{
    Delivery, End, Event, History, Isolation, Notes, Place, Recorder, Seen, Value, Writer,
};
use weir_test_support::Admin;
use weir_test_support::wire::Connection;

use crate::load::{self, Reader};

/// The version of Produce that is spoken here.
const PRODUCE: i16 = 7;
const TIMEOUT_MS: i32 = 30_000;

/// See the module. It writes to the partitions of a topic in turn, one record at a time, and knows what it
/// was told.
pub struct FragileProducer {
    connection: Connection,
    topic: &'static str,
    partitions: i32,
    value_bytes: usize,
    sent: u32,
    recorder: Recorder,
    notes: Notes,
}

impl FragileProducer {
    /// A producer of values of `value_bytes` each.
    ///
    /// # Errors
    /// When nobody listens at `address`.
    pub fn connect(
        address: SocketAddr,
        topic: &'static str,
        partitions: i32,
        value_bytes: usize,
    ) -> Result<Self> {
        let connection = Connection::open(address)?;
        let recorder = Recorder::new();
        let notes = recorder.client(Isolation::ReadUncommitted);
        Ok(Self { connection, topic, partitions, value_bytes, sent: 0, recorder, notes })
    }

    /// Sends one record with `acks=all`; gives the error code.
    ///
    /// # Errors
    /// When there is no answer, or not one to this.
    pub fn send(&mut self) -> Result<i16> {
        let value = Value { writer: 0, number: self.sent };
        let partition = i32::try_from(self.sent)? % self.partitions;
        self.sent += 1;
        self.notes.note(Event::Sent { value, partition, transaction: None });
        let records = load::batch::encode([load::payload(value, self.value_bytes)], None)?;
        let data =
            PartitionProduceData::default().with_index(partition).with_records(Some(records));
        let topic = TopicProduceData::default()
            .with_name(TopicName(StrBytes::from_static_str(self.topic)))
            .with_partition_data(vec![data]);
        let request = ProduceRequest::default()
            .with_acks(-1)
            .with_timeout_ms(TIMEOUT_MS)
            .with_topic_data(vec![topic]);
        let answer = self.connection.request(PRODUCE, &request)?;
        let mut partitions = answer.responses.iter().flat_map(|it| &it.partition_responses);
        let answer = partitions.next().context("no answer about the partition")?;
        if answer.error_code == 0 {
            let place = Place { partition, offset: answer.base_offset };
            self.notes.note(Event::Acked(Seen { place, value }));
        }
        Ok(answer.error_code)
    }

    /// Sends one record.
    ///
    /// # Errors
    /// When it is not acknowledged.
    pub fn send_acknowledged(&mut self) -> Result<()> {
        let error = self.send()?;
        ensure!(error == 0, "record {} is refused with error {error}", self.sent - 1);
        Ok(())
    }

    /// Reads everything, and holds it against what was acknowledged.
    ///
    /// # Errors
    /// When something is missing, or there that should not be.
    pub fn check_all_readable(&self, address: SocketAddr) -> Result<()> {
        let ends = Admin::connect(address)?.end_offsets(self.topic, self.partitions)?;
        let reader = Reader::new(&address.to_string(), self.topic, self.partitions)?;
        let read = reader.read_to(&ends)?;
        let history = History {
            writers: vec![Writer { delivery: Delivery::OnceEachSent, sent: 0 }],
            end: Some(End::new(&vec![0; ends.len()], &ends, read)),
            ..self.recorder.history()
        };
        let verdict = history.check();
        ensure!(verdict.is_clean(), "{verdict}");
        Ok(())
    }
}
