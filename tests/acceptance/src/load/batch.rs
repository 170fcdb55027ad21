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
    encode_at(TIMESTAMP, values.into_iter().map(|value| (None, value)), by)
}

/// A batch of records with keys perhaps, and values, all of which were made at `timestamp`; as [`encode`].
///
/// # Errors
/// When the format can't say it.
pub(crate) fn encode_at(
    timestamp: i64,
    records: impl IntoIterator<Item = (Option<Bytes>, Bytes)>,
    by: Option<(Producer, i32)>,
) -> Result<Bytes> {
    let none = Producer { id: NO_PRODUCER_ID, epoch: NO_PRODUCER_EPOCH };
    let (producer, first) = by.map_or((none, None), |(producer, first)| (producer, Some(first)));
    let record = |(offset, (key, value)): (i32, (Option<Bytes>, Bytes))| Record {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: NO_PARTITION_LEADER_EPOCH,
        producer_id: producer.id,
        producer_epoch: producer.epoch,
        timestamp_type: TimestampType::Creation,
        offset: i64::from(offset),
        sequence: first.map_or(NO_SEQUENCE, |first| first + offset),
        timestamp,
        key,
        value: Some(value),
        headers: Default::default(),
    };
    let records: Vec<_> = (0..).zip(records).map(record).collect();
    let options = RecordEncodeOptions { version: 2, compression: Compression::None };
    let mut bytes = BytesMut::new();
    RecordBatchEncoder::encode(&mut bytes, &records, &options)?;
    Ok(bytes.freeze())
}
