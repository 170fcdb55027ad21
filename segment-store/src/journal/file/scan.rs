//! Finding the end of a session's log, and what is in it.
//!
//! Files follow one another, and in them frames ([`Frames`]).

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use bytes::Bytes;
use uuid::Uuid;
use weir_ids::{SessionId, Slot};

use super::file_path;
use crate::{
    ObjectName,
    journal::{
        Error, Sealed,
        frame::{FILE_HEADER_BYTES, FileHeader, FileHeaderError, FrameKind, Position},
        frames::{self, Frames, refuse_synced, scan_file, stored_slot},
    },
};

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
    let mut ended: Option<(String, Position, String)> = None;
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
            let synced = frames.header().synced;
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
) -> Result<Option<(String, Position, String)>, Error> {
    let path = path.display().to_string();
    while let Some(next) = frames.next() {
        let (frame, origin, body) = match next {
            Ok(good) => good,
            Err(bad) => {
                let place = Position { file, byte: bad.at };
                refuse_synced(&path, place, &bad.what, frames.synced_beyond(&bad))?;
                return Ok(Some((path, place, bad.what)));
            }
        };
        if frame.kind == FrameKind::Slot {
            sealed.end = sealed.end.max(frame.slot.next());
            if frame.slot >= from {
                let object = ObjectName::WalFile { session, file };
                sealed.slots.push(stored_slot(&path, frame.slot, object, origin, &body)?);
            }
        }
    }
    Ok(None)
}

fn corrupt(path: &Path, at: u64, what: String) -> Error {
    frames::corrupt(&path.display().to_string(), at, what)
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
    let identity = frames.header().identity;
    if identity.cluster != cluster {
        return Err(corrupt("it belongs to another cluster"));
    }
    if (identity.session, frames.header().file) != (session, file) {
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
