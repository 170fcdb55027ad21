//! Looking for a record by its time: the owner says where one may be, this finds out whether one is.

use bytes::Bytes;
use weir_broker::client::{BrokerClient, ReadError, TimestampMatch};
use weir_ids::{LeaderEpoch, Offset, Timestamp, TopicPartition};
use weir_protocol::{
    ErrorCode,
    records::{Batch, search::Found},
};
use weir_runtime::blocking;
use weir_segment_store::Reference;

use crate::handlers::{Handlers, codes};

/// A record, and the epoch that wrote it.
pub(super) type Record = (Found, LeaderEpoch);

/// Where records are looked for.
pub(super) struct Search<'a> {
    pub(super) handlers: &'a Handlers,
    pub(super) broker: &'a dyn BrokerClient,
    pub(super) partition: TopicPartition,
    pub(super) log_start: Offset,
}

/// What was found in a place.
enum Looked {
    At(Record),
    /// Nothing; the next place is here or behind.
    NothingBefore(Offset),
    NothingAtAll,
}

impl Search<'_> {
    /// The first record at or after `timestamp`. A place that may hold one may hold only some that are gone, as they
    /// lie before the log's start; what follows is looked into then.
    pub(super) async fn first_at(&self, timestamp: Timestamp) -> Result<Option<Record>, ErrorCode> {
        let mut from = self.log_start;
        loop {
            let place = self.broker.find_timestamp(self.partition, timestamp, from).await;
            let place = place.map_err(|error| refused(self.partition, &error))?;
            match self.look(place, timestamp, from).await? {
                Looked::At(record) => return Ok(Some(record)),
                Looked::NothingBefore(next) if next > from => from = next,
                Looked::NothingBefore(_) | Looked::NothingAtAll => return Ok(None),
            }
        }
    }

    /// The first of the records with the largest timestamp.
    pub(super) async fn latest(&self) -> Result<Option<Record>, ErrorCode> {
        let place = self.broker.find_max_timestamp(self.partition).await;
        let place = place.map_err(|error| refused(self.partition, &error))?;
        let reader = &self.handlers.reader;
        let reference = match place {
            TimestampMatch::None => return Ok(None),
            TimestampMatch::Batch(batch) => return Ok(self.search(batch, None).await?.0),
            TimestampMatch::Stored(reference) => Some(reference),
            TimestampMatch::Paged(page) => {
                let found = reader.references(&page, self.log_start, page.max_timestamp).await;
                found.map_err(|error| self.unreadable(&error))?.first().copied()
            }
        };
        let Some(reference) = reference else { return Ok(None) };
        let batch = reader.latest(&reference).await.map_err(|error| self.unreadable(&error))?;
        let Some(batch) = batch else { return Ok(None) };
        Ok(self.search(batch, None).await?.0)
    }

    async fn look(
        &self,
        place: TimestampMatch,
        timestamp: Timestamp,
        from: Offset,
    ) -> Result<Looked, ErrorCode> {
        match place {
            TimestampMatch::None => Ok(Looked::NothingAtAll),
            TimestampMatch::Batch(batch) => self.look_into(batch, timestamp, from).await,
            TimestampMatch::Stored(reference) => self.look_in(&reference, timestamp, from).await,
            TimestampMatch::Paged(page) => {
                let found = self.handlers.reader.references(&page, from, timestamp).await;
                match found.map_err(|error| self.unreadable(&error))?.first() {
                    Some(reference) => self.look_in(reference, timestamp, from).await,
                    None => Ok(Looked::NothingBefore(page.last.plus(1))),
                }
            }
        }
    }

    async fn look_in(
        &self,
        reference: &Reference,
        timestamp: Timestamp,
        from: Offset,
    ) -> Result<Looked, ErrorCode> {
        let batch = self.handlers.reader.first_at(reference, timestamp, from).await;
        match batch.map_err(|error| self.unreadable(&error))? {
            Some(batch) => self.look_into(batch, timestamp, from).await,
            None => Ok(Looked::NothingBefore(reference.last.plus(1))),
        }
    }

    async fn look_into(
        &self,
        batch: Bytes,
        timestamp: Timestamp,
        from: Offset,
    ) -> Result<Looked, ErrorCode> {
        let (record, last) = self.search(batch, Some((timestamp, from))).await?;
        Ok(record.map_or(Looked::NothingBefore(last.plus(1)), Looked::At))
    }

    /// Looks into a batch, off the async threads: it may have to be decompressed. One at a time, so that no more than
    /// one batch's worth of memory is ever taken. Gives the batch's last offset, too.
    async fn search(
        &self,
        batch: Bytes,
        first_at: Option<(Timestamp, Offset)>,
    ) -> Result<(Option<Record>, Offset), ErrorCode> {
        let _turn = self.handlers.time_lookups.acquire().await;
        let max_bytes = self.handlers.shared.settings.decompressed_batch_max_bytes;
        let searched = blocking(move || {
            let batch = Batch::parse(batch).map_err(|error| error.to_string())?;
            let header = batch.header();
            let found = match first_at {
                Some((timestamp, from)) => batch.find_timestamp(timestamp, from, max_bytes),
                None => batch.find_max_timestamp(max_bytes),
            };
            let found = found.map_err(|error| error.to_string())?;
            Ok((found.map(|found| (found, header.leader_epoch)), header.last_offset()))
        });
        searched.await.map_err(|error: String| self.unreadable(&error))
    }

    fn unreadable(&self, error: &dyn std::fmt::Display) -> ErrorCode {
        tracing::warn!(partition = %self.partition, %error, "a time could not be looked up");
        ErrorCode::KAFKA_STORAGE_ERROR
    }
}

/// What a client is told when the owner does not answer.
pub(in crate::handlers) fn refused(partition: TopicPartition, error: &ReadError) -> ErrorCode {
    if let ReadError::Storage(reason) = error {
        tracing::warn!(%partition, reason, "an offset look-up met a storage error");
    }
    codes::of_read(error)
}
