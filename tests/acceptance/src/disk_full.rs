//! A full disk: producers get a storage error, consumers go on, and it heals by itself when space
//! returns. Weir only, on a disk of its own.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{ProduceRequest, TopicName};
use kafka_protocol::protocol::StrBytes;
use kafka_protocol::records::{
    Compression, NO_PARTITION_LEADER_EPOCH, NO_PRODUCER_EPOCH, NO_PRODUCER_ID, NO_SEQUENCE, Record,
    RecordBatchEncoder, RecordEncodeOptions, TimestampType,
};
use weir_history::{
    Delivery, End, Event, History, Isolation, Notes, Place, Recorder, Seen, Value, Writer,
};
use weir_test_support::wait;
use weir_test_support::wire::Connection;
use weir_test_support::{Admin, Server};

use crate::load::Reader;

const TOPIC: &str = "disk-full";
/// The version of Produce that is spoken here.
const PRODUCE: i16 = 7;
const VALUE_BYTES: usize = 100 << 10;
/// Kafka's code for "the disk failed".
const KAFKA_STORAGE_ERROR: i16 = 56;
/// Records by which a full disk must have shown itself, whatever was preallocated.
const MOST_RECORDS: u64 = 20_000;
/// How long it may take to heal.
const HEALED: Duration = Duration::from_secs(60);

/// Fills the disk of `server` and frees it again.
///
/// # Errors
/// When producers get another answer than they should, or an acknowledged record is not there.
pub fn run(server: &Server) -> Result<()> {
    Admin::connect(server.address())?.create_topic(TOPIC, 1)?;
    let mut producer = Producer::connect(server)?;
    (0..100).try_for_each(|_| producer.send_acknowledged())?;

    let filler = server.own_data_dir().join("filler");
    fill(&filler)?;
    let refused = (0..MOST_RECORDS).find_map(|_| match producer.send() {
        Ok(0) => None,
        refused => Some(refused),
    });
    let error = refused.context("producers never noticed that the disk is full")??;
    ensure!(error == KAFKA_STORAGE_ERROR, "a full disk is error {error}");
    producer.check_all_readable(server).context("consumers beside a full disk")?;

    fs::remove_file(&filler)?;
    wait::until("producers go on when space returns", HEALED, || {
        matches!(producer.send(), Ok(0)).then_some(())
    })?;
    (0..100).try_for_each(|_| producer.send_acknowledged())?;
    producer.check_all_readable(server).context("after the disk was freed")
}

/// Writes a file until nothing more fits.
fn fill(path: &Path) -> Result<()> {
    let mut file = File::create(path)?;
    for size in [1 << 20, 4 << 10] {
        let chunk = vec![1; size];
        while file.write_all(&chunk).is_ok() {}
    }
    Ok(())
}

/// A producer that does not retry, and knows what it was told.
struct Producer {
    connection: Connection,
    sent: u32,
    recorder: Recorder,
    notes: Notes,
}

impl Producer {
    fn connect(server: &Server) -> Result<Self> {
        let connection = Connection::open(server.address())?;
        let recorder = Recorder::new();
        let notes = recorder.client(Isolation::ReadUncommitted);
        Ok(Self { connection, sent: 0, recorder, notes })
    }

    /// Sends one record with `acks=all`; gives the error code.
    fn send(&mut self) -> Result<i16> {
        let value = Value { writer: 0, number: self.sent };
        self.sent += 1;
        self.notes.note(Event::Sent { value, partition: 0, transaction: None });
        let partition =
            PartitionProduceData::default().with_index(0).with_records(Some(batch(value)?));
        let topic = TopicProduceData::default()
            .with_name(TopicName(StrBytes::from_static_str(TOPIC)))
            .with_partition_data(vec![partition]);
        let request = ProduceRequest::default()
            .with_acks(-1)
            .with_timeout_ms(30_000)
            .with_topic_data(vec![topic]);
        let answer = self.connection.request(PRODUCE, &request)?;
        let mut partitions = answer.responses.iter().flat_map(|it| &it.partition_responses);
        let partition = partitions.next().context("no answer about the partition")?;
        if partition.error_code == 0 {
            let place = Place { partition: 0, offset: partition.base_offset };
            self.notes.note(Event::Acked(Seen { place, value }));
        }
        Ok(partition.error_code)
    }

    fn send_acknowledged(&mut self) -> Result<()> {
        match self.send()? {
            0 => Ok(()),
            error => bail!("a record is refused with error {error}"),
        }
    }

    fn check_all_readable(&self, server: &Server) -> Result<()> {
        let ends = Admin::connect(server.address())?.end_offsets(TOPIC, 1)?;
        let read = Reader::new(&server.bootstrap(), TOPIC, 1)?.read_to(&ends)?;
        let history = History {
            writers: vec![Writer { delivery: Delivery::OnceEachSent, sent: 0 }],
            end: Some(End::new(&[0], &ends, read)),
            ..self.recorder.history()
        };
        let verdict = history.check();
        ensure!(verdict.is_clean(), "{verdict}");
        Ok(())
    }
}

fn batch(value: Value) -> Result<Bytes> {
    let mut payload = value.to_string().into_bytes();
    payload.resize(VALUE_BYTES, b'.');
    let record = Record {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: NO_PARTITION_LEADER_EPOCH,
        producer_id: NO_PRODUCER_ID,
        producer_epoch: NO_PRODUCER_EPOCH,
        timestamp_type: TimestampType::Creation,
        offset: 0,
        sequence: NO_SEQUENCE,
        timestamp: 1_700_000_000_000,
        key: None,
        value: Some(payload.into()),
        headers: Default::default(),
    };
    let options = RecordEncodeOptions { version: 2, compression: Compression::None };
    let mut bytes = BytesMut::new();
    RecordBatchEncoder::encode(&mut bytes, [&record], &options)?;
    Ok(bytes.freeze())
}
