//! The record in a control batch that ends a transaction in a partition (KIP-98).
//!
//! ```text
//! key:   version i16 · type i16 (0 abort, 1 commit)
//! value: version i16 · coordinator epoch i32
//! ```
//! Fields that a later version adds come behind these and are skipped.

use bytes::BufMut;
use weir_ids::{ProducerEpoch, ProducerId, Sequence, Timestamp};

use super::batch::VerifiedBatch;
use super::builder::{self, BatchBuilder};
use super::record::Record;

/// How a transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Marker {
    /// Its records are not to be seen.
    Abort,
    /// Its records count.
    Commit,
}

/// What the record of a control batch says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndTransaction {
    /// How the transaction ended.
    pub marker: Marker,
    /// The generation of the coordinator that said so: a lower one is fenced.
    pub coordinator_epoch: i32,
}

impl EndTransaction {
    /// Reads the record of a control batch. `None` if it is another kind of control record, which
    /// readers have to skip, or malformed.
    #[must_use]
    pub fn read(record: &Record) -> Option<Self> {
        let (_version, key) = record.key.as_deref()?.split_first_chunk::<2>()?;
        let marker = match i16::from_be_bytes(*key.first_chunk()?) {
            0 => Marker::Abort,
            1 => Marker::Commit,
            _ => return None,
        };
        let (_version, value) = record.value.as_deref()?.split_first_chunk::<2>()?;
        let coordinator_epoch = i32::from_be_bytes(*value.first_chunk()?);
        Some(Self { marker, coordinator_epoch })
    }

    /// The control batch that ends a producer's transaction.
    ///
    /// # Errors
    /// None in practice: the batch is small and not compressed.
    pub fn to_batch(
        self,
        producer: ProducerId,
        epoch: ProducerEpoch,
        now: Timestamp,
    ) -> Result<VerifiedBatch, builder::Error> {
        let mut key = Vec::with_capacity(4);
        key.put_i16(0);
        key.put_i16(match self.marker {
            Marker::Abort => 0,
            Marker::Commit => 1,
        });
        let mut value = Vec::with_capacity(6);
        value.put_i16(0);
        value.put_i32(self.coordinator_epoch);
        let mut builder =
            BatchBuilder::new().producer(producer, epoch, Sequence(-1)).transactional().control();
        builder.push(now, Some(&key), Some(&value), &[])?;
        builder.build()
    }
}
