//! The thread that writes.
//!
//! It takes all slots that have been submitted, writes each as one frame with a vectored write, and
//! makes them durable with one `fdatasync`; then it answers them in order. While it is busy, the
//! next slots gather.
//!
//! Space is taken when a file is made. When that fails for lack of it, the writer says so
//! ([`Writer::trouble`]) and tries again until it works: what was submitted stays first in line and
//! nothing is lost. Any other failed write or sync ends the journal: after a failed `fdatasync`
//! nobody knows what is on the disk, so nothing may be answered any more.

use std::{
    fs::File,
    io::{IoSlice, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    time::Duration,
};

use bytes::Bytes;
use futures::{FutureExt, future::BoxFuture};
use weir_ids::Slot;
use weir_runtime::watch;

use super::{FileJournalSettings, file_path, sync_directory};
use crate::{
    Part,
    journal::{
        Error, Writer, Written,
        frame::{
            ALIGN, FILE_HEADER_BYTES, FRAME_HEADER_BYTES, FileHeader, FrameHeader, FrameKind,
            Identity, Position,
        },
        submitted::{Submitted, padding},
    },
    object::Body,
};

/// Slots that may wait for the thread. The caller bounds their bytes.
const QUEUE_SLOTS: usize = 64;
/// Pieces handed to one vectored write; the kernel takes at most 1,024.
const PIECES: usize = 1024;

struct FileWriter {
    queue: Option<mpsc::SyncSender<Submitted>>,
    trouble: watch::Receiver<Option<String>>,
    closing: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
    session: weir_ids::SessionId,
    directory: PathBuf,
}

pub(super) fn open(
    directory: PathBuf,
    identity: Identity,
    settings: FileJournalSettings,
) -> Result<Box<dyn Writer>, Error> {
    if directory.exists() {
        return Err(Error::Exists(identity.session));
    }
    let parent = directory.parent().unwrap_or(&directory).to_owned();
    std::fs::create_dir_all(&directory).map_err(|error| Error::io(&directory, &error))?;
    sync_directory(&parent)?;
    if let Some(root) = parent.parent() {
        sync_directory(root)?;
    }
    let (submit, submitted) = mpsc::sync_channel(QUEUE_SLOTS);
    let (tell, trouble) = watch::channel(None);
    let closing = Arc::new(AtomicBool::new(false));
    let mut thread = Thread {
        directory: directory.clone(),
        identity,
        settings,
        trouble: tell,
        closing: Arc::clone(&closing),
        file: None,
        at: Position::default(),
        synced: Position::default(),
        marked: Position::default(),
        next_slot: Slot::OPEN.next(),
    };
    let running = weir_runtime::thread("weir-wal", move || thread.run(&submitted));
    let running = running.map_err(|error| Error::io(&directory, &error))?;
    Ok(Box::new(FileWriter {
        queue: Some(submit),
        trouble,
        closing,
        thread: Some(running),
        session: identity.session,
        directory,
    }))
}

impl Writer for FileWriter {
    fn append(&mut self, slot: Slot, body: Body) -> BoxFuture<'static, Result<Written, Error>> {
        let (submitted, answer) = Submitted::new(slot, body);
        let gone = Error::Io {
            path: self.directory.display().to_string(),
            what: format!("the log of session {} has failed before", self.session),
        };
        // Cannot block: the caller keeps fewer slots in flight than the queue holds.
        if let Some(queue) = &self.queue
            && queue.try_send(submitted).is_ok()
        {
            return async move { answer.await.unwrap_or(Err(gone)) }.boxed();
        }
        async move { Err(gone) }.boxed()
    }

    fn trouble(&self) -> watch::Receiver<Option<String>> {
        self.trouble.clone()
    }
}

impl Drop for FileWriter {
    fn drop(&mut self) {
        self.queue = None;
        self.closing.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

struct Thread {
    directory: PathBuf,
    identity: Identity,
    settings: FileJournalSettings,
    trouble: watch::Sender<Option<String>>,
    /// Nobody waits for answers any more.
    closing: Arc<AtomicBool>,
    /// The current file with its path and size.
    file: Option<(File, PathBuf, u64)>,
    /// Where the next frame goes.
    at: Position,
    /// Everything below is durable.
    synced: Position,
    /// The highest synced position that is noted on disk.
    marked: Position,
    next_slot: Slot,
}

impl Thread {
    fn run(&mut self, queue: &mpsc::Receiver<Submitted>) {
        self.serve(queue);
        // Gives back the space that was taken and never used. What fails here costs only that.
        if let Some((file, path, _)) = &self.file
            && let Err(error) = file.set_len(self.at.byte)
        {
            tracing::debug!(%error, path = %path.display(), "unused space is not given back");
        }
    }

    fn serve(&mut self, queue: &mpsc::Receiver<Submitted>) {
        let idle = Duration::from_millis(self.settings.idle_mark_ms);
        loop {
            let first = match queue.recv_timeout(idle) {
                Ok(first) => first,
                Err(mpsc::RecvTimeoutError::Disconnected) => return self.mark(),
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    self.mark();
                    match queue.recv() {
                        Ok(first) => first,
                        Err(_) => return,
                    }
                }
            };
            let batch: Vec<Submitted> = std::iter::once(first).chain(queue.try_iter()).collect();
            if self.write_batch(batch).is_err() {
                return;
            }
        }
    }

    /// Writes and syncs `batch`, then answers it. An error has been answered and ends the thread.
    fn write_batch(&mut self, batch: Vec<Submitted>) -> Result<(), ()> {
        let mut written = Vec::with_capacity(batch.len());
        let mut batch = batch.into_iter();
        let mut failure = None;
        for submitted in batch.by_ref() {
            match self.write_slot(&submitted) {
                Ok((file, origin)) => written.push((submitted, file, origin)),
                Err(error) => {
                    submitted.fails(error.clone());
                    failure = Some(error);
                    break;
                }
            }
        }
        match failure.map_or_else(|| self.sync(), Err) {
            Ok(()) => {
                for (submitted, file, origin) in written {
                    submitted.succeeds(self.identity.session, file, origin);
                }
                Ok(())
            }
            Err(error) => {
                tracing::error!(%error, "the write-ahead log has failed");
                self.trouble.send_replace(Some(error.to_string()));
                let rest = written.into_iter().map(|(submitted, ..)| submitted).chain(batch);
                rest.for_each(|submitted| submitted.fails(error.clone()));
                Err(())
            }
        }
    }

    /// Writes one slot and says in which file and where its body begins.
    fn write_slot(&mut self, submitted: &Submitted) -> Result<(u32, u64), Error> {
        let Submitted { slot, body, .. } = submitted;
        assert_eq!(*slot, self.next_slot, "slots are submitted in order");
        let frame = submitted.frame_bytes();
        let fits = |size: u64, at: u64| at + frame <= size;
        if !self.file.as_ref().is_some_and(|(_, _, size)| fits(*size, self.at.byte)) {
            self.next_file(*slot, frame)?;
        }
        let (header, at) = (submitted.header(self.synced), self.at);
        self.write_frame(&header, &body.parts)?;
        self.marked = self.marked.max(header.synced);
        self.next_slot = slot.next();
        Ok((at.file, at.byte + FRAME_HEADER_BYTES as u64))
    }

    fn write_frame(&mut self, header: &FrameHeader, body: &[Part]) -> Result<(), Error> {
        let Some((file, path, _)) = &mut self.file else { return Ok(()) };
        let head = header.encode(self.identity.nonce, self.at);
        let mut pieces: Vec<&[u8]> = Vec::with_capacity(2 * body.len() + 2);
        pieces.push(&head);
        body.iter().for_each(|part| part.pieces(|piece: &Bytes| pieces.push(piece)));
        pieces.push(padding(header.body_len));
        write_all(file, &pieces).map_err(|error| Error::io(path, &error))?;
        self.at.byte = header.end(self.at.byte).unwrap_or(u64::MAX);
        Ok(())
    }

    fn sync(&mut self) -> Result<(), Error> {
        if let Some((file, path, _)) = &self.file {
            file.sync_data().map_err(|error| Error::io(path, &error))?;
            self.synced = self.at;
        }
        Ok(())
    }

    /// Notes on disk how far it has synced, so that rot in the last frame is told from a torn tail.
    /// The note itself need not be durable.
    fn mark(&mut self) {
        if self.marked >= self.synced {
            return;
        }
        let header = FrameHeader {
            kind: FrameKind::Mark,
            slot: self.next_slot,
            body_len: 0,
            synced: self.synced,
            body_crc: 0,
        };
        let room = self.file.as_ref().is_some_and(|(_, _, size)| self.at.byte + ALIGN <= *size);
        if room && self.write_frame(&header, &[]).is_ok() {
            self.marked = self.synced;
        }
    }

    /// Goes on in a new file with room for a frame of `frame` bytes. Waits for space if need be.
    fn next_file(&mut self, first_slot: Slot, frame: u64) -> Result<(), Error> {
        self.sync()?;
        let file = self.at.file + 1;
        let path = file_path(&self.directory, file);
        let size = self.settings.file_bytes.max(FILE_HEADER_BYTES as u64 + frame);
        let header = FileHeader { identity: self.identity, file, first_slot, synced: self.synced };
        loop {
            match preallocate(&path, size, &header) {
                Ok(made) => {
                    self.file = Some((made, path, size));
                    self.at = Position { file, byte: FILE_HEADER_BYTES as u64 };
                    self.trouble.send_replace(None);
                    return sync_directory(&self.directory);
                }
                Err(error @ Error::NoSpace { .. }) => {
                    if self.trouble.borrow().is_none() {
                        tracing::warn!(%error, "the write-ahead log waits for space");
                    }
                    self.trouble.send_replace(Some(error.to_string()));
                    if self.closing.load(Ordering::Acquire) {
                        return Err(error);
                    }
                    let pause = Duration::from_millis(self.settings.no_space_retry_ms);
                    std::thread::park_timeout(pause);
                }
                Err(error) => return Err(error),
            }
        }
    }
}

/// Makes a file with all its space, or nothing.
fn preallocate(path: &Path, size: u64, header: &FileHeader) -> Result<File, Error> {
    let make = || -> std::io::Result<File> {
        let mut file = File::options().create(true).truncate(true).write(true).open(path)?;
        rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, size)?;
        file.write_all(&header.encode())?;
        file.sync_all()?;
        file.seek(SeekFrom::Start(FILE_HEADER_BYTES as u64))?;
        Ok(file)
    };
    make().map_err(|error| {
        // Only this writer knows the name: nothing that counts is in it.
        let _ = std::fs::remove_file(path);
        Error::io(path, &error)
    })
}

fn write_all(file: &mut File, pieces: &[&[u8]]) -> std::io::Result<()> {
    for pieces in pieces.chunks(PIECES) {
        let mut slices: Vec<IoSlice<'_>> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
        let mut rest = &mut slices[..];
        IoSlice::advance_slices(&mut rest, 0);
        while !rest.is_empty() {
            match file.write_vectored(rest) {
                Ok(0) => return Err(std::io::ErrorKind::WriteZero.into()),
                Ok(written) => IoSlice::advance_slices(&mut rest, written),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}
