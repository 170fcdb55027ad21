//! Sessions that the controller has condemned, and the end of a session's key in the metadata.

use weir_ids::{SessionId, Slot};
use weir_meta::{
    Error, Metadata, Sealing,
    model::{Condemned, Seal, Wal},
    store::{Compare, Revision, Txn, list},
};
use weir_segment_store::journal::Journal;

use crate::recovery::SessionError;

/// Those that are condemned.
pub(super) async fn sessions(metadata: &Metadata) -> Result<Vec<SessionId>, Error> {
    let (entries, _) = list(metadata.store(), Condemned::PREFIX).await?;
    Ok(entries.iter().filter_map(|entry| Condemned::id(&entry.key)).collect())
}

/// Fences `session` and records where it ends, if nobody has.
pub(super) async fn end(
    metadata: &Metadata,
    journal: &dyn Journal,
    session: SessionId,
) -> Result<(), SessionError> {
    loop {
        // One that is forgotten was ended.
        let Some(wal) = metadata.wal(session).await? else { return Ok(()) };
        if wal.value.sealed.is_some() {
            return Ok(());
        }
        let covered = wal.value.checkpoint.map_or(Slot::OPEN, |pointer| pointer.covers_below);
        let at = journal.seal(session, covered.max(wal.value.trim)).await?.end;
        match metadata.seal(session, Seal { at, detail: None }).await? {
            Sealing::Sealed(_) => return Ok(()),
            // Its owner has trimmed meanwhile.
            Sealing::BeginAgain { .. } => {}
        }
    }
}

/// Removes a session from the metadata, if its key is as it was at `revision`. True if it is gone.
pub(super) async fn remove_wal(
    metadata: &Metadata,
    session: SessionId,
    revision: Revision,
) -> Result<bool, Error> {
    let key = Wal::key(session);
    let txn = Txn::new()
        .when(Compare::unchanged(key.clone(), revision))
        .delete(key)
        .delete(Condemned::key(session));
    Ok(metadata.store().txn(txn).await?.is_committed())
}
