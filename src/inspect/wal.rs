//! A file of a write-ahead log: its header, its frames, and what lies behind the last good one.
//!
//! Bytes that are no good frame are the unused rest (zeros), a torn tail (a write that a crash cut;
//! it was never acknowledged and a start cuts it), or rot: when a good frame behind them, or the next
//! file beside this one, says that they were durable once.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use weir_ids::Slot;
use weir_segment_store::{
    journal::file::{
        FILE_HEADER_BYTES, FileHeader, FileHeaderError, FrameHeader, FrameKind, Frames, Position,
        ScanError, scan_file,
    },
    object::Kind,
};

use super::{
    object::{self, Contents},
    page::{Page, Stop},
};

/// Where a file header has its version.
const VERSION_AT: u64 = 8;

pub(super) fn print(page: &mut Page<'_>, path: &Path, bytes: &Bytes) -> Result<(), Stop> {
    page.line(0, format_args!("file of a write-ahead log (WEIRWAL1), {} bytes", bytes.len()))?;
    let mut frames = scan_file(bytes).map_err(|error| match error {
        FileHeaderError::Bad(what) => Stop::bad(0, what),
        FileHeaderError::NewerVersion(version) => Stop::Newer { at: VERSION_AT, version },
    })?;
    let header = *frames.header();
    print_header(page, &header)?;
    let mut found = Found::default();
    let mut at = frames.at();
    while let Some(next) = frames.next() {
        match next {
            Ok((frame, origin, body)) => {
                print_frame(page, &header, at, &frame, origin, &body, &mut found)?;
                padding_is_zero(bytes, origin + frame.body_len, frames.at())?;
            }
            Err(bad) => {
                refuse_rot(path, &frames, &bad)?;
                print_rest(page, bytes, &bad)?;
                return found.print(page);
            }
        }
        at = frames.at();
    }
    let end = ScanError { at, what: "the file ends".to_owned() };
    refuse_rot(path, &frames, &end)?;
    page.line(0, format_args!("byte {at}: end of the file, nothing is unused"))?;
    found.print(page)
}

fn print_header(page: &mut Page<'_>, header: &FileHeader) -> Result<(), Stop> {
    page.field("cluster", header.identity.cluster)?;
    page.field("session", header.identity.session)?;
    page.field("file", header.file)?;
    page.field("first slot", header.first_slot)?;
    page.field("synced before", synced(header.synced))
}

fn print_frame(
    page: &mut Page<'_>,
    file: &FileHeader,
    at: u64,
    frame: &FrameHeader,
    origin: u64,
    body: &Bytes,
    found: &mut Found,
) -> Result<(), Stop> {
    let (slot, len, synced) = (frame.slot, frame.body_len, synced(frame.synced));
    if frame.kind == FrameKind::Mark {
        return page.line(0, format_args!("byte {at}: mark before slot {slot}, synced: {synced}"));
    }
    let text = format_args!("byte {at}: slot {slot}, {len} bytes at {origin}, synced: {synced}");
    page.line(0, text)?;
    let header = object::header(body, origin)?;
    if (header.cluster, header.session) != (file.identity.cluster, file.identity.session) {
        return Err(Stop::bad(origin, "the slot belongs to another cluster or session"));
    }
    if (header.kind, header.number) != (Kind::Slot, slot.0) {
        let what = format!("it is not slot {slot} but {}", object::Named(&header));
        return Err(Stop::bad(origin, what));
    }
    found.add(slot, object::print_contents(page, 1, body, origin)?);
    Ok(())
}

/// Nothing is stored between a frame's body and the next frame: no checksum covers it.
fn padding_is_zero(bytes: &[u8], from: u64, to: u64) -> Result<(), Stop> {
    let padding = bytes.get(from as usize..to as usize).unwrap_or_default();
    match padding.iter().position(|byte| *byte != 0) {
        None => Ok(()),
        Some(place) => {
            let what = "the padding behind a frame is not zero; no record is touched by that";
            Err(Stop::bad(from + place as u64, what))
        }
    }
}

/// An error if the bytes from `bad` on were durable once.
fn refuse_rot(path: &Path, frames: &Frames<'_>, bad: &ScanError) -> Result<(), Stop> {
    let place = Position { file: frames.header().file, byte: bad.at };
    if let Some(proof) = frames.synced_beyond(bad) {
        return Err(rot(frames, bad, &format!("a later frame says: synced: {}", synced(proof))));
    }
    if let Some((next, path)) = successor(path, frames.header())
        && next.synced != place
    {
        let says = format!("{} says: synced before: {}", path.display(), synced(next.synced));
        return Err(rot(frames, bad, &says));
    }
    Ok(())
}

/// The smallest piece at `bad` that is not as it was written.
fn rot(frames: &Frames<'_>, bad: &ScanError, proof: &str) -> Stop {
    let (frame, what) = (bad.at, &bad.what);
    let inside = frames.suspect(frame).map(|(origin, body)| {
        let mut nowhere = std::io::sink();
        let mut page = Page::new(&mut nowhere, false);
        object::header(&body, origin)
            .and_then(|_| object::print_contents(&mut page, 0, &body, origin))
    });
    match inside {
        Some(Err(Stop::Bad { at, what: inner })) => {
            Stop::bad(at, format!("{inner}; the frame at byte {frame} was durable, for {proof}"))
        }
        _ => Stop::bad(frame, format!("{what}, though it was durable, for {proof}")),
    }
}

/// The header of the file that follows in the same directory, if this one lies under its own name.
fn successor(path: &Path, header: &FileHeader) -> Option<(FileHeader, PathBuf)> {
    let name = |file: u32| format!("{file:010}.wal");
    if path.file_name()?.to_str()? != name(header.file) {
        return None;
    }
    let next = path.with_file_name(name(header.file.checked_add(1)?));
    let mut bytes = Vec::with_capacity(FILE_HEADER_BYTES);
    File::open(&next).ok()?.take(FILE_HEADER_BYTES as u64).read_to_end(&mut bytes).ok()?;
    let found = *scan_file(&bytes.into()).ok()?.header();
    let follows = found.identity == header.identity && found.file == header.file + 1;
    follows.then_some((found, next))
}

/// What lies behind the last good frame when nobody says that it was ever durable.
fn print_rest(page: &mut Page<'_>, bytes: &[u8], bad: &ScanError) -> Result<(), Stop> {
    let (at, len) = (bad.at, bytes.len() as u64);
    let rest = bytes.get(at as usize..).unwrap_or_default();
    let torn = rest.iter().rposition(|byte| *byte != 0).map_or(0, |last| last as u64 + 1);
    if torn > 0 {
        let what = &bad.what;
        page.line(
            0,
            format_args!(
                "byte {at}: torn tail of {torn} bytes ({what}): never acknowledged, or being \
                 written now; the next start cuts it"
            ),
        )?;
    }
    let (zeros, unused) = (at + torn, len - at - torn);
    page.line(0, format_args!("byte {zeros}: {unused} bytes preallocated, unused"))
}

/// Whether this is a file of a log that has its space but no header yet: its process ended while it
/// was being made, or is making it now.
pub(super) fn in_the_making(path: &Path, bytes: &[u8]) -> bool {
    path.extension().is_some_and(|extension| extension == "wal")
        && bytes.len() >= FILE_HEADER_BYTES
        && bytes[..FILE_HEADER_BYTES].iter().all(|byte| *byte == 0)
}

pub(super) fn print_in_the_making(page: &mut Page<'_>, bytes: &[u8]) -> Result<(), Stop> {
    page.line(0, "file of a write-ahead log, without a header: it was being made")?;
    match bytes.iter().position(|byte| *byte != 0) {
        None => page.line(0, format_args!("byte 0: {} bytes preallocated, unused", bytes.len())),
        Some(at) => Err(Stop::bad(at as u64, "a file without a header is not empty")),
    }
}

fn synced(position: Position) -> String {
    match position {
        Position { file: 0, .. } => "nothing".to_owned(),
        Position { file, byte } => format!("up to byte {byte} of file {file}"),
    }
}

/// What the file holds.
#[derive(Default)]
struct Found {
    slots: Option<(Slot, Slot)>,
    contents: Contents,
}

impl Found {
    fn add(&mut self, slot: Slot, contents: Contents) {
        let first = self.slots.map_or(slot, |(first, _)| first);
        self.slots = Some((first, slot));
        self.contents.add(contents);
    }

    fn print(&self, page: &mut Page<'_>) -> Result<(), Stop> {
        let contents = &self.contents;
        match self.slots {
            None => page.line(0, "no slots"),
            Some((first, last)) => {
                page.line(0, format_args!("slots {first} to {last}: {contents}, all as written"))
            }
        }
    }
}
