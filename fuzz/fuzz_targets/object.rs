//! Any bytes as a stored file: of a write-ahead log, an object, a checkpoint.

#![no_main]

use std::path::Path;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use weir_fuzz::sums;
use weir_ids::{SessionId, Slot};
use weir_segment_store::{
    ObjectName, Part,
    checkpoint::{self, Chain, Checkpoint, Line, Listing},
    journal::file::{FrameKind, scan_file},
    object::{BatchEntry, Builder, Chunk, ChunkSource, Directory, Header},
};

#[expect(dead_code, reason = "the program reads files, this target does not")]
#[path = "../../src/inspect/mod.rs"]
mod inspect;

fuzz_target!(|data: &[u8]| {
    let mut file = data.to_vec();
    look(Bytes::copy_from_slice(data));
    if sums::put_right(&mut file) {
        look(file.into());
    }
});

fn look(file: Bytes) {
    read_log(&file);
    read_object(&file);
    if let Ok(checkpoint) = checkpoint::decode(&file) {
        add_up(checkpoint);
    }
    print(&file);
}

/// Walks a log as recovery does.
fn read_log(file: &Bytes) {
    let Ok(mut frames) = scan_file(file) else { return };
    let mut listing = Listing::default();
    let mut at = frames.at();
    loop {
        match frames.next() {
            None => break,
            Some(Err(bad)) => {
                assert_eq!(bad.at, at);
                let _ = (frames.synced_beyond(&bad), frames.suspect(bad.at));
                break;
            }
            Some(Ok((frame, origin, body))) => {
                assert!(frames.at() > at && frames.at() <= file.len() as u64);
                at = frames.at();
                if frame.kind == FrameKind::Slot {
                    let session = frames.header().identity.session;
                    note(&mut listing, session, frame.slot, origin, &body);
                }
            }
        }
    }
    listing.is_dense();
}

fn note(listing: &mut Listing, session: SessionId, slot: Slot, origin: u64, body: &Bytes) {
    let object = ObjectName::WalSlot { session, slot };
    for (chunk, batches) in read_object(body) {
        listing.append_chunk(chunk.reference(object, origin), &batches);
    }
}

/// Reads an object, builds another one of what it holds, and holds the two against each other.
fn read_object(body: &Bytes) -> Vec<(Chunk, Vec<BatchEntry>)> {
    let header = Header::decode(body);
    let Ok(directory) = Directory::of_body(body) else { return Vec::new() };
    let read = chunks(&directory, body);
    let Ok(header) = header else { return read };
    let mut builder = Builder::new(&header);
    for (chunk, batches) in &read {
        let start = chunk.data.at as usize;
        let data = body.slice(start..start + chunk.data.len as usize);
        let (partition, epoch) = (chunk.partition, chunk.epoch);
        let parts = vec![Part::Bytes(data)];
        builder.add(ChunkSource { partition, epoch, batches, parts });
    }
    let mut again = Vec::new();
    let built = builder.finish();
    built.parts.iter().for_each(|part| part.pieces(|piece| again.extend_from_slice(piece)));
    let directory = Directory::of_body(&again).expect("it was just built");
    assert_eq!(directory.chunks, built.chunks);
    let reread = chunks(&directory, &again);
    assert_eq!(reread.len(), read.len());
    for ((chunk, batches), (again, batches_again)) in read.iter().zip(&reread) {
        assert_eq!(
            (chunk.partition, chunk.epoch, chunk.base, chunk.last, chunk.data.len),
            (again.partition, again.epoch, again.base, again.last, again.data.len)
        );
        assert_eq!(batches, batches_again);
    }
    read
}

/// The chunks with a good index.
fn chunks(directory: &Directory, body: &[u8]) -> Vec<(Chunk, Vec<BatchEntry>)> {
    let read = |chunk: &Chunk| Some((*chunk, directory.batches(body, chunk).ok()?));
    directory.chunks.iter().filter_map(read).collect()
}

/// Adds a checkpoint up with the next one of its kind, as recovery does.
fn add_up(checkpoint: Checkpoint) {
    assert_eq!(checkpoint::decode(&checkpoint::encode(&checkpoint)), Ok(checkpoint.clone()));
    let _ = Chain::predecessors(&checkpoint);
    for (_, line) in &checkpoint.partitions {
        if let Line::Whole(listing) | Line::Delta(listing) = line {
            listing.is_dense();
            let mut twice = listing.clone();
            twice.extend(listing.clone());
            twice.start_at(listing.next);
        }
    }
    let next = Checkpoint { number: checkpoint.number.wrapping_add(1), ..checkpoint.clone() };
    let bare = |checkpoint: &Checkpoint| Checkpoint { partitions: vec![], ..checkpoint.clone() };
    let _ = Chain::add_up(vec![bare(&checkpoint), bare(&next)]);
    if let Ok(chain) = Chain::add_up(vec![checkpoint, next]) {
        for listing in chain.partitions.values() {
            listing.is_dense();
        }
    }
}

/// Whatever is wrong with a file, it is wrong somewhere in it.
fn print(file: &Bytes) {
    let mut printed = Vec::new();
    let end = inspect::print(Path::new("file.wal"), file, true, &mut printed);
    match end {
        Ok(()) | Err(inspect::InspectError::Unknown { .. }) => {}
        Err(inspect::InspectError::Corrupt { at, .. })
        | Err(inspect::InspectError::NewerVersion { at, .. }) => assert!(at <= file.len() as u64),
        Err(error) => panic!("{error}"),
    }
}
