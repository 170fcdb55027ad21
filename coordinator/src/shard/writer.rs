//! The way of a shard's writes to the log: gathered while one append is in flight, sent together.
//!
//! One append at a time keeps the log's order the order of decisions, makes every append's expected
//! offset known, and gathers more the slower the store is.

use std::{collections::VecDeque, future::Future, pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::time::Instant;
use weir_broker::client::{AppendError, ReadError};
use weir_ids::{Offset, Timestamp, TopicPartition};
use weir_protocol::records::BatchBuilder;
use weir_runtime::planted::{Bug, is_planted};

use super::log;
use crate::{
    cluster::Cluster,
    groups::{Waiting, Write},
    records::Change,
    settings::Settings,
};

/// Records that may wait for their turn. Beyond it the shard takes no more requests.
pub(super) const QUEUE_RECORDS_MAX: usize = 16 * 1024;

/// Pause before an append is tried again that surely did not happen; doubles up to the second.
const RETRY_FIRST: Duration = Duration::from_millis(10);
const RETRY_LAST: Duration = Duration::from_millis(500);

/// Writes that wait, in order.
#[derive(Default)]
pub(super) struct Queue {
    writes: VecDeque<PartlyTaken>,
    records: usize,
}

/// A write, some of whose records may have gone out already.
struct PartlyTaken {
    changes: std::vec::IntoIter<Change>,
    then: Vec<Waiting>,
}

/// What goes out with one append.
#[derive(Default)]
pub(super) struct Flight {
    /// Pieces of a compaction, which the image has already.
    pub(super) rewritten: Vec<Change>,
    /// What changes.
    pub(super) changes: Vec<Change>,
    /// What waits for it.
    pub(super) then: Vec<Waiting>,
}

impl Queue {
    pub(super) fn push(&mut self, write: Write) {
        self.records += write.changes.len();
        self.writes.push_back(PartlyTaken { changes: write.changes.into_iter(), then: write.then });
    }

    pub(super) fn is_full(&self) -> bool {
        self.records >= QUEUE_RECORDS_MAX
    }

    /// Takes what fits into a batch of `max_bytes` that holds `rewritten` already. A write that does
    /// not fit is taken in parts; what waits for it goes with the last.
    pub(super) fn take(&mut self, rewritten: Vec<Change>, max_bytes: usize) -> Flight {
        let mut bytes: usize = rewritten.iter().map(cost).sum();
        let mut flight = Flight { rewritten, ..Flight::default() };
        while let Some(write) = self.writes.front_mut() {
            while let Some(change) = write.changes.as_slice().first() {
                let empty = flight.changes.is_empty() && flight.rewritten.is_empty();
                if !empty && bytes + cost(change) > max_bytes {
                    return flight;
                }
                bytes += cost(change);
                flight.changes.extend(write.changes.next());
                self.records -= 1;
            }
            flight.then.append(&mut write.then);
            self.writes.pop_front();
        }
        flight
    }
}

/// What a record may take in a batch, with room to spare.
fn cost(change: &Change) -> usize {
    const FRAME: usize = 64;
    FRAME + change.bytes()
}

impl Flight {
    pub(super) fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.rewritten.is_empty()
    }

    /// The batch, and how many records it has. A record that can't be encoded is an error of ours.
    pub(super) fn batch(&self, at: Timestamp) -> Result<(Bytes, i64), String> {
        let mut batch = BatchBuilder::new();
        for change in self.rewritten.iter().chain(&self.changes) {
            let (key, value) = change.encode().map_err(|error| error.to_string())?;
            let pushed = batch.push(at, Some(&key), value.as_deref(), &[]);
            pushed.map_err(|error| error.to_string())?;
        }
        let count = i64::from(batch.count());
        let built = batch.build().map_err(|error| error.to_string())?;
        Ok((built.bytes().clone(), count))
    }
}

/// An append under way.
pub(super) type Appending = Pin<Box<dyn Future<Output = Result<(), AppendFailed>> + Send>>;

/// Why the shard can't go on from what it has in memory.
#[derive(Debug, thiserror::Error)]
pub(super) enum AppendFailed {
    /// What the broker said last.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// No broker was there to ask.
    #[error("no broker is known to own {0}")]
    NoOwner(TopicPartition),
    /// It took too long to know.
    #[error("no answer from the owner of {partition} within {after:?}")]
    TimedOut {
        /// Which partition.
        partition: TopicPartition,
        /// How long it took.
        after: Duration,
    },
    /// It took place elsewhere than where it was meant to.
    #[error("appended at offset {found}, not at {expected}")]
    Misplaced {
        /// Where it was meant to.
        expected: Offset,
        /// Where it is.
        found: Offset,
    },
    /// The log ends elsewhere: somebody else has written, or has moved its end.
    #[error("the log of {partition} ends at {found}, not at {expected}")]
    Overtaken {
        /// Which partition.
        partition: TopicPartition,
        /// Where it was meant to end.
        expected: Offset,
        /// Where it ends.
        found: Offset,
    },
    /// The owner does not say where the log ends.
    #[error(transparent)]
    Look(#[from] ReadError),
    /// The records can't be put into a batch.
    #[error("the records can't be encoded: {0}")]
    Encode(String),
}

/// Appends a batch at `expected`. Tries again, for a while, what surely did not happen.
pub(super) async fn append(
    cluster: Arc<dyn Cluster>,
    settings: Arc<Settings>,
    partition: TopicPartition,
    batch: Bytes,
    expected: Offset,
) -> Result<(), AppendFailed> {
    let deadline = Instant::now() + settings.append_timeout;
    let mut pause = RETRY_FIRST;
    loop {
        let failed = match cluster.owner(partition) {
            None => AppendFailed::NoOwner(partition),
            Some(owner) => {
                let append = log::conditional(partition, batch.clone(), expected);
                let appended = tokio::time::timeout_at(deadline, log::append(&*owner, append));
                match appended.await {
                    Ok(Ok(appended))
                        if appended.base == expected || is_planted(Bug::AppendWithoutCondition) =>
                    {
                        return Ok(());
                    }
                    Ok(Ok(appended)) => {
                        return Err(AppendFailed::Misplaced { expected, found: appended.base });
                    }
                    Ok(Err(error)) if log::surely_not_appended(&error) => error.into(),
                    Ok(Err(error)) => return Err(error.into()),
                    Err(_) => {
                        let after = settings.append_timeout;
                        return Err(AppendFailed::TimedOut { partition, after });
                    }
                }
            }
        };
        if Instant::now() + pause >= deadline {
            return Err(failed);
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(RETRY_LAST);
    }
}

/// Makes sure that the log ends at `expected`: nobody else had written when this was called.
pub(super) async fn look(
    cluster: Arc<dyn Cluster>,
    settings: Arc<Settings>,
    partition: TopicPartition,
    expected: Offset,
) -> Result<(), AppendFailed> {
    let deadline = Instant::now() + settings.append_timeout;
    let mut pause = RETRY_FIRST;
    loop {
        let failed = match cluster.owner(partition) {
            None => AppendFailed::NoOwner(partition),
            Some(owner) => {
                let asked = tokio::time::timeout_at(deadline, owner.offsets(vec![partition]));
                match asked.await.map(|mut told| told.pop()) {
                    Ok(Some(Ok(offsets))) if offsets.durable == expected => return Ok(()),
                    Ok(Some(Ok(offsets))) => {
                        let found = offsets.durable;
                        return Err(AppendFailed::Overtaken { partition, expected, found });
                    }
                    Ok(Some(Err(error))) => error.into(),
                    Ok(None) => AppendFailed::NoOwner(partition),
                    Err(_) => {
                        let after = settings.append_timeout;
                        return Err(AppendFailed::TimedOut { partition, after });
                    }
                }
            }
        };
        if Instant::now() + pause >= deadline {
            return Err(failed);
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(RETRY_LAST);
    }
}
