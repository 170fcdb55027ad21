use std::path::PathBuf;

use weir_ids::{SessionId, Slot};
use weir_runtime::{Runtime, Seeded, SystemClock};

use super::*;
use crate::{
    journal::{Sealed, conformance},
    testing::{CLUSTER, batch, body, chunk, golden, partition},
};

const SESSION: SessionId = SessionId(4);

struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    /// A journal whose files hold only a few of the tests' slots.
    fn journal(&self) -> FileJournal {
        // Marks come at the end only, or what files hold would depend on how busy the machine is.
        let settings = FileJournalSettings {
            file_bytes: 4096,
            idle_mark_ms: 600_000,
            ..FileJournalSettings::default()
        };
        let runtime = Runtime::new(SystemClock, Seeded::new(1));
        FileJournal::new(self.directory.path(), CLUSTER, runtime, settings)
    }

    /// Writes `count` slots one by one, each synced before the next, and closes the log.
    async fn write(&self, count: u64) {
        let mut writer = self.journal().open(SESSION).await.unwrap();
        for slot in (1..=count).map(Slot) {
            let source = chunk(partition(0), 1, &[batch(1, slot.0 as i64, 1)]);
            writer.append(slot, body(SESSION, slot, vec![source])).await.unwrap();
        }
        drop(writer);
    }

    async fn seal(&self) -> Result<Sealed, Error> {
        self.journal().seal(SESSION, Slot(1)).await
    }

    /// Puts back the unused space of the last file, which an orderly end has given back.
    fn preallocated(&self, number: u32) {
        self.edit(number, |bytes| bytes.resize(4096.max(bytes.len()), 0));
    }

    fn file(&self, number: u32) -> PathBuf {
        file_path(&self.journal().directory(SESSION), number)
    }

    fn edit(&self, number: u32, change: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = std::fs::read(self.file(number)).unwrap();
        change(&mut bytes);
        std::fs::write(self.file(number), bytes).unwrap();
    }

    /// Where the frames of a file begin, and where the last of them ends.
    fn frames(&self, number: u32) -> (Vec<u64>, u64) {
        let bytes = std::fs::read(self.file(number)).unwrap().into();
        let mut frames = scan_file(&bytes).unwrap();
        let mut starts = vec![frames.at()];
        while frames.next().is_some_and(|frame| frame.is_ok()) {
            starts.push(frames.at());
        }
        let end = starts.pop().unwrap();
        (starts, end)
    }
}

#[tokio::test]
async fn conforms() {
    conformance::all(|| async {
        let place = Place::new();
        let journal = place.journal();
        // The directory lives as long as the process: conformance needs no clean-up.
        std::mem::forget(place);
        journal
    })
    .await;
}

#[tokio::test]
async fn slots_go_on_in_new_files() {
    let place = Place::new();
    place.write(30).await;
    assert!(place.file(3).exists());
    assert_eq!(place.seal().await.unwrap().end, Slot(31));
}

#[tokio::test]
async fn a_slot_larger_than_a_file_gets_one_of_its_own() {
    let place = Place::new();
    let mut writer = place.journal().open(SESSION).await.unwrap();
    for slot in (1..=3).map(Slot) {
        let source = chunk(partition(0), 1, &[batch(1, 100 * slot.0 as i64, 100)]);
        writer.append(slot, body(SESSION, slot, vec![source])).await.unwrap();
    }
    drop(writer);
    assert_eq!(place.seal().await.unwrap().slots.len(), 3);
}

#[tokio::test]
async fn a_torn_tail_is_cut_wherever_it_is_torn() {
    let place = Place::new();
    place.write(3).await;
    place.preallocated(1);
    let (_, end) = place.frames(1);
    // What a power loss leaves of a frame that was on its way: a part of it, then zeros.
    let frame = std::fs::read(place.file(1)).unwrap()[FRAME_START..FRAME_START + 256].to_vec();
    for torn in 0..frame.len() {
        place.edit(1, |bytes| {
            bytes[end as usize..][..torn].copy_from_slice(&frame[..torn]);
        });
        let sealed = place.seal().await.unwrap();
        assert_eq!(sealed.end, Slot(4), "torn after {torn} bytes");
    }
}

const FRAME_START: usize = FILE_HEADER_BYTES;

#[tokio::test]
async fn a_flipped_byte_below_a_synced_position_is_refused_with_its_place() {
    let place = Place::new();
    place.write(3).await;
    let (starts, end) = place.frames(1);
    let last_slot_end = starts[3] as usize;
    assert!(last_slot_end < end as usize, "a mark notes that the last slot is synced");
    for at in FRAME_START..last_slot_end {
        place.edit(1, |bytes| bytes[at] ^= 1);
        let refused = place.seal().await;
        let frame = starts.iter().rev().find(|start| **start as usize <= at).unwrap();
        match refused {
            Err(Error::Corrupt { at: named, .. }) => assert_eq!(named, *frame, "byte {at}"),
            other => panic!("byte {at}: {other:?}"),
        }
        place.edit(1, |bytes| bytes[at] ^= 1);
    }
}

#[tokio::test]
async fn unused_space_is_given_back() {
    let place = Place::new();
    place.write(2).await;
    let (_, end) = place.frames(1);
    let len = || std::fs::metadata(place.file(1)).unwrap().len();
    assert_eq!(len(), end, "by an orderly end");
    place.preallocated(1);
    place.journal().trim(SESSION, Slot(u64::MAX), &|_| true).await.unwrap();
    assert_eq!(len(), end, "when a dead session is cleared away");
    assert_eq!(place.seal().await.unwrap().end, Slot(3));
}

#[tokio::test]
async fn rot_in_an_older_file_is_refused() {
    let place = Place::new();
    place.write(30).await;
    let (starts, _) = place.frames(1);
    place.edit(1, |bytes| bytes[*starts.last().unwrap() as usize + 70] ^= 4);
    assert!(matches!(place.seal().await, Err(Error::Corrupt { .. })));
}

#[tokio::test]
async fn a_missing_file_is_refused() {
    let place = Place::new();
    place.write(30).await;
    std::fs::remove_file(place.file(2)).unwrap();
    let error = place.seal().await.unwrap_err();
    assert!(error.to_string().contains("are missing before it"), "{error}");
}

#[tokio::test]
async fn a_file_of_a_newer_version_or_another_cluster_is_refused() {
    let place = Place::new();
    place.write(1).await;
    place.edit(1, |bytes| {
        bytes[8] = 2;
        let crc = weir_protocol::records::crc32c(&bytes[..124]);
        bytes[124..128].copy_from_slice(&crc.to_le_bytes());
    });
    assert!(matches!(place.seal().await, Err(Error::NewerVersion { version: 2, .. })));

    let place = Place::new();
    place.write(1).await;
    place.edit(1, |bytes| {
        bytes[16] ^= 0xff;
        let crc = weir_protocol::records::crc32c(&bytes[..124]);
        bytes[124..128].copy_from_slice(&crc.to_le_bytes());
    });
    let error = place.seal().await.unwrap_err();
    assert!(error.to_string().contains("another cluster"), "{error}");
}

#[test]
fn the_largest_number_is_no_slot() {
    let identity = Identity { cluster: CLUSTER, session: SESSION, nonce: 7 };
    let (first_slot, synced) = (Slot(u64::MAX), Position::default());
    let mut file = FileHeader { identity, file: 1, first_slot, synced }.encode().to_vec();
    let at = Position { file: 1, byte: file.len() as u64 };
    let kind = FrameKind::Slot;
    let frame = FrameHeader { kind, slot: first_slot, body_len: 0, synced, body_crc: 0 };
    file.extend_from_slice(&frame.encode(identity.nonce, at));
    let file = file.into();
    let refused = scan_file(&file).unwrap().next().unwrap().unwrap_err();
    assert_eq!((refused.at, refused.what.contains("no slot has")), (at.byte, true));
}

#[tokio::test]
async fn a_last_file_that_was_being_made_holds_nothing() {
    let place = Place::new();
    place.write(2).await;
    std::fs::write(place.file(2), vec![0; 4096]).unwrap();
    assert_eq!(place.seal().await.unwrap().end, Slot(3));
}

#[tokio::test]
async fn record_bytes_that_look_like_a_frame_are_not_taken_for_one() {
    let place = Place::new();
    place.write(2).await;
    place.preallocated(1);
    let (starts, end) = place.frames(1);
    // A frame copied from elsewhere in the log: right session and nonce, wrong place.
    place.edit(1, |bytes| {
        let frame = bytes[starts[1] as usize..starts[2] as usize].to_vec();
        bytes[end as usize + 64..][..frame.len()].copy_from_slice(&frame);
    });
    assert_eq!(place.seal().await.unwrap().end, Slot(3));
}

#[tokio::test]
async fn a_file_is_what_it_was_in_the_first_version() {
    let place = Place::new();
    place.write(2).await;
    let bytes = std::fs::read(place.file(1)).unwrap();
    golden("wal-v1.bin", &bytes);
    assert_eq!(place.seal().await.unwrap().slots.len(), 2);
}
