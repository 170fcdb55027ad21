//! The frames of a file, one after the other.
//!
//! The first bytes that are no good frame are the end, unless something proves that they were durable once: a good
//! frame or file behind them that names a synced position above them. Then they are rot.

use bytes::Bytes;
use weir_ids::Slot;
use weir_protocol::records::crc32c;

use super::{
    Error, StoredSlot,
    frame::{
        ALIGN, FILE_HEADER_BYTES, FRAME_HEADER_BYTES, FRAME_MAGIC, FileHeader, FileHeaderError,
        FrameHeader, FrameKind, Position,
    },
};
use crate::{ObjectName, object::Directory};

/// Walks the frames of one file that has been read whole.
pub struct Frames<'a> {
    bytes: &'a Bytes,
    header: FileHeader,
    at: u64,
    expected: Slot,
}

/// Bytes that are no good frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ScanError {
    /// Where, in the file.
    pub at: u64,
    /// What is wrong there.
    pub what: String,
}

/// Reads the header of a file that has been read whole and walks its frames.
///
/// # Errors
/// When the file header is not good.
pub fn scan_file(bytes: &Bytes) -> Result<Frames<'_>, FileHeaderError> {
    let header = FileHeader::decode(bytes)?;
    let (at, expected) = (FILE_HEADER_BYTES as u64, header.first_slot);
    Ok(Frames { bytes, header, at, expected })
}

impl Frames<'_> {
    /// The file's header.
    pub fn header(&self) -> &FileHeader {
        &self.header
    }

    /// Where the next frame is expected.
    pub fn at(&self) -> u64 {
        self.at
    }

    /// The next frame's header, where its body begins, and the body; `None` at the end of the file.
    ///
    /// # Errors
    /// When there is no good frame here. What that means depends on what follows.
    #[expect(clippy::should_implement_trait, reason = "an error does not end it: see `at`")]
    pub fn next(&mut self) -> Option<Result<(FrameHeader, u64, Bytes), ScanError>> {
        let at = self.at;
        let rest = self.bytes.get(usize::try_from(at).ok()?..)?;
        if rest.is_empty() {
            return None;
        }
        let bad = |what: &str| Some(Err(ScanError { at, what: what.to_owned() }));
        let Some(frame) = self.header_at(at) else {
            return bad("no good frame header");
        };
        let Some(end) = frame.end(at).filter(|end| *end <= self.bytes.len() as u64) else {
            return bad("the frame runs over the end of the file");
        };
        let origin = at + FRAME_HEADER_BYTES as u64;
        let body = self.bytes.slice(origin as usize..(origin + frame.body_len) as usize);
        if frame.slot != self.expected {
            return bad("the frame's slot does not follow the one before");
        }
        if frame.slot == Slot(u64::MAX) {
            return bad("no slot has the largest number: it stands for all of them");
        }
        if crc32c(&body) != frame.body_crc {
            return bad("the frame's body fails its checksum");
        }
        if self.bytes[(origin + frame.body_len) as usize..end as usize].iter().any(|it| *it != 0) {
            return bad("what fills up behind the frame is not zero");
        }
        if frame.kind == FrameKind::Slot {
            self.expected = frame.slot.next();
        }
        self.at = end;
        Some(Ok((frame, origin, body)))
    }

    /// A synced position above `bad` that a good frame at or behind it names, if there is one: then
    /// those bytes were durable once and have rotted. Otherwise they are a torn tail, for all that
    /// this file knows.
    pub fn synced_beyond(&self, bad: &ScanError) -> Option<Position> {
        let place = Position { file: self.header.file, byte: bad.at };
        self.highest_synced_behind(bad.at).filter(|synced| *synced > place)
    }

    /// Where the body of the frame at `at` begins, and the body, if the frame's header is good;
    /// its checksum is not compared. For finding out what is wrong with a frame that is refused.
    pub fn suspect(&self, at: u64) -> Option<(u64, Bytes)> {
        let frame = self.header_at(at)?;
        frame.end(at).filter(|end| *end <= self.bytes.len() as u64)?;
        let origin = at + FRAME_HEADER_BYTES as u64;
        Some((origin, self.bytes.slice(origin as usize..(origin + frame.body_len) as usize)))
    }

    fn header_at(&self, at: u64) -> Option<FrameHeader> {
        let bytes = self.bytes.get(usize::try_from(at).ok()?..)?;
        let place = Position { file: self.header.file, byte: at };
        FrameHeader::decode(bytes, self.header.identity.nonce, place)
    }

    /// The highest synced position that any good frame header at or behind `from` names.
    fn highest_synced_behind(&self, from: u64) -> Option<Position> {
        let mut at = from.next_multiple_of(ALIGN);
        let mut highest = None;
        while let Some(rest) = usize::try_from(at).ok().and_then(|at| self.bytes.get(at..)) {
            if rest.len() < FRAME_HEADER_BYTES {
                break;
            }
            if rest[..4] == FRAME_MAGIC {
                highest = highest.max(self.header_at(at).map(|frame| frame.synced));
            }
            at += ALIGN;
        }
        highest
    }
}

/// Reads what recovery needs of the body of a slot.
///
/// # Errors
/// When it is rotten.
pub(super) fn stored_slot(
    path: &str,
    slot: Slot,
    object: ObjectName,
    origin: u64,
    body: &[u8],
) -> Result<StoredSlot, Error> {
    // The frame's checksum has been compared: what is wrong now was written wrong.
    let corrupt = |error: crate::object::Error| corrupt(path, origin, error.to_string());
    let directory = Directory::of_body(body).map_err(corrupt)?;
    let mut chunks = Vec::with_capacity(directory.chunks.len());
    for chunk in &directory.chunks {
        chunks.push((*chunk, directory.batches(body, chunk).map_err(corrupt)?));
    }
    Ok(StoredSlot { slot, object, origin, chunks })
}

/// Bad bytes at `bad` are rot if something says that they were durable.
pub(super) fn refuse_synced(
    path: &str,
    bad: Position,
    what: &str,
    synced: Option<Position>,
) -> Result<(), Error> {
    match synced {
        Some(synced) if synced > bad => {
            let (byte, file) = (synced.byte, synced.file);
            let what = format!("{what}, though all up to byte {byte} of file {file} was durable");
            Err(corrupt(path, bad.byte, what))
        }
        _ => Ok(()),
    }
}

pub(super) fn corrupt(path: &str, at: u64, what: impl Into<String>) -> Error {
    Error::Corrupt { path: path.to_owned(), at, what: what.into() }
}
