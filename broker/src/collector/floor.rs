//! Metadata that went back in time, as after a restore from a backup: then nothing may be deleted, and no
//! broker may start, until somebody has looked into it.
//!
//! The store remembers what the metadata has forgotten. Every session leaves an open marker there for
//! ever, and its id comes of a revision of the metadata: one above the metadata's is from a future that the
//! metadata does not know. And the metadata forgets a session on purpose only after the store was told
//! ([`FORGOTTEN`]): a session that neither knows was lost, even if the metadata has gone on since.

use std::collections::BTreeSet;

use futures::{StreamExt, TryStreamExt, stream};
use weir_ids::SessionId;
use weir_meta::{
    Metadata,
    model::{SessionAllocation, Wal},
    store::{Revision, list_together},
};
use weir_segment_store::{
    ObjectName,
    journal::{self, Journal, object::FORGOTTEN},
};

use crate::recovery::Census;

/// How many sessions are looked at together.
const LOOKS_AT_ONCE: usize = 16;

/// The metadata is older than what is in the store.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the store holds session {session}, which the metadata, at revision {revision}, does not know: it is \
     older than the store, as after a restore from a backup; put newer metadata in their place"
)]
pub struct MetadataIsOlder {
    /// A session of the store.
    pub session: SessionId,
    /// The metadata's revision.
    pub revision: Revision,
}

/// Why a broker does not start.
#[derive(Debug, thiserror::Error)]
pub enum FloorError {
    /// The metadata went back in time.
    #[error(transparent)]
    Older(#[from] MetadataIsOlder),
    /// The sessions can't be listed.
    #[error(transparent)]
    Journal(#[from] journal::Error),
    /// The metadata can't be read.
    #[error(transparent)]
    Metadata(#[from] weir_meta::Error),
}

/// Refuses metadata that does not know a session of the store: a start on it would lose records. Call it
/// before a session is allocated.
///
/// # Errors
/// [`FloorError::Older`]; or when one of the two can't be read.
pub async fn refuse_if_metadata_is_older(
    journal: &dyn Journal,
    metadata: &Metadata,
) -> Result<(), FloorError> {
    // The sessions first: whichever begins meanwhile is known by then, and has a lower id than the revision.
    let sessions = journal.sessions().await?;
    let ids = SessionAllocation::key();
    let listed = list_together(metadata.store(), [Wal::PREFIX, ids.as_str()]).await;
    let ([wals, ids], revision) = listed.map_err(weir_meta::Error::from)?;
    let highest = SessionAllocation::highest(ids.first(), revision);
    let highest = highest.map_err(weir_meta::Error::from)?;
    newest_is_known(sessions.iter().max().copied(), Some(highest), revision)?;
    let known: BTreeSet<SessionId> =
        wals.iter().filter_map(|entry| Wal::session(&entry.key)).collect();
    let unknown = sessions.into_iter().filter(|session| !known.contains(session));
    let looks = unknown.map(|session| async move {
        match journal.is_forgotten(session).await? {
            true => Ok(()),
            false => Err(FloorError::from(MetadataIsOlder { session, revision })),
        }
    });
    let looks: Vec<_> = looks.collect();
    stream::iter(looks).buffer_unordered(LOOKS_AT_ONCE).try_collect().await
}

fn newest_is_known(
    newest: Option<SessionId>,
    highest: Option<SessionId>,
    revision: Revision,
) -> Result<(), MetadataIsOlder> {
    match newest {
        Some(session) if Some(session) > highest => Err(MetadataIsOlder { session, revision }),
        _ => Ok(()),
    }
}

/// The sessions of which the store holds something and neither the metadata knows anything nor `listed`
/// says that they were forgotten on purpose; the listing may be behind in that.
///
/// # Errors
/// When one of them was begun after the metadata's revision.
pub(super) fn strangers(
    listed: &[(ObjectName, u64)],
    census: &Census,
) -> Result<BTreeSet<SessionId>, MetadataIsOlder> {
    let mut strangers: BTreeSet<SessionId> =
        listed.iter().map(|(name, _)| name.session()).collect();
    newest_is_known(strangers.last().copied(), census.highest, census.revision)?;
    strangers.retain(|session| !census.wals.contains_key(session));
    for (name, _) in listed {
        if let Some(session) = forgotten(*name) {
            strangers.remove(&session);
        }
    }
    Ok(strangers)
}

/// The session that this name says was forgotten on purpose.
fn forgotten(name: ObjectName) -> Option<SessionId> {
    match name {
        ObjectName::WalSlot { session, slot } if slot == FORGOTTEN => Some(session),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use weir_ids::Slot;
    use weir_meta::model::Wal;

    use super::*;

    fn marker(session: SessionId) -> ObjectName {
        ObjectName::WalSlot { session, slot: Slot::OPEN }
    }

    fn census(revision: u64, known: &[u64]) -> Census {
        let (revision, highest) = (Revision(revision), Some(SessionId(revision)));
        let mut census = Census { revision, highest, ..Census::default() };
        let known = known.iter().map(|id| (SessionId(*id), (Wal::default(), Revision(*id))));
        census.wals.extend(known);
        census
    }

    fn markers(sessions: &[u64]) -> Vec<(ObjectName, u64)> {
        sessions.iter().map(|id| (marker(SessionId(*id)), 100)).collect()
    }

    #[test]
    fn a_session_of_the_future_is_not_collected() {
        assert_eq!(strangers(&markers(&[3, 9]), &census(9, &[3, 9])), Ok(BTreeSet::new()));
        let (session, revision) = (SessionId(9), Revision(8));
        let older = MetadataIsOlder { session, revision };
        assert_eq!(strangers(&markers(&[3, 9]), &census(8, &[3])), Err(older.clone()));
        assert!(older.to_string().contains("put newer metadata in their place"));
    }

    #[test]
    fn a_session_that_was_not_forgotten_on_purpose_is_a_stranger() {
        let mut listed = markers(&[3, 5, 9]);
        listed.push((ObjectName::WalSlot { session: SessionId(3), slot: FORGOTTEN }, 100));
        let found = strangers(&listed, &census(100, &[9]));
        assert_eq!(found, Ok(BTreeSet::from([SessionId(5)])), "3 was forgotten, 9 is known");
    }
}
