//! Finding a record by its time within one batch: ListOffsets by timestamp and of the maximal
//! timestamp (KIP-734). Exact also where the batch is compressed.

use weir_ids::{Offset, Timestamp};

use super::attributes::TimestampType;
use super::batch::Batch;
use super::iter::{Error, Place};

/// A record that was looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its offset.
    pub offset: Offset,
    /// Its timestamp.
    pub timestamp: Timestamp,
}

impl From<Place> for Found {
    fn from(place: Place) -> Self {
        Self { offset: place.offset, timestamp: place.timestamp }
    }
}

impl Batch {
    /// The first record at or after `timestamp` and not below `from`, which a caller sets to the
    /// log start. `max_bytes` bounds decompression.
    ///
    /// # Errors
    /// If the records up to the one sought cannot be read.
    pub fn find_timestamp(
        &self,
        timestamp: Timestamp,
        from: Offset,
        max_bytes: usize,
    ) -> Result<Option<Found>, Error> {
        let header = self.header();
        if header.max_timestamp < timestamp || header.last_offset() < from {
            return Ok(None);
        }
        let mut places = self.records(max_bytes)?;
        while let Some(place) = places.next_place() {
            let place = place?;
            if place.timestamp >= timestamp && place.offset >= from {
                return Ok(Some(place.into()));
            }
        }
        Ok(None)
    }

    /// The first of the records with the largest timestamp. `None` if compaction has left none.
    ///
    /// # Errors
    /// If the records cannot be read.
    pub fn find_max_timestamp(&self, max_bytes: usize) -> Result<Option<Found>, Error> {
        // With LogAppendTime the first record is as late as any.
        let first = self.header().attributes.timestamp_type() == TimestampType::LogAppendTime;
        let mut places = self.records(max_bytes)?;
        let mut latest: Option<Place> = None;
        while let Some(place) = places.next_place() {
            let place = place?;
            if latest.is_none_or(|latest| place.timestamp > latest.timestamp) {
                latest = Some(place);
            }
            if first {
                break;
            }
        }
        Ok(latest.map(Found::from))
    }
}
