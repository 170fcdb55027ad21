//! Record batches as a client encodes them, by the crate `kafka-protocol`: a witness that shares nothing with
//! Weir's own codec.

use anyhow::Result;
use bytes::{Bytes, BytesMut};
use kafka_protocol::records::{
    Compression, NO_PARTITION_LEADER_EPOCH, NO_PRODUCER_EPOCH, NO_PRODUCER_ID, NO_SEQUENCE, Record,
    RecordBatchEncoder, RecordEncodeOptions, TimestampType,
};

/// When all records say that they were made.
const TIMESTAMP: i64 = 1_700_000_000_000;

/// An idempotent producer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Producer {
    pub(crate) id: i64,
    pub(crate) epoch: i16,
}

/// A batch of records without keys; with the sequence of its first if an idempotent producer sends it.
///
/// # Errors
/// When the format can't say it.
pub(crate) fn encode(
    values: impl IntoIterator<Item = Bytes>,
    by: Option<(Producer, i32)>,
) -> Result<Bytes> {
    let none = Producer { id: NO_PRODUCER_ID, epoch: NO_PRODUCER_EPOCH };
    let (producer, first) = by.map_or((none, None), |(producer, first)| (producer, Some(first)));
    let record = |(offset, value): (i32, Bytes)| Record {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: NO_PARTITION_LEADER_EPOCH,
        producer_id: producer.id,
        producer_epoch: producer.epoch,
        timestamp_type: TimestampType::Creation,
        offset: i64::from(offset),
        sequence: first.map_or(NO_SEQUENCE, |first| first + offset),
        timestamp: TIMESTAMP,
        key: None,
        value: Some(value),
        headers: Default::default(),
    };
    let records: Vec<_> = (0..).zip(values).map(record).collect();
    let options = RecordEncodeOptions { version: 2, compression: Compression::None };
    let mut bytes = BytesMut::new();
    RecordBatchEncoder::encode(&mut bytes, &records, &options)?;
    Ok(bytes.freeze())
}
