//! Finding the end of a session's log, and what is in it.
//!
//! Frames follow one another; the first bytes that are no good frame are the end, unless something
//! proves that they were durable once: a good frame or file behind them that names a synced position
//! above them. Then they are rot, and the error says where.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use bytes::Bytes;
use uuid::Uuid;
use weir_ids::{SessionId, Slot};
use weir_protocol::records::crc32c;

use super::{
    file_path,
    frame::{
        ALIGN, FILE_HEADER_BYTES, FRAME_HEADER_BYTES, FRAME_MAGIC, FileHeader, FileHeaderError,
        FrameHeader, FrameKind, Position,
    },
};
use crate::{
    ObjectName,
    journal::{Error, Sealed, StoredSlot},
    object::Directory,
};

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

/// Reads the log of `session` from the file that holds slot `from`, and finds its end.
pub(super) fn seal(
    directory: &Path,
    cluster: Uuid,
    session: SessionId,
    from: Slot,
) -> Result<Sealed, Error> {
    let files = first_slots(directory)?;
    let start = files.partition_point(|(_, first)| *first <= from).saturating_sub(1);
    let mut sealed = Sealed { end: from.max(Slot::OPEN.next()), slots: Vec::new() };
    let mut ended: Option<(PathBuf, Position, String)> = None;
    for (number, (file, first)) in files.iter().enumerate().skip(start) {
        let path = file_path(directory, *file);
        let bytes = read_file(&path)?;
        let mut frames = open_file(&path, &bytes, cluster, session, *file)?;
        if number > start && *file != files[number - 1].0 + 1 {
            let what = format!("slots {} to {} are missing before it", sealed.end, first);
            return Err(corrupt(&path, 0, what));
        }
        // A file is begun only when all before it is durable: good frames must have ended exactly
        // there.
        if let Some((bad_path, bad, what)) = ended.take() {
            let synced = frames.header.synced;
            if synced != bad {
                refuse_synced(&bad_path, bad, &what, Some(synced))?;
                let what = "it was begun before its predecessor was whole".to_owned();
                return Err(corrupt(&path, 0, what));
            }
        }
        if number > start && *first != sealed.end {
            let what = format!("it begins with slot {first}, not with slot {}", sealed.end);
            return Err(corrupt(&path, 0, what));
        }
        ended = walk(&path, &mut frames, session, *file, from, &mut sealed)?;
    }
    Ok(sealed)
}

/// Adds the slots of one file. `Some` says where good frames end, if not at the end of the file.
fn walk(
    path: &Path,
    frames: &mut Frames<'_>,
    session: SessionId,
    file: u32,
    from: Slot,
    sealed: &mut Sealed,
) -> Result<Option<(PathBuf, Position, String)>, Error> {
    while let Some(next) = frames.next() {
        let (frame, origin, body) = match next {
            Ok(good) => good,
            Err(bad) => {
                let place = Position { file, byte: bad.at };
                refuse_synced(path, place, &bad.what, frames.synced_beyond(&bad))?;
                return Ok(Some((path.to_owned(), place, bad.what)));
            }
        };
        if frame.kind == FrameKind::Slot {
            sealed.end = sealed.end.max(frame.slot.next());
            if frame.slot >= from {
                let object = ObjectName::WalFile { session, file };
                sealed.slots.push(stored_slot(path, frame.slot, object, origin, &body)?);
            }
        }
    }
    Ok(None)
}

fn stored_slot(
    path: &Path,
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
fn refuse_synced(
    path: &Path,
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

fn corrupt(path: &Path, at: u64, what: String) -> Error {
    Error::Corrupt { path: path.display().to_string(), at, what }
}

fn open_file<'a>(
    path: &Path,
    bytes: &'a Bytes,
    cluster: Uuid,
    session: SessionId,
    file: u32,
) -> Result<Frames<'a>, Error> {
    let corrupt = |what: &str| corrupt(path, 0, what.to_owned());
    let frames = scan_file(bytes).map_err(|error| match error {
        FileHeaderError::Bad(what) => corrupt(what),
        FileHeaderError::NewerVersion(version) => {
            Error::NewerVersion { path: path.display().to_string(), version }
        }
    })?;
    let identity = frames.header.identity;
    if identity.cluster != cluster {
        return Err(corrupt("it belongs to another cluster"));
    }
    if (identity.session, frames.header.file) != (session, file) {
        return Err(corrupt("it does not belong where it lies"));
    }
    Ok(frames)
}

/// The files of a session in order, each with the slot of its first frame. A last file whose header
/// is not whole was being made when the process ended and holds nothing: it is left out.
pub(super) fn first_slots(directory: &Path) -> Result<Vec<(u32, Slot)>, Error> {
    let entries = match std::fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(|error| Error::io(directory, &error))?,
    };
    let mut numbers: Vec<u32> = Vec::new();
    for entry in entries {
        let name = entry.map_err(|error| Error::io(directory, &error))?.file_name();
        let stem = name.to_str().and_then(|name| name.strip_suffix(".wal"));
        numbers.extend(stem.and_then(|stem| stem.parse::<u32>().ok()));
    }
    numbers.sort_unstable();
    let mut files = Vec::with_capacity(numbers.len());
    for (place, number) in numbers.iter().enumerate() {
        let path = file_path(directory, *number);
        let mut header = [0; FILE_HEADER_BYTES];
        let read = File::open(&path).and_then(|mut file| file.read_exact(&mut header));
        let decoded = match read {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(FileHeaderError::Bad("the file is shorter than its header"))
            }
            other => {
                other.map_err(|error| Error::io(&path, &error))?;
                FileHeader::decode(&header)
            }
        };
        let last = place + 1 == numbers.len();
        match decoded {
            Ok(header) => files.push((*number, header.first_slot)),
            Err(FileHeaderError::Bad(_)) if last && unfinished(&header) => {}
            Err(FileHeaderError::Bad(what)) => {
                return Err(corrupt(&path, 0, what.to_owned()));
            }
            Err(FileHeaderError::NewerVersion(version)) => {
                return Err(Error::NewerVersion { path: path.display().to_string(), version });
            }
        }
    }
    Ok(files)
}

/// Gives back the space behind the last good frame of a file that is written no more.
pub(super) fn give_back(path: &Path) -> Result<(), Error> {
    let bytes = read_file(path)?;
    let Ok(mut frames) = scan_file(&bytes) else { return Ok(()) };
    while frames.next().is_some_and(|frame| frame.is_ok()) {}
    if frames.at() < bytes.len() as u64 {
        let file =
            File::options().write(true).open(path).map_err(|error| Error::io(path, &error))?;
        file.set_len(frames.at()).map_err(|error| Error::io(path, &error))?;
    }
    Ok(())
}

/// A file in the making: its space is there, its header is not.
fn unfinished(header: &[u8; FILE_HEADER_BYTES]) -> bool {
    header.iter().all(|byte| *byte == 0)
}

fn read_file(path: &Path) -> Result<Bytes, Error> {
    std::fs::read(path).map(Bytes::from).map_err(|error| Error::io(path, &error))
}
