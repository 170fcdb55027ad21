//! Telling which files of write-ahead logs are needed no more. What a file holds is said by the header of the next;
//! so it is looked at only when nobody has named it for long enough.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, TryStreamExt, stream};
use weir_ids::{SessionId, Slot};
use weir_meta::{model::Wal, store::Revision};
use weir_segment_store::{
    ObjectName,
    journal::{Error, Journal},
};

/// Below which slot each session's files may go, by what the sessions' logs were when the round began.
pub(super) struct Files(BTreeMap<SessionId, Slot>);

impl Files {
    /// For the files of `listed`.
    pub(super) fn of(
        listed: &[(ObjectName, u64)],
        wals: &BTreeMap<SessionId, (Wal, Revision)>,
    ) -> Self {
        let sessions = listed.iter().filter_map(|(name, _)| session_of_file(*name));
        let below = |session: SessionId| may_go_below(wals.get(&session).map(|(wal, _)| wal));
        Self(sessions.map(|session| (session, below(session))).collect())
    }

    /// Takes files out of `due` that hold anything which may be needed.
    ///
    /// # Errors
    /// When a log can't be read.
    pub(super) async fn spare(
        &self,
        journal: &dyn Journal,
        due: Vec<ObjectName>,
        requests: usize,
    ) -> Result<Vec<ObjectName>, Error> {
        let sessions: BTreeSet<SessionId> =
            due.iter().filter_map(|name| session_of_file(*name)).collect();
        let bounds = sessions.iter().filter_map(|session| Some((*session, *self.0.get(session)?)));
        let looks: Vec<_> =
            bounds.map(|(session, below)| journal.covered(session, below)).collect();
        let looks = stream::iter(looks).buffer_unordered(requests);
        let covered: Vec<Vec<ObjectName>> = looks.try_collect().await?;
        let covered: BTreeSet<ObjectName> = covered.into_iter().flatten().collect();
        let may = |name: &ObjectName| session_of_file(*name).is_none() || covered.contains(name);
        Ok(due.into_iter().filter(may).collect())
    }
}

/// `wal` is that of the session; `None`: forgotten.
fn may_go_below(wal: Option<&Wal>) -> Slot {
    let Some(wal) = wal else { return Slot(u64::MAX) };
    match &wal.sealed {
        Some(seal) if wal.trim >= seal.at => Slot(u64::MAX),
        _ => wal.trim,
    }
}

fn session_of_file(name: ObjectName) -> Option<SessionId> {
    match name {
        ObjectName::WalFile { session, .. } => Some(session),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use weir_meta::model::Seal;

    use super::*;

    #[test]
    fn files_go_up_to_the_trim_and_all_of_them_when_it_has_reached_the_seal() {
        let wal = |trim: u64, sealed: Option<u64>| {
            let sealed = sealed.map(|at| Seal { at: Slot(at), detail: None });
            Wal { trim: Slot(trim), sealed, ..Wal::default() }
        };
        assert_eq!(may_go_below(Some(&wal(5, None))), Slot(5));
        assert_eq!(may_go_below(Some(&wal(5, Some(9)))), Slot(5));
        assert_eq!(may_go_below(Some(&wal(9, Some(9)))), Slot(u64::MAX));
        assert_eq!(may_go_below(None), Slot(u64::MAX));
    }
}
