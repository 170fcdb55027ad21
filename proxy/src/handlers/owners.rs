//! Asking the owners of partitions.

use std::collections::BTreeMap;

use futures::future::join_all;
use tokio::time::{Instant, sleep_until};
use weir_broker::client::{Offsets, ReadError};
use weir_ids::{NodeId, TopicPartition};

use super::{Handlers, patience::Pauses};

/// How many partitions an owner is asked about at once.
const ASKED_AT_ONCE: usize = 1000;

/// The offsets of partitions as their owners know them, in the order of `partitions`. Owners that are
/// not found at once are looked for until `deadline`.
pub(super) async fn offsets_by(
    handlers: &Handlers,
    partitions: &[TopicPartition],
    deadline: Instant,
) -> Vec<Result<Offsets, ReadError>> {
    let mut told = offsets(handlers, partitions).await;
    let mut pauses = Pauses::new();
    loop {
        let moving = |place: &usize| matches!(told[*place], Err(ReadError::NotOwner(_)));
        let moving: Vec<usize> = (0..told.len()).filter(moving).collect();
        let next = Instant::now() + pauses.next();
        if moving.is_empty() || next > deadline || handlers.stop.is_requested() {
            return told;
        }
        sleep_until(next).await;
        let again: Vec<_> = moving.iter().map(|place| partitions[*place]).collect();
        for (place, offsets) in moving.into_iter().zip(offsets(handlers, &again).await) {
            told[place] = offsets;
        }
    }
}

/// The offsets of partitions as their owners know them, in the order of `partitions`. Takes note of
/// the epochs.
pub(super) async fn offsets(
    handlers: &Handlers,
    partitions: &[TopicPartition],
) -> Vec<Result<Offsets, ReadError>> {
    let mut told: Vec<_> = partitions.iter().map(|p| Err(ReadError::NotOwner(*p))).collect();
    let mut by_owner = BTreeMap::<NodeId, Vec<usize>>::new();
    handlers.view.with(|snapshot| {
        for (place, partition) in partitions.iter().enumerate() {
            if let Some(owner) = handlers.owners.owner(*partition, snapshot) {
                by_owner.entry(owner).or_default().push(place);
            }
        }
    });
    let asked = by_owner.into_iter().map(|(owner, places)| async move {
        let Some(broker) = handlers.brokers.broker(owner) else { return Vec::new() };
        let mut told = Vec::with_capacity(places.len());
        for some in places.chunks(ASKED_AT_ONCE) {
            let asked = some.iter().map(|place| partitions[*place]).collect();
            told.extend(some.iter().copied().zip(broker.offsets(asked).await));
        }
        told.into_iter().map(|(place, offsets)| (place, owner, offsets)).collect()
    });
    for (place, owner, offsets) in join_all(asked).await.into_iter().flatten() {
        match &offsets {
            Ok(offsets) => handlers.owners.note(partitions[place], offsets.epoch, owner),
            Err(ReadError::NotOwner(_)) => handlers.owners.lost(partitions[place], owner),
            Err(_) => {}
        }
        told[place] = offsets;
    }
    told
}
