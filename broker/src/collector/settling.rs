//! What becomes of the logs of sealed sessions that nobody needs. No I/O.
//!
//! A sealed session claims nothing, so one that no log needs is never needed again: each step is safe
//! whenever it is made. First its trim moves up to its seal, which makes candidates of its slots; then the
//! metadata forgets it, which makes candidates of all that is left. What others still refer to by name
//! does not depend on either.

use weir_ids::{SessionId, Slot};
use weir_meta::store::Revision;

use crate::recovery::Census;

/// What to do with a session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Settling {
    /// Move its trim to its seal.
    Trim(SessionId, Slot),
    /// Forget it, if nothing has changed since this revision.
    Forget(SessionId, Revision),
}

/// The next step of every sealed session that nobody needs.
pub(super) fn settle(census: &Census) -> Vec<Settling> {
    let unneeded = census.wals.iter().filter(|(session, _)| !census.needed.contains(session));
    unneeded
        .filter_map(|(session, (wal, revision))| {
            let seal = wal.sealed.as_ref()?;
            Some(match wal.trim < seal.at {
                true => Settling::Trim(*session, seal.at),
                false => Settling::Forget(*session, *revision),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use weir_meta::model::{Seal, Wal};

    use super::*;

    const SESSION: SessionId = SessionId(4);

    fn census(trim: u64, sealed: Option<u64>, needed: bool) -> Census {
        let sealed = sealed.map(|at| Seal { at: Slot(at), detail: None });
        let wal = Wal { trim: Slot(trim), sealed, ..Wal::default() };
        let mut census = Census::default();
        census.wals.insert(SESSION, (wal, Revision(70)));
        census.needed.extend(needed.then_some(SESSION));
        census
    }

    #[test]
    fn an_unneeded_session_is_trimmed_to_its_seal_and_then_forgotten() {
        assert_eq!(settle(&census(1, Some(3), false)), [Settling::Trim(SESSION, Slot(3))]);
        assert_eq!(settle(&census(3, Some(3), false)), [Settling::Forget(SESSION, Revision(70))]);
    }

    #[test]
    fn a_session_that_is_live_or_needed_stays() {
        assert_eq!(settle(&census(1, None, false)), []);
        assert_eq!(settle(&census(1, Some(3), true)), []);
        assert_eq!(settle(&census(3, Some(3), true)), []);
    }
}
