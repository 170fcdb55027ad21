//! Which files are not needed any more, and deleting them.
//!
//! A name is given up only if no writer will make a file of it again: what it would write there nobody would read. A
//! writer makes one again whose making had no answer, and that is the last before the fence, and has no whole header; so
//! such a file, which is nearly empty, stays as the fence does.

use weir_ids::{SessionId, Slot};

use super::{AppendJournal, path};
use crate::{ObjectName, journal::Error};

impl AppendJournal {
    /// See [`crate::journal::Journal::trim`].
    pub(super) async fn delete_below(
        &self,
        session: SessionId,
        below: Slot,
        keep: &(dyn for<'a> Fn(&'a ObjectName) -> bool + Sync),
    ) -> Result<(), Error> {
        for file in self.files_below(session, below).await? {
            if !keep(&ObjectName::WalFile { session, file }) {
                let path = path(session, file);
                self.again(&path, || self.files.delete(&path)).await?;
            }
        }
        Ok(())
    }

    /// The files that hold nothing but slots below `below`; see [`crate::journal::Journal::covered`].
    pub(super) async fn files_below(
        &self,
        session: SessionId,
        below: Slot,
    ) -> Result<Vec<u32>, Error> {
        let mut files = self.numbers(session).await?;
        let needed = if below == Slot(u64::MAX) {
            // All but the fence, which stays for ever.
            match files[..] {
                [.., before, last] if self.fence_in(session, last).await?.is_some() => {
                    let is_begun = self.header(session, before).await?.is_some();
                    Some(if is_begun { last } else { before })
                }
                _ => None,
            }
        } else {
            // Behind which another begins at or below it. The header of a file that is still open can't be seen: its
            // predecessor waits for the next time.
            let headers = self.headers(session, &files).await?;
            headers.iter().filter(|(_, header)| header.first_slot <= below).map(|it| it.0).max()
        };
        files.retain(|file| needed.is_some_and(|needed| *file < needed));
        Ok(files)
    }
}
