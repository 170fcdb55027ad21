//! Ending a session, and reading what it wrote.
//!
//! Which frames of a file count is said by the header of the next file that has a whole one: those below its `synced`.
//! A file that this does not reach counts for nothing. Of the last file all good frames do: it is closed, so that
//! everybody finds the same.

use std::{ops::Range, time::Duration};

use bytes::Bytes;
use futures::{
    StreamExt, TryStreamExt,
    future::{self, try_join_all},
    stream,
};
use tokio::time::{Instant, sleep};
use weir_ids::{SessionId, Slot};

use super::{
    AppendJournal, FileError, FileErrorKind,
    fence::{FENCE_BYTES, Fence, FenceError},
    folder, path,
};
use crate::{
    ObjectName,
    journal::{
        Error, Sealed, Slots, StoredSlot,
        frame::{FILE_HEADER_BYTES, FileHeader, FileHeaderError, FrameKind, Position},
        frames::{corrupt, refuse_synced, scan_file, stored_slot},
    },
};

/// How many files' headers are read at once.
const HEADERS_AT_ONCE: usize = 8;

/// A file with a whole header.
pub(super) type Headed = (u32, FileHeader);

/// A file to read, and which of its bytes count.
type Counting = (u32, FileHeader, Range<u64>);

/// Files to read.
struct Counted {
    files: Vec<Counting>,
    /// Behind them one is missing that is known to have been there.
    missing: Option<Error>,
}

impl AppendJournal {
    /// See [`crate::journal::Journal::seal`].
    pub(super) async fn end(&self, session: SessionId, from: Slot) -> Result<Sealed, Error> {
        let (folder, mut failures) = (folder(session), 0);
        loop {
            self.again(&folder, || self.files.create_folder(&folder)).await?;
            let mut files = self.numbers(session).await?;
            if let Some(last) = files.last().copied()
                && let Some(fence) = self.fence_in(session, last).await?
            {
                // Whoever made it has closed them all.
                files.pop();
                let sealed = self.read_files(session, &files, from).await?;
                if sealed.end > fence.end.max(from) {
                    let what =
                        format!("it ends the session at slot {}, not {}", fence.end, sealed.end);
                    return Err(corrupt(&path(session, last), 0, what));
                }
                return Ok(sealed);
            }
            try_join_all(files.iter().map(|file| self.take(session, *file))).await?;
            let sealed = self.read_files(session, &files, from).await?;
            let last = files.last().copied().unwrap_or(0);
            let Some(next) = last.checked_add(1) else {
                return Err(corrupt(&path(session, last), 0, "no log has so many files"));
            };
            match self.make_fence(session, next, sealed.end).await {
                Ok(()) => return Ok(sealed),
                // The writer was quicker.
                Err(error) if error.kind == FileErrorKind::Exists => {}
                Err(error) if failures >= self.retry.attempts_max() => return Err(error.into()),
                // If it has been made after all, the next look finds it in its place.
                Err(error) => {
                    tracing::debug!(%error, "a fence is not made; looking again");
                    failures += 1;
                    self.retry.pause(failures).await;
                }
            }
        }
    }

    /// One that has ended by itself has no fence, and has one then: only what is behind one may go.
    pub(super) async fn make_sure_of_fence(&self, session: SessionId) -> Result<(), Error> {
        let files = self.numbers(session).await?;
        let headers = self.headers(session, &files).await?;
        let last = headers.last().map_or(Slot::OPEN.next(), |(_, header)| header.first_slot);
        self.end(session, last).await.map(drop)
    }

    /// See [`crate::journal::Journal::read`].
    pub(super) async fn read_answered(
        &self,
        session: SessionId,
        from: Slot,
        below: Slot,
    ) -> Result<Option<Vec<StoredSlot>>, Error> {
        let until = self.until();
        loop {
            let mut files = self.numbers(session).await?;
            if let Some(last) = files.last().copied()
                && self.fence_in(session, last).await?.is_some()
            {
                files.pop();
            }
            let mut slots = self.read_files(session, &files, from).await?.slots;
            slots.retain(|slot| slot.slot < below);
            if slots.iter().map(|slot| slot.slot.0).eq(from.0..below.0) {
                return Ok(Some(slots));
            }
            if slots.first().is_some_and(|first| first.slot > from) {
                return Ok(None);
            }
            self.look_again(until, &folder(session)).await?;
        }
    }

    /// See [`crate::journal::Journal::look_ahead`]. Of a file behind which there is another it is known what counts.
    pub(super) fn read_ahead(&self, session: SessionId, from: Slot, below: Slot) -> Slots<'_> {
        let files = async move {
            let headers = self.headers(session, &self.numbers(session).await?).await?;
            // What a file that is written holds may not be seen yet, though the next says that it was durable.
            let Counted { mut files, .. } = counting(session, &headers, from);
            files.retain(|(_, header, counts)| counts.end < u64::MAX && header.first_slot < below);
            Ok::<_, Error>(stream::iter(files.into_iter().map(Ok)))
        };
        // What is not closed yet has none, and what was trimmed meanwhile not the first.
        let in_order = move |next: &mut Slot, slot: Result<StoredSlot, Error>| {
            let follows = |slot: &StoredSlot| slot.slot == *next && slot.slot < below;
            let slot = slot.as_ref().map_or(true, follows).then_some(slot);
            *next = next.next();
            future::ready(slot)
        };
        stream::once(files)
            .try_flatten()
            .and_then(move |file| self.read_whole(session, file, from))
            .map_ok(|slots| stream::iter(slots.into_iter().map(Ok)))
            .try_flatten()
            .scan(from, in_order)
            .boxed()
    }

    /// The slots from `from` on of a file behind which there is another; none if it is not closed yet.
    async fn read_whole(
        &self,
        session: SessionId,
        (file, _, counts): Counting,
        from: Slot,
    ) -> Result<Vec<StoredSlot>, Error> {
        let path = path(session, file);
        let bytes = self.again(&path, || self.files.read(&path, 0, counts.end)).await?;
        let mut read = Sealed { end: from, slots: Vec::new() };
        if bytes.len() as u64 >= counts.end {
            walk(&path, &bytes, session, file, counts, from, &mut read)?;
        }
        Ok(read.slots)
    }

    /// The files of a session, in order.
    pub(super) async fn numbers(&self, session: SessionId) -> Result<Vec<u32>, Error> {
        let folder = folder(session);
        let listed = self.again(&folder, || self.files.list(&folder)).await?;
        let number = |(name, _): &(String, u64)| name.strip_suffix(".wal")?.parse().ok();
        let mut numbers: Vec<u32> = listed.iter().filter_map(number).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// The fence that a file is, if it is one.
    pub(super) async fn fence_in(
        &self,
        session: SessionId,
        file: u32,
    ) -> Result<Option<Fence>, Error> {
        let path = path(session, file);
        let read = self.again(&path, || self.files.read(&path, 0, FENCE_BYTES as u64)).await;
        let start = match read {
            Err(error) if error.kind == FileErrorKind::NotFound => return Ok(None),
            read => read?,
        };
        match Fence::decode(&start) {
            Ok(fence) if (fence.cluster, fence.session) == (self.cluster, session) => {
                Ok(Some(fence))
            }
            Ok(_) => Err(corrupt(&path, 0, "it does not belong where it lies")),
            Err(FenceError::Other) => Ok(None),
            Err(FenceError::Rotten) => Err(corrupt(&path, 0, "the fence fails its checksum")),
            Err(FenceError::NewerVersion(version)) => Err(Error::NewerVersion { path, version }),
        }
    }

    /// Takes a file from its writer, and waits until it is closed.
    pub(super) async fn take(&self, session: SessionId, file: u32) -> Result<(), Error> {
        let (path, until) = (path(session, file), self.until());
        loop {
            match self.again(&path, || self.files.recover(&path)).await {
                Ok(true) => return Ok(()),
                Ok(false) => self.look_again(until, &path).await?,
                // Trimmed meanwhile.
                Err(error) if error.kind == FileErrorKind::NotFound => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn until(&self) -> Instant {
        Instant::now() + Duration::from_millis(self.settings.closed_within_ms)
    }

    async fn look_again(&self, until: Instant, path: &str) -> Result<(), Error> {
        if Instant::now() >= until {
            let most = Duration::from_millis(self.settings.closed_within_ms);
            let what = format!("{path} is not closed after {most:?}: are its DataNodes alive?");
            return Err(Error::Unavailable { what });
        }
        sleep(Duration::from_millis(self.settings.look_ms)).await;
        Ok(())
    }

    /// Puts a fence in the place of a file, unless something is there.
    async fn make_fence(&self, session: SessionId, file: u32, end: Slot) -> Result<(), FileError> {
        let (name, place) = (self.runtime.uuid().simple().to_string(), path(session, file));
        let draft = format!("{}/fence.{name}", folder(session));
        let fence = Fence { cluster: self.cluster, session, file, end };
        let write = async {
            let mut file = self.files.create(&draft).await?;
            file.append(vec![fence.encode()]).await?;
            file.sync().await?;
            file.close().await?;
            self.files.rename(&draft, &place).await
        };
        let made = self.within(&draft, write).await;
        if made.is_err()
            && let Err(error) = self.again(&draft, || self.files.delete(&draft)).await
        {
            tracing::debug!(%error, "the draft of a fence is left");
        }
        made
    }

    /// The files with whole headers among `files`, in order.
    pub(super) async fn headers(
        &self,
        session: SessionId,
        files: &[u32],
    ) -> Result<Vec<Headed>, Error> {
        let reads: Vec<_> = files.iter().map(|file| self.header(session, *file)).collect();
        let reads = stream::iter(reads).buffered(HEADERS_AT_ONCE);
        let headers: Vec<Option<Headed>> = reads.try_collect().await?;
        let headers: Vec<Headed> = headers.into_iter().flatten().collect();
        for pair in headers.windows(2) {
            if pair[0].1.identity != pair[1].1.identity {
                return Err(corrupt(&path(session, pair[1].0), 0, "another writer has written it"));
            }
        }
        Ok(headers)
    }

    pub(super) async fn header(
        &self,
        session: SessionId,
        file: u32,
    ) -> Result<Option<Headed>, Error> {
        let path = path(session, file);
        let read = self.again(&path, || self.files.read(&path, 0, FILE_HEADER_BYTES as u64)).await;
        let start = match read {
            Err(error) if error.kind == FileErrorKind::NotFound => return Ok(None),
            read => read?,
        };
        match FileHeader::decode(&start) {
            Ok(header) => {
                let belongs = (header.identity.cluster, header.identity.session, header.file)
                    == (self.cluster, session, file);
                match belongs {
                    true => Ok(Some((file, header))),
                    false => Err(corrupt(&path, 0, "it does not belong where it lies")),
                }
            }
            // Nothing of it was ever durable, or a later header says that something was.
            Err(FileHeaderError::Bad(_)) => Ok(None),
            Err(FileHeaderError::NewerVersion(version)) => {
                Err(Error::NewerVersion { path, version })
            }
        }
    }

    /// The slots from `from` on in closed files.
    async fn read_files(
        &self,
        session: SessionId,
        files: &[u32],
        from: Slot,
    ) -> Result<Sealed, Error> {
        let headers = self.headers(session, files).await?;
        let mut sealed = Sealed { end: from.max(Slot::OPEN.next()), slots: Vec::new() };
        let mut expected = None;
        let Counted { files, missing } = counting(session, &headers, from);
        if let Some(error) = missing {
            return Err(error);
        }
        for (file, header, counts) in files {
            if expected.is_some_and(|expected| expected != header.first_slot) {
                let what = format!("it begins with slot {}, not {}", header.first_slot, sealed.end);
                return Err(corrupt(&path(session, file), 0, what));
            }
            let path = path(session, file);
            let bytes = self.again(&path, || self.files.read(&path, 0, u64::MAX)).await?;
            let end = walk(&path, &bytes, session, file, counts, from, &mut sealed)?;
            expected = Some(end);
        }
        Ok(sealed)
    }
}

/// The files to read for the slots from `from` on, and which bytes of each count.
fn counting(session: SessionId, headers: &[Headed], from: Slot) -> Counted {
    let start = FILE_HEADER_BYTES as u64;
    // Of those before, some may be deleted and others not.
    let first = headers.partition_point(|(_, header)| header.first_slot <= from);
    let headers = headers.get(first.saturating_sub(1)..).unwrap_or_default();
    let mut files = Vec::new();
    for (place, (file, header)) in headers.iter().enumerate() {
        let end = match headers.get(place + 1) {
            None => u64::MAX,
            Some((_, next)) if next.synced.file == *file => next.synced.byte,
            Some((_, next)) if next.synced.file < *file => continue,
            Some((next, header)) => {
                let missing = header.synced.file;
                let what = format!("file {missing} before it is missing, or its header is rotten");
                let missing = Some(corrupt(&path(session, *next), 0, what));
                return Counted { files, missing };
            }
        };
        files.push((*file, *header, start..end.max(start)));
    }
    Counted { files, missing: None }
}

/// Adds the slots of one file; returns the slot behind its last.
fn walk(
    path: &str,
    bytes: &Bytes,
    session: SessionId,
    file: u32,
    counts: Range<u64>,
    from: Slot,
    sealed: &mut Sealed,
) -> Result<Slot, Error> {
    let mut frames = scan_file(bytes).map_err(|_| corrupt(path, 0, "its header has changed"))?;
    let mut end = frames.header().first_slot;
    while frames.at() < counts.end {
        let (frame, origin, body) = match frames.next() {
            Some(Ok(good)) => good,
            None if counts.end == u64::MAX => return Ok(end),
            Some(Err(bad)) if counts.end == u64::MAX => {
                let place = Position { file, byte: bad.at };
                refuse_synced(path, place, &bad.what, frames.synced_beyond(&bad))?;
                return Ok(end);
            }
            bad => {
                let what =
                    bad.and_then(Result::err).map_or("it is too short".to_owned(), |it| it.what);
                let what = format!("{what}, though all up to byte {} was durable", counts.end);
                return Err(corrupt(path, frames.at(), what));
            }
        };
        if frame.kind == FrameKind::Slot {
            end = frame.slot.next();
            sealed.end = sealed.end.max(end);
            if frame.slot >= from {
                let object = ObjectName::WalFile { session, file };
                sealed.slots.push(stored_slot(path, frame.slot, object, origin, &body)?);
            }
        }
    }
    Ok(end)
}
