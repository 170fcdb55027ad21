//! What earlier sessions left of one partition. No I/O.

use std::collections::BTreeMap;

use weir_ids::{Offset, SessionId, TopicPartition};
use weir_meta::model::{Inherited, Log};
use weir_segment_store::checkpoint::Listing;

use super::SessionLogs;

/// A partition whose records are not all where they should be. Nothing may be written over that.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Incomplete {
    #[error("{partition}: session {session} is needed, but was not read")]
    NotRead { partition: TopicPartition, session: SessionId },
    #[error(
        "{partition}: session {session} goes on at offset {found}, but the log before it ends at \
         {expected}"
    )]
    Hole { partition: TopicPartition, session: SessionId, expected: Offset, found: Offset },
    #[error(
        "{partition}: session {session} released the log at offset {recorded}, but it ends at {found}"
    )]
    WrongEnd { partition: TopicPartition, session: SessionId, recorded: Offset, found: Offset },
    #[error("{partition}: the references leave a hole")]
    NotDense { partition: TopicPartition },
}

/// Puts together what `log` says is to be inherited, from the newest session that had adopted all
/// before it up to the newest of all.
pub(crate) fn recover(
    partition: TopicPartition,
    log: &Log,
    sessions: &BTreeMap<SessionId, SessionLogs>,
) -> Result<Listing, Incomplete> {
    let mut listing = Listing::default();
    let mut parts: Vec<(&Inherited, &SessionLogs)> = Vec::new();
    for part in log.inherited.iter().rev() {
        let session = part.session;
        let logs = sessions.get(&session).ok_or(Incomplete::NotRead { partition, session })?;
        parts.push((part, logs));
        // Listed under the claim's own epoch: that checkpoint had adopted it.
        let adopted = logs.chain.partitions.get(&partition);
        if let Some(adopted) = adopted.filter(|adopted| adopted.epoch >= part.epoch) {
            listing = adopted.clone();
            break;
        }
    }
    for (part, logs) in parts.into_iter().rev() {
        add_part(&mut listing, partition, part, logs)?;
    }
    listing.start_at(log.log_start);
    if listing.is_dense() { Ok(listing) } else { Err(Incomplete::NotDense { partition }) }
}

/// Adds the slots behind a session's checkpoints.
fn add_part(
    listing: &mut Listing,
    partition: TopicPartition,
    part: &Inherited,
    logs: &SessionLogs,
) -> Result<(), Incomplete> {
    let session = part.session;
    let chunks = logs.chunks.get(&partition).into_iter().flatten();
    for (slot, reference, batches) in chunks.filter(|(_, found, _)| found.epoch == part.epoch) {
        if part.end_slot.is_some_and(|end| *slot >= end) {
            break;
        }
        let (expected, found) = (listing.next, reference.base);
        if expected != found {
            return Err(Incomplete::Hole { partition, session, expected, found });
        }
        listing.append_chunk(*reference, batches);
    }
    match part.end_offset {
        Some(recorded) if recorded != listing.next => {
            let found = listing.next;
            Err(Incomplete::WrongEnd { partition, session, recorded, found })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
