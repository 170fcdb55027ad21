//! Deleting files that are not needed any more.

use weir_ids::{SessionId, Slot};

use super::{AppendJournal, folder, path};
use crate::{ObjectName, journal::Error};

impl AppendJournal {
    /// See [`crate::journal::Journal::trim`].
    pub(super) async fn delete_below(
        &self,
        session: SessionId,
        below: Slot,
        keep: &(dyn for<'a> Fn(&'a ObjectName) -> bool + Sync),
    ) -> Result<(), Error> {
        let files = self.numbers(session).await?;
        let doomed: Vec<u32> = if below == Slot(u64::MAX) {
            let kept = |file: &u32| keep(&ObjectName::WalFile { session, file: *file });
            if !files.iter().any(kept) {
                let folder = folder(session);
                return Ok(self.again(&folder, || self.files.delete(&folder)).await?);
            }
            // The fence stays as long as anything does.
            let rest = files.split_last().map_or(&[][..], |(_, rest)| rest);
            rest.iter().copied().filter(|file| !kept(file)).collect()
        } else {
            self.covered(session, &files, below, keep).await?
        };
        for file in doomed {
            let path = path(session, file);
            self.again(&path, || self.files.delete(&path)).await?;
        }
        Ok(())
    }

    /// The files behind which another begins at or below `below`, except those to be kept.
    async fn covered(
        &self,
        session: SessionId,
        files: &[u32],
        below: Slot,
        keep: &(dyn for<'a> Fn(&'a ObjectName) -> bool + Sync),
    ) -> Result<Vec<u32>, Error> {
        // The header of a file that is still open can't be seen: its predecessor waits for the next time.
        let headers = self.headers(session, files).await?;
        let reached =
            headers.iter().filter(|(_, header)| header.first_slot <= below).map(|it| it.0);
        let Some(needed) = reached.max() else { return Ok(Vec::new()) };
        let kept = |file: &u32| keep(&ObjectName::WalFile { session, file: *file });
        Ok(files.iter().copied().filter(|file| *file < needed && !kept(file)).collect())
    }
}
