use std::path::PathBuf;

use weir_ids::{ClaimNumber, LeaderEpoch, Offset, SessionId, Slot, Timestamp};
use weir_runtime::Runtime;
use weir_segment_store::{
    ByteRange, ObjectName, Part, Reference,
    checkpoint::{Checkpoint, Line, Listing},
    journal::{FileJournal, FileJournalSettings, Journal},
    object::{BatchEntry, Builder, ChunkSource, Directory, Header},
    pages::{self, PageRef},
    testing::{self, CLUSTER, batch, chunk, partition},
};

use super::*;

const SESSION: SessionId = SessionId(4);
const FILE_BYTES: u64 = 4096;

struct Place {
    directory: tempfile::TempDir,
}

/// What was printed, and how it ended.
struct Printed {
    text: String,
    end: Result<(), InspectError>,
}

impl Place {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    /// A log of `slots` slots, each with two partitions, and the path of its first file.
    async fn log(&self, slots: u64) -> PathBuf {
        let settings = FileJournalSettings { file_bytes: FILE_BYTES, ..Default::default() };
        let root = self.directory.path();
        let journal = FileJournal::new(root, CLUSTER, Runtime::system(), settings);
        let mut writer = journal.open(SESSION).await.unwrap();
        for slot in (1..=slots).map(Slot) {
            let base = 10 * slot.0 as i64;
            let chunks = vec![
                chunk(partition(0), 3, &[batch(3, base, 2), batch(3, base + 2, 1)]),
                chunk(partition(1), 5, &[batch(5, base, 1)]),
            ];
            writer.append(slot, testing::body(SESSION, slot, chunks)).await.unwrap();
        }
        let name = ObjectName::WalFile { session: SESSION, file: 1 };
        root.join(name.to_string())
    }

    fn file(&self, bytes: &[u8]) -> PathBuf {
        let path = self.directory.path().join("file");
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

fn run(path: &Path) -> Printed {
    let mut text = Vec::new();
    let end = inspect(path, true, &mut text);
    Printed { text: String::from_utf8(text).unwrap(), end }
}

impl Printed {
    fn whole(self) -> String {
        self.end.unwrap();
        self.text
    }

    /// The byte that the error names, and the error as a person sees it.
    fn bad(&self) -> (u64, String) {
        let error = self.end.as_ref().unwrap_err();
        let at = match error {
            InspectError::Corrupt { at, .. } | InspectError::NewerVersion { at, .. } => *at,
            InspectError::Unknown { .. } => 0,
            other => panic!("{other}"),
        };
        let line = error.to_string();
        assert!(line.contains(&format!("at byte {at}")) && !line.contains('\n'), "{line}");
        (at, line)
    }
}

fn edit(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = std::fs::read(path).unwrap();
    change(&mut bytes);
    std::fs::write(path, bytes).unwrap();
}

/// Where the frames begin, and where the last one ends.
fn frames(path: &Path) -> (Vec<u64>, u64) {
    let bytes = std::fs::read(path).unwrap().into();
    let mut frames = journal_file::scan_file(&bytes).unwrap();
    let mut starts = vec![frames.at()];
    while frames.next().is_some_and(|frame| frame.is_ok()) {
        starts.push(frames.at());
    }
    let end = starts.pop().unwrap();
    (starts, end)
}

fn sorted_object() -> Vec<u8> {
    let batches = [batch(3, 10, 2), batch(3, 12, 1), batch(3, 13, 4)];
    let entries: Vec<_> = batches.iter().map(|b| BatchEntry::from(&b.header())).collect();
    let kind = objects::Kind::Sorted;
    let header = Header { cluster: CLUSTER, session: SESSION, number: 8, put_id: 0xab, kind };
    let mut builder = Builder::new(&header);
    let parts = batches.into_iter().map(Part::Batch).collect();
    let (partition, epoch) = (partition(2), weir_ids::LeaderEpoch(3));
    builder.add(ChunkSource { partition, epoch, batches: &entries, parts });
    testing::bytes(&builder.finish())
}

fn checkpoint(number: u64, change: impl FnOnce(&mut Listing)) -> Vec<u8> {
    let mut listing = Listing::default();
    let header = batch(3, 0, 2).header();
    let range = |at, len| ByteRange { at, len };
    let reference = Reference {
        object: ObjectName::Sorted { session: SESSION, number: 8 },
        base: header.base_offset,
        last: header.last_offset(),
        epoch: header.leader_epoch,
        max_timestamp: header.max_timestamp,
        data: range(64, 200),
        index: range(264, 30),
    };
    listing.append_chunk(reference, &[BatchEntry::from(&header)]);
    change(&mut listing);
    let delta = Listing { producers: Default::default(), ..listing.clone() };
    let partitions = vec![
        (partition(0), Line::Whole(listing)),
        (partition(1), Line::Delta(delta)),
        (partition(2), Line::Gone),
    ];
    let (covers_below, adopted_through) = (Slot(90), ClaimNumber(7));
    let checkpoint =
        Checkpoint { session: SESSION, number, full: 4, covers_below, adopted_through, partitions };
    checkpoints::encode(&checkpoint).to_vec()
}

#[tokio::test]
async fn a_log_is_printed_frame_by_frame() {
    let place = Place::new();
    let path = place.log(3).await;
    let text = run(&path).whole();
    let (starts, end) = frames(&path);
    for line in [
        "file of a write-ahead log (WEIRWAL1)".to_owned(),
        format!("cluster          {CLUSTER}"),
        "synced before    nothing".to_owned(),
        format!("byte {}: slot 2, ", starts[1]),
        format!("synced: up to byte {} of file 1", starts[1]),
        format!("{}: epoch 3, offsets 20 to 22, 2 batches, ", partition(0)),
        "newest 1970-01-01T00:00:00.022Z (22)".to_owned(),
        "offsets 20 to 21: 2 records, ".to_owned(),
        "compression none, producer 7 epoch 0 sequences 20 to 21".to_owned(),
        format!("byte {end}: end of the file, nothing is unused"),
        "slots 1 to 3: 6 chunks, 9 batches, ".to_owned(),
    ] {
        assert!(text.contains(&line), "no {line:?} in\n{text}");
    }
    edit(&path, |bytes| bytes.resize(FILE_BYTES as usize, 0));
    let unused = format!("byte {end}: {} bytes preallocated, unused", FILE_BYTES - end);
    let text = run(&path).whole();
    assert!(text.contains(&unused), "{text}");

    let mut short = Vec::new();
    inspect(&path, false, &mut short).unwrap();
    assert!(
        !String::from_utf8(short).unwrap().contains("compression"),
        "batches were not asked for"
    );
}

#[tokio::test]
async fn a_flipped_byte_of_a_log_is_named() {
    let place = Place::new();
    let path = place.log(2).await;
    let (starts, end) = frames(&path);
    let [.., mark] = starts[..] else { panic!("no frames") };
    edit(&path, |bytes| bytes.resize(end as usize + 256, 0));
    let whole = std::fs::read(&path).unwrap();
    for at in 0..whole.len() {
        edit(&path, |bytes| bytes[at] ^= 0x20);
        let printed = run(&path);
        if at < mark as usize {
            let (named, line) = printed.bad();
            let start = starts.iter().rev().find(|start| **start as usize <= at).unwrap_or(&0);
            assert!((*start..=at as u64).contains(&named), "byte {at}: {line}");
        } else {
            // Nothing says that these were durable.
            let start = if at < end as usize { mark } else { end };
            let torn = format!("byte {start}: torn tail of ");
            let text = printed.whole();
            assert!(text.contains(&torn), "byte {at}: no {torn:?} in\n{text}");
        }
        std::fs::write(&path, &whole).unwrap();
    }
}

#[tokio::test]
async fn rot_is_narrowed_down_to_a_batch() {
    let place = Place::new();
    let path = place.log(2).await;
    let (starts, _) = frames(&path);
    let bytes: Bytes = std::fs::read(&path).unwrap().into();
    let (_, origin, body) = journal_file::scan_file(&bytes).unwrap().next().unwrap().unwrap();
    let directory = Directory::of_body(&body).unwrap();
    let first = directory.batches(&body, &directory.chunks[0]).unwrap()[0];
    let second_at = origin + directory.chunks[0].data.at + u64::from(first.bytes);
    edit(&path, |bytes| bytes[second_at as usize + 70] ^= 1);
    let (named, line) = run(&path).bad();
    assert_eq!(named, second_at, "{line}");
    for part in [
        "the batch of offsets 12 to 12".to_owned(),
        format!("the frame at byte {} was durable", starts[0]),
        "a later frame says: synced: up to byte".to_owned(),
    ] {
        assert!(line.contains(&part), "no {part:?} in {line}");
    }
}

#[tokio::test]
async fn a_next_file_tells_rot_from_a_torn_tail() {
    let place = Place::new();
    let path = place.log(12).await;
    let text = run(&path).whole();
    assert!(text.contains("preallocated, unused") && !text.contains("torn"), "{text}");
    let last = *frames(&path).0.last().unwrap();
    edit(&path, |bytes| bytes[last as usize + 100] ^= 1);
    let (named, line) = run(&path).bad();
    assert!((last..=last + 100).contains(&named) && line.contains("0000000002.wal says"), "{line}");
    edit(&path, |bytes| {
        bytes[last as usize + 100] ^= 1;
        bytes.truncate(last as usize);
    });
    assert_eq!(run(&path).bad().0, last, "a whole frame is missing");

    let alone = place.file(&std::fs::read(&path).unwrap());
    assert!(run(&alone).whole().contains("end of the file"), "elsewhere nobody can say");
}

#[tokio::test]
async fn every_cut_of_a_log_is_survived() {
    let place = Place::new();
    let path = place.log(2).await;
    let whole = std::fs::read(&path).unwrap();
    let (starts, _) = frames(&path);
    for len in 0..whole.len() {
        let cut = place.file(&whole[..len]);
        let printed = run(&cut);
        if len < HEAD_BYTES {
            assert_eq!(printed.bad().0, 0, "cut at {len}");
            continue;
        }
        let start = starts.iter().rev().find(|start| **start as usize <= len).unwrap();
        let text = printed.whole();
        let end = text.lines().find(|line| line.starts_with(&format!("byte {start}: ")));
        assert!(end.is_some(), "cut at {len}:\n{text}");
    }
}

#[test]
fn a_log_file_in_the_making_holds_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("0000000002.wal");
    std::fs::write(&path, [0; 1000]).unwrap();
    assert!(run(&path).whole().contains("byte 0: 1000 bytes preallocated, unused"));
    edit(&path, |bytes| bytes[900] = 1);
    assert_eq!(run(&path).bad().0, 900);
}

#[test]
fn an_object_is_printed() {
    let text = run(&Place::new().file(&sorted_object())).whole();
    for line in [
        "object (WEIROBJ1)",
        "sorted pieces, number 8",
        "put id           00000000000000ab",
        "epoch 3, offsets 10 to 16, 3 batches",
        "offsets 13 to 16: 4 records",
        "1 chunk, 3 batches, ",
    ] {
        assert!(text.contains(line), "no {line:?} in\n{text}");
    }
}

#[test]
fn a_flipped_byte_of_an_object_is_named_with_its_piece() {
    let place = Place::new();
    let whole = sorted_object();
    let directory = Directory::of_body(&whole).unwrap();
    let chunk = directory.chunks[0];
    let mut pieces = vec![0];
    let mut at = chunk.data.at;
    for entry in directory.batches(&whole, &chunk).unwrap() {
        pieces.push(at);
        at += u64::from(entry.bytes);
    }
    pieces.push(chunk.index.at);
    pieces.push(chunk.index.at + u64::from(chunk.index.len));
    pieces.push(whole.len() as u64 - objects::FOOTER_BYTES as u64);
    for at in 0..whole.len() {
        let mut rotten = whole.clone();
        rotten[at] ^= 0x04;
        let (named, line) = run(&place.file(&rotten)).bad();
        let piece = pieces.iter().rev().find(|piece| **piece as usize <= at).unwrap();
        assert_eq!(named, *piece, "byte {at}: {line}");
    }
}

#[test]
fn a_checkpoint_is_printed() {
    let text = run(&Place::new().file(&checkpoint(9, |_| {}))).whole();
    for line in [
        "kind             delta, on the full one 4",
        "covers           slots below 90",
        "adopted          claims up to 7",
        "/0: whole, epoch 3, log start 0, next offset 2, 1 reference to 200 bytes, 1 producer",
        "offsets 0 to 1: epoch 3, 200 bytes at 64 of ",
        "epoch 3 starts at offset 0",
        "producer 7 epoch 0, newest 1970-01-01T00:00:00.001Z (1)",
        "sequences 0 to 1 are offsets 0 to 1",
        "/1: delta, epoch 3, ",
        "/2: no longer covered",
        "3 partitions, all as written",
    ] {
        assert!(text.contains(line), "no {line:?} in\n{text}");
    }
}

/// An object with a page of two references and one that lists that.
fn pages() -> (Vec<u8>, PageRef) {
    let reference = |base: i64| Reference {
        object: ObjectName::Sorted { session: SESSION, number: 8 },
        base: Offset(base),
        last: Offset(base + 9),
        epoch: LeaderEpoch(3),
        max_timestamp: Timestamp(base),
        data: ByteRange { at: 64, len: 200 },
        index: ByteRange { at: 264, len: 30 },
    };
    let (kind, name) = (objects::Kind::Pages, ObjectName::Pages { session: SESSION, number: 8 });
    let header = Header { cluster: CLUSTER, session: SESSION, number: 8, put_id: 0xab, kind };
    let mut builder = pages::Builder::new(name, &header);
    let of = |entries| pages::Page { partition: partition(2), entries };
    let below = builder.add(&of(pages::Entries::References(vec![reference(0), reference(10)])));
    let top = builder.add(&of(pages::Entries::Pages(vec![below])));
    let mut bytes = Vec::new();
    builder.finish().iter().for_each(|it| it.pieces(|piece| bytes.extend_from_slice(piece)));
    (bytes, top)
}

#[test]
fn pages_are_printed_and_a_flipped_byte_is_named_with_its_page() {
    let place = Place::new();
    let (whole, top) = pages();
    let text = run(&place.file(&whole)).whole();
    for line in [
        "pages of references, number 8",
        "/2: 2 references, ",
        "offsets 10 to 19: epoch 3, 200 bytes at 64 of ",
        "/2: 1 page below, ",
        "offsets 0 to 19: page of level 0, ",
        "lists 400 bytes of records",
        "2 pages, 2 references, all as written",
    ] {
        assert!(text.contains(line), "no {line:?} in\n{text}");
    }
    for at in 0..whole.len() {
        let mut rotten = whole.clone();
        rotten[at] ^= 0x04;
        let (named, line) = run(&place.file(&rotten)).bad();
        let pieces = [0, objects::HEADER_BYTES as u64, top.place.at];
        let piece = pieces.iter().rev().find(|piece| **piece as usize <= at).unwrap();
        assert_eq!(named, *piece, "byte {at}: {line}");
        // An object that ends with a page is whole for all that it says itself.
        let ends = [objects::HEADER_BYTES as u64, top.place.at].contains(&(at as u64));
        assert!(run(&place.file(&whole[..at])).end.is_err() || ends, "cut at {at}");
    }
}

#[test]
fn pages_of_a_partition_are_printed_with_its_checkpoint() {
    let (_, top) = pages();
    let paged = checkpoint(9, |listing| {
        listing.references[0].base = top.last.plus(1);
        listing.references[0].last = top.last.plus(2);
        listing.next = top.last.plus(3);
        listing.pages.push(top);
    });
    let text = run(&Place::new().file(&paged)).whole();
    assert!(text.contains("1 page and 1 reference to 600 bytes"), "{text}");
    assert!(text.contains("offsets 0 to 19: page of level 1, "), "{text}");
}

#[test]
fn a_flipped_byte_and_a_cut_of_a_checkpoint_are_noticed() {
    let place = Place::new();
    let whole = checkpoint(9, |_| {});
    for at in 0..whole.len() {
        let mut rotten = whole.clone();
        rotten[at] ^= 0x04;
        let printed = run(&place.file(&rotten));
        assert_eq!(printed.bad().0, 0, "one sum covers it all");
        assert_eq!(run(&place.file(&whole[..at])).bad().0, 0);
        // With the right sum it may be another good checkpoint, or not: it must not panic.
        let end = rotten.len() - 4;
        let sum = weir_protocol::records::crc32c(&rotten[..end]);
        rotten[end..].copy_from_slice(&sum.to_le_bytes());
        if run(&place.file(&rotten)).end.is_err() {
            let (named, line) = run(&place.file(&rotten)).bad();
            assert!(named <= end as u64, "byte {at}: {line}");
        }
    }
}

#[test]
fn a_checkpoint_that_recovery_would_refuse_is_refused() {
    let place = Place::new();
    let hole = checkpoint(9, |listing| listing.next = listing.next.plus(1));
    assert!(run(&place.file(&hole)).bad().1.contains("do not lead from its log start"));
    let alone = checkpoint(3, |_| {});
    assert!(run(&place.file(&alone)).bad().1.contains("too many deltas"));
}

#[test]
fn newer_versions_are_named() {
    let place = Place::new();
    let mut newer = checkpoint(9, |_| {});
    newer[8] = 3;
    let end = newer.len() - 4;
    let sum = weir_protocol::records::crc32c(&newer[..end]);
    newer[end..].copy_from_slice(&sum.to_le_bytes());
    let (at, line) = run(&place.file(&newer)).bad();
    assert!(at == 8 && line.contains("format version 3"), "{line}");

    let mut newer = sorted_object();
    let footer = newer.len() - objects::FOOTER_BYTES;
    newer[footer + 88] = 7;
    let end = newer.len() - 4;
    let sum = weir_protocol::records::crc32c(&newer[footer..end]);
    newer[end..].copy_from_slice(&sum.to_le_bytes());
    let (at, line) = run(&place.file(&newer)).bad();
    assert!(at == footer as u64 + 88 && line.contains("format version 7"), "{line}");
}

#[test]
fn other_files_are_refused_by_what_they_begin_with() {
    let place = Place::new();
    for (bytes, found) in [
        (&b""[..], "nothing: it is empty"),
        (b"\x7fELF\x02\x01\x01\x00rest", r"`\x7fELF\x02\x01\x01\x00`"),
        (b"WEIROBJ", "`WEIROBJ`"),
    ] {
        let (_, line) = run(&place.file(bytes)).bad();
        assert!(line.contains(found) && line.contains("WEIRCKP1"), "{line}");
    }
    let missing = run(&place.directory.path().join("missing")).end.unwrap_err();
    assert!(matches!(missing, InspectError::Unreadable { .. }), "{missing}");
    let directory = run(place.directory.path()).end.unwrap_err();
    assert!(matches!(directory, InspectError::Unreadable { .. }), "{directory}");
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    struct Closed(io::ErrorKind);
    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let place = Place::new();
    let path = place.file(&sorted_object());
    inspect(&path, true, &mut Closed(io::ErrorKind::BrokenPipe)).unwrap();
    let full = inspect(&path, true, &mut Closed(io::ErrorKind::StorageFull));
    assert!(matches!(full, Err(InspectError::Output(_))));
}
