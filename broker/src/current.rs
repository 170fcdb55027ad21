//! The broker of a node as others reach it, whichever session it is in.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use async_trait::async_trait;
use weir_ids::{LeaderEpoch, Offset, Timestamp, TopicPartition};

use crate::{
    LocalBroker,
    client::{
        Append, AppendError, BrokerClient, Offsets, Read, ReadError, ReadOutcome, Receipt,
        SessionReport, TailSource, Thin, TimestampMatch, receipt, tail,
    },
};

/// The present session's broker; between two sessions there is none, and nothing is owned. Clones
/// share it.
#[derive(Clone, Default)]
pub(crate) struct CurrentBroker(Arc<ArcSwapOption<LocalBroker>>);

impl CurrentBroker {
    pub(crate) fn set(&self, broker: Option<LocalBroker>) {
        self.0.store(broker.map(Arc::new));
    }
}

#[async_trait]
impl BrokerClient for CurrentBroker {
    async fn append(&self, appends: Vec<Append>) -> Vec<Receipt> {
        if let Some(broker) = self.0.load_full() {
            return broker.append(appends).await;
        }
        let refuse = |append: &Append| {
            let (resolver, receipt) = receipt(append.partition);
            resolver.resolve(Err(AppendError::NotOwner(append.partition)));
            receipt
        };
        appends.iter().map(refuse).collect()
    }

    async fn read(&self, reads: Vec<Read>) -> Vec<Result<ReadOutcome, ReadError>> {
        match self.0.load_full() {
            Some(broker) => broker.read(reads).await,
            None => reads.iter().map(|it| Err(ReadError::NotOwner(it.partition))).collect(),
        }
    }

    async fn offsets(&self, partitions: Vec<TopicPartition>) -> Vec<Result<Offsets, ReadError>> {
        match self.0.load_full() {
            Some(broker) => broker.offsets(partitions).await,
            None => partitions.into_iter().map(|it| Err(ReadError::NotOwner(it))).collect(),
        }
    }

    async fn find_timestamp(
        &self,
        partition: TopicPartition,
        timestamp: Timestamp,
        from: Offset,
    ) -> Result<TimestampMatch, ReadError> {
        let broker = self.0.load_full().ok_or(ReadError::NotOwner(partition))?;
        broker.find_timestamp(partition, timestamp, from).await
    }

    async fn find_max_timestamp(
        &self,
        partition: TopicPartition,
    ) -> Result<TimestampMatch, ReadError> {
        let broker = self.0.load_full().ok_or(ReadError::NotOwner(partition))?;
        broker.find_max_timestamp(partition).await
    }

    async fn epoch_end(
        &self,
        partition: TopicPartition,
        epoch: LeaderEpoch,
    ) -> Result<Option<(LeaderEpoch, Offset)>, ReadError> {
        let broker = self.0.load_full().ok_or(ReadError::NotOwner(partition))?;
        broker.epoch_end(partition, epoch).await
    }

    async fn delete_records(
        &self,
        partition: TopicPartition,
        before: Option<Offset>,
    ) -> Result<Offset, ReadError> {
        let broker = self.0.load_full().ok_or(ReadError::NotOwner(partition))?;
        broker.delete_records(partition, before).await
    }

    async fn references(&self, thin: Thin) -> Result<SessionReport, ReadError> {
        match self.0.load_full() {
            Some(broker) => broker.references(thin).await,
            None => Err(ReadError::Storage("no session is open".to_owned())),
        }
    }

    fn tail(&self) -> TailSource {
        match self.0.load_full() {
            Some(broker) => broker.tail(),
            // Its other end is dropped: it ends at once, and is opened again.
            None => tail().2,
        }
    }
}
