//! What every [`Journal`] must do. Each test gets a fresh, empty journal from `make`.
#![expect(clippy::unwrap_used, reason = "only tests use it")]

use std::future::Future;

use futures::TryStreamExt;
use weir_ids::{SessionId, Slot};

use super::{Error, Journal, StoredSlot, Written};
use crate::testing::{batch, body, chunk, partition};

/// Runs all of them.
pub async fn all<J: Journal, F: Future<Output = J>>(make: impl Fn() -> F) {
    answers_come_in_order_and_a_seal_finds_all(&make().await).await;
    a_seal_from_a_later_slot_reports_only_those(&make().await).await;
    sealing_again_reports_the_same(&make().await).await;
    a_session_that_never_wrote_ends_at_slot_one(&make().await).await;
    a_session_is_opened_once(&make().await).await;
    trimming_keeps_what_is_named(&make().await).await;
    looking_ahead_finds_what_a_seal_finds_and_ends_nothing(&make().await).await;
    sessions_are_listed(&make().await).await;
}

const SESSION: SessionId = SessionId(11);

/// Appends slots `from..=to`, each with one batch of one record at offset = slot.
async fn write(journal: &impl Journal, from: u64, to: u64) -> Vec<Written> {
    let mut writer = journal.open(SESSION).await.unwrap();
    let answers: Vec<_> =
        (from..=to).map(|slot| writer.append(Slot(slot), one_batch(Slot(slot)))).collect();
    futures::future::try_join_all(answers).await.unwrap()
}

fn one_batch(slot: Slot) -> crate::object::Body {
    body(SESSION, slot, vec![chunk(partition(0), 1, &[batch(1, slot.0 as i64, 1)])])
}

async fn answers_come_in_order_and_a_seal_finds_all(journal: &impl Journal) {
    let written = write(journal, 1, 20).await;
    let slots: Vec<u64> = written.iter().map(|written| written.slot.0).collect();
    assert_eq!(slots, (1..=20).collect::<Vec<_>>());
    let sealed = journal.seal(SESSION, Slot(1)).await.unwrap();
    assert_eq!(sealed.end, Slot(21));
    for (stored, written) in sealed.slots.iter().zip(&written) {
        assert_eq!(
            (stored.slot, stored.object, stored.origin),
            (written.slot, written.object, written.origin)
        );
        let chunks: Vec<_> = stored.chunks.iter().map(|(chunk, _)| *chunk).collect();
        assert_eq!(chunks, written.chunks);
        assert_eq!(stored.chunks[0].1[0].base.0, stored.slot.0 as i64);
    }
}

async fn a_seal_from_a_later_slot_reports_only_those(journal: &impl Journal) {
    write(journal, 1, 9).await;
    let sealed = journal.seal(SESSION, Slot(7)).await.unwrap();
    let slots: Vec<u64> = sealed.slots.iter().map(|stored| stored.slot.0).collect();
    assert_eq!((sealed.end, slots), (Slot(10), vec![7, 8, 9]));
    let nothing = journal.seal(SESSION, Slot(10)).await.unwrap();
    assert_eq!((nothing.end, nothing.slots.len()), (Slot(10), 0));
}

async fn sealing_again_reports_the_same(journal: &impl Journal) {
    write(journal, 1, 3).await;
    let first = journal.seal(SESSION, Slot(1)).await.unwrap();
    let second = journal.seal(SESSION, Slot(1)).await.unwrap();
    assert_eq!(first.end, second.end);
    assert_eq!(first.slots.len(), second.slots.len());
}

async fn a_session_that_never_wrote_ends_at_slot_one(journal: &impl Journal) {
    let sealed = journal.seal(SESSION, Slot(1)).await.unwrap();
    assert_eq!((sealed.end, sealed.slots.len()), (Slot(1), 0));
    drop(journal.open(SessionId(12)).await.unwrap());
    let sealed = journal.seal(SessionId(12), Slot(1)).await.unwrap();
    assert_eq!((sealed.end, sealed.slots.len()), (Slot(1), 0));
}

async fn a_session_is_opened_once(journal: &impl Journal) {
    write(journal, 1, 1).await;
    let again = journal.open(SESSION).await.map(drop);
    assert!(matches!(again, Err(Error::Exists(SESSION))), "{again:?}");
}

async fn trimming_keeps_what_is_named(journal: &impl Journal) {
    let written = write(journal, 1, 12).await;
    let kept = written[0].object;
    journal.trim(SESSION, Slot(11), &|name| *name == kept).await.unwrap();
    journal.trim(SESSION, Slot(11), &|name| *name == kept).await.unwrap();
    let sealed = journal.seal(SESSION, Slot(11)).await.unwrap();
    let slots: Vec<u64> = sealed.slots.iter().map(|stored| stored.slot.0).collect();
    assert_eq!((sealed.end, slots), (Slot(13), vec![11, 12]));
}

async fn looking_ahead_finds_what_a_seal_finds_and_ends_nothing(journal: &impl Journal) {
    let mut writer = journal.open(SESSION).await.unwrap();
    for slot in (1..=9).map(Slot) {
        writer.append(slot, one_batch(slot)).await.unwrap();
    }
    let ahead = read_ahead(journal, Slot(4), Slot(8)).await;
    let nothing = read_ahead(journal, Slot(10), Slot(99)).await;
    assert!(ahead.len() <= 4 && nothing.is_empty(), "{ahead:?} {nothing:?}");
    writer.append(Slot(10), one_batch(Slot(10))).await.unwrap();
    let sealed = journal.seal(SESSION, Slot(4)).await.unwrap();
    assert_eq!((sealed.end, sealed.slots.len()), (Slot(11), 7));
    for (ahead, sealed) in ahead.iter().zip(&sealed.slots) {
        assert_eq!((ahead.slot, ahead.object), (sealed.slot, sealed.object));
        assert_eq!((ahead.origin, &ahead.chunks), (sealed.origin, &sealed.chunks));
    }
}

async fn read_ahead(journal: &impl Journal, from: Slot, below: Slot) -> Vec<StoredSlot> {
    journal.look_ahead(SESSION, from, below).try_collect().await.unwrap()
}

async fn sessions_are_listed(journal: &impl Journal) {
    assert_eq!(journal.sessions().await.unwrap(), []);
    write(journal, 1, 1).await;
    assert_eq!(journal.sessions().await.unwrap(), [SESSION]);
}
