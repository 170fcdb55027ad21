//! What may go if nobody names it. No I/O.
//!
//! This is decided when a round begins and holds for all of it: what is trimmed or published later is the
//! next round's (`docs/proof.md`, 5.), for references move behind the collector's back.

use std::collections::BTreeMap;

use weir_ids::{SessionId, Slot};
use weir_meta::{model::Wal, store::Revision};
use weir_segment_store::{ObjectName, journal::object::FORGOTTEN};

/// Candidates that nobody has named up to now, with their lengths.
pub(super) type Unnamed = BTreeMap<ObjectName, u64>;

/// Those of `listed` that may go if nobody names them, by what the sessions' logs were when the round
/// began.
pub(super) fn candidates(
    listed: impl IntoIterator<Item = (ObjectName, u64)>,
    wals: &BTreeMap<SessionId, (Wal, Revision)>,
) -> Unnamed {
    let may = |name: &ObjectName| may_go(*name, wals.get(&name.session()).map(|(wal, _)| wal));
    let mut unnamed: Unnamed = listed.into_iter().filter(|(name, _)| may(name)).collect();
    // The last file of a log is written yet, or a fence.
    let files = unnamed.keys().filter(|name| matches!(name, ObjectName::WalFile { .. }));
    let last: BTreeMap<SessionId, ObjectName> = files.map(|name| (name.session(), *name)).collect();
    unnamed.retain(|name, _| last.get(&name.session()) != Some(name));
    unnamed
}

/// `wal` is that of the session which wrote it; `None`: forgotten, so that nothing of it is needed but
/// what others name.
///
/// - A slot at or above the trim of its session is never swept: it may not be checkpointed. Behind the
///   seal of an ended session slots are void.
/// - What the checkpoints of a live session wrote may be published as long as it is above the last
///   published one; the session alone knows. Once it is sealed, nothing more can be published.
/// - Fences stay too; they are told from slots by what they hold, before one is deleted. So are files that
///   hold what may be needed.
fn may_go(name: ObjectName, wal: Option<&Wal>) -> bool {
    let never = |slot| slot == Slot::OPEN || slot == FORGOTTEN;
    let Some(wal) = wal else {
        return match name {
            ObjectName::WalSlot { slot, .. } => !never(slot),
            _ => true,
        };
    };
    let published = wal.checkpoint.as_ref().map_or(0, |pointer| pointer.number);
    match (name, &wal.sealed) {
        (ObjectName::WalFile { .. }, _) => true,
        (ObjectName::WalSlot { slot, .. }, _) if never(slot) => false,
        (ObjectName::WalSlot { slot, .. }, None) => slot < wal.trim,
        (ObjectName::WalSlot { slot, .. }, Some(seal)) => slot < wal.trim || slot >= seal.at,
        (_, None) => name.checkpoint_number().is_some_and(|number| number <= published),
        (_, Some(_)) => true,
    }
}

#[cfg(test)]
mod tests {
    use weir_ids::ClaimNumber;
    use weir_meta::model::{CheckpointPointer, Seal};

    use super::*;

    const SESSION: SessionId = SessionId(4);

    /// Trimmed at 5, published up to checkpoint 3, sealed at 9 if it is.
    fn wal(sealed: bool) -> Wal {
        let pointer = CheckpointPointer {
            object: String::new(),
            number: 3,
            covers_below: Slot(6),
            adopted_through: ClaimNumber::NONE,
        };
        let seal = sealed.then_some(Seal { at: Slot(9), detail: None });
        Wal { checkpoint: Some(pointer), trim: Slot(5), sealed: seal, ..Wal::default() }
    }

    fn slots(wal: Option<&Wal>) -> Vec<u64> {
        let may =
            |slot: &u64| may_go(ObjectName::WalSlot { session: SESSION, slot: Slot(*slot) }, wal);
        (0..12).chain([FORGOTTEN.0]).filter(may).collect()
    }

    fn written(wal: Option<&Wal>) -> (Vec<u64>, Vec<u64>) {
        let sorted = |n: &u64| {
            let number = ObjectName::sorted_number(*n, 7);
            may_go(ObjectName::Sorted { session: SESSION, number }, wal)
        };
        let checkpoint =
            |n: &u64| may_go(ObjectName::Checkpoint { session: SESSION, number: *n }, wal);
        ((1..6).filter(sorted).collect(), (1..6).filter(checkpoint).collect())
    }

    #[test]
    fn of_a_live_session_what_is_trimmed_and_what_is_published() {
        let live = wal(false);
        assert_eq!(slots(Some(&live)), [1, 2, 3, 4]);
        assert_eq!(written(Some(&live)), (vec![1, 2, 3], vec![1, 2, 3]));
        let fresh = Wal::default();
        assert!(slots(Some(&fresh)).is_empty());
        assert_eq!(written(Some(&fresh)), (vec![], vec![]));
    }

    #[test]
    fn of_a_sealed_session_also_what_is_void_and_what_was_never_published() {
        let sealed = wal(true);
        assert_eq!(slots(Some(&sealed)), [1, 2, 3, 4, 9, 10, 11], "5 to 8 are not checkpointed");
        assert_eq!(written(Some(&sealed)), (vec![1, 2, 3, 4, 5], vec![1, 2, 3, 4, 5]));
    }

    #[test]
    fn of_a_forgotten_session_all_but_what_is_never_deleted() {
        assert_eq!(slots(None), (1..12).collect::<Vec<_>>());
        assert_eq!(written(None), (vec![1, 2, 3, 4, 5], vec![1, 2, 3, 4, 5]));
    }

    #[test]
    fn of_files_all_but_the_last() {
        let file = |file| ObjectName::WalFile { session: SESSION, file };
        let other = |file| ObjectName::WalFile { session: SessionId(3), file };
        let listed = [file(1), other(7), file(12), file(2), other(6)].map(|name| (name, 9));
        let found: Vec<_> = candidates(listed, &BTreeMap::new()).into_keys().collect();
        assert_eq!(found, [other(6), file(1), file(2)]);
    }
}
