//! The one writer of a session's log.
//!
//! Whoever waits for an answer and finds nobody at work writes all that waits, syncs it once and answers it: no
//! task of its own is needed, and slots that come meanwhile share the next sync.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex as Shared, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use futures::{StreamExt, future::BoxFuture};
use tokio::{
    sync::{Mutex, oneshot::error::TryRecvError},
    time::timeout,
};
use weir_ids::{SessionId, Slot};
use weir_protocol::records::crc32c;
use weir_runtime::watch;

use super::{
    AppendFile, AppendJournal, CHECKSUM_BYTES, FileError, FileErrorKind,
    changeover::Changeover,
    fence::{FENCE_BYTES, FENCE_MAGIC},
    path,
};
use crate::{
    journal::{
        Advice, Error, Writer, Written,
        frame::{
            FILE_HEADER_BYTES, FRAME_HEADER_BYTES, FileHeader, FrameHeader, FrameKind, Identity,
            Position,
        },
        frames::corrupt,
        submitted::{Submitted, padding},
    },
    object::Body,
};

/// So many files are tried one right after the other when one has failed: which nodes keep a file is drawn anew each
/// time.
const TRIALS: u32 = 8;
/// After so many failures in a row whoever waits is told.
const TROUBLE_AFTER: u32 = TRIALS;

static ZEROS: [u8; CHECKSUM_BYTES as usize] = [0; CHECKSUM_BYTES as usize];

type Queue = Arc<Shared<VecDeque<Submitted>>>;

/// See the module.
pub(super) struct AppendWriter {
    journal: AppendJournal,
    session: SessionId,
    core: Arc<Mutex<Core>>,
    queue: Queue,
    trouble: watch::Receiver<Option<String>>,
}

impl AppendWriter {
    pub(super) fn new(journal: &AppendJournal, session: SessionId, core: Core) -> Self {
        let (queue, trouble) = (Arc::clone(&core.queue), core.trouble.subscribe());
        let core = Arc::new(Mutex::new(core));
        journal.own().insert(session, Arc::clone(&core));
        Self { journal: journal.clone(), session, core, queue, trouble }
    }
}

impl Drop for AppendWriter {
    fn drop(&mut self) {
        self.journal.own().remove(&self.session);
    }
}

impl Writer for AppendWriter {
    fn append(&mut self, slot: Slot, body: Body) -> BoxFuture<'static, Result<Written, Error>> {
        let (submitted, mut answer) = Submitted::new(slot, body);
        lock(&self.queue).push_back(submitted);
        let (core, session) = (Arc::clone(&self.core), self.session);
        Box::pin(async move {
            let mut core = core.lock().await;
            loop {
                match answer.try_recv() {
                    Ok(answer) => return answer,
                    Err(TryRecvError::Empty) => core.write_waiting().await,
                    Err(TryRecvError::Closed) => {
                        let what = format!("the log of session {session} was given up");
                        return Err(Error::Unavailable { what });
                    }
                }
            }
        })
    }

    fn trouble(&self) -> watch::Receiver<Option<String>> {
        self.trouble.clone()
    }
}

fn lock(queue: &Queue) -> std::sync::MutexGuard<'_, VecDeque<Submitted>> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is written, and where it stands.
pub(super) struct Core {
    journal: AppendJournal,
    identity: Identity,
    queue: Queue,
    trouble: watch::Sender<Option<String>>,
    /// The file that is appended to. Absent while somebody is at work with it: whoever gives up in the middle
    /// leaves it for good.
    open: Option<OpenFile>,
    /// The number of the last file that is surely there.
    last: u32,
    /// Everything below counts, and nothing behind it does.
    synced: Position,
    changeover: Changeover,
    /// How many times writing has failed in a row.
    failures: u32,
    /// Why nothing can be written any more.
    over: Option<Error>,
}

pub(super) struct OpenFile {
    pub(super) number: u32,
    first_slot: Slot,
    file: Box<dyn AppendFile>,
    at: u64,
}

/// In which file a slot's body is, and where it begins.
type Place = (u32, u64);

impl Core {
    /// A new log, with its first file.
    ///
    /// # Errors
    /// [`Error::Exists`] if there is one already.
    pub(super) async fn begin(journal: &AppendJournal, session: SessionId) -> Result<Self, Error> {
        let (cluster, nonce) = (journal.cluster, journal.runtime.random_u64());
        let mut core = Self {
            journal: journal.clone(),
            identity: Identity { cluster, session, nonce },
            queue: Queue::default(),
            trouble: watch::Sender::new(None),
            open: None,
            last: 0,
            synced: Position::default(),
            changeover: Changeover::default(),
            failures: 0,
            over: None,
        };
        match journal.create(session, 1).await {
            Ok(file) => {
                core.last = 1;
                core.open = Some(core.begin_file(Slot::OPEN.next(), file).await?);
                Ok(core)
            }
            Err(error) if error.kind == FileErrorKind::Exists => Err(Error::Exists(session)),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes all that waits and answers it.
    async fn write_waiting(&mut self) {
        let mut batch = std::mem::take(&mut *lock(&self.queue));
        while !batch.is_empty() {
            if let Some(error) = &self.over {
                batch.drain(..).for_each(|it| it.fails(error.clone()));
                return;
            }
            match self.write(&batch).await {
                Ok(places) => {
                    self.failures = 0;
                    self.trouble.send_if_modified(|what| what.take().is_some());
                    self.answer(places, &mut batch);
                }
                Err(error) if error.advice() == Advice::Retry => {
                    self.failures += 1;
                    self.tell(&error);
                    let trials = if is_full(&error) { 0 } else { TRIALS };
                    self.journal.retry.pause(self.failures.saturating_sub(trials)).await;
                }
                Err(error) => self.over = Some(error),
            }
        }
    }

    fn tell(&self, error: &Error) {
        if (is_full(error) || self.failures >= TROUBLE_AFTER) && self.trouble.borrow().is_none() {
            tracing::warn!(%error, "the write-ahead log can't be written; trying again");
            self.trouble.send_replace(Some(error.to_string()));
        }
    }

    fn answer(&self, places: Vec<Place>, batch: &mut VecDeque<Submitted>) {
        let session = self.identity.session;
        let answered = batch.drain(..places.len());
        for ((file, origin), submitted) in places.into_iter().zip(answered) {
            submitted.succeeds(session, file, origin);
        }
    }

    /// Writes the first slots of `batch`, as many as there is room for in one file and at least one, and makes them
    /// durable. When that fails, the file is left.
    async fn write(&mut self, batch: &VecDeque<Submitted>) -> Result<Vec<Place>, Error> {
        let Some(first) = batch.front() else { return Ok(Vec::new()) };
        let mut open = self.file_for(first.slot, first.frame_bytes()).await?;
        let (mut pieces, mut places) = (Vec::new(), Vec::new());
        for submitted in batch {
            let has_room = open.at + submitted.frame_bytes() <= self.journal.settings.file_bytes;
            if !places.is_empty() && !has_room {
                break;
            }
            places.push((open.number, open.at + FRAME_HEADER_BYTES as u64));
            open.at = self.frame(submitted, &open, &mut pieces);
        }
        let next = batch[places.len() - 1].slot.next();
        open.at = self.fill(next, &open, &mut pieces);
        let path = path(self.identity.session, open.number);
        let write = async {
            open.file.append(pieces).await?;
            open.file.sync().await
        };
        let written = self.changeover.beside(self.journal.within(&path, write)).await;
        match written {
            Ok(()) => {
                self.synced = Position { file: open.number, byte: open.at };
                if open.at >= self.journal.settings.file_bytes / 4 * 3 {
                    self.prepare();
                }
                self.open = Some(open);
                Ok(places)
            }
            Err(error) => {
                self.last = self.changeover.abandon().unwrap_or(self.last);
                tracing::info!(%error, "a file of the write-ahead log is left; going on in the next");
                Err(error.into())
            }
        }
    }

    /// Has the next file made.
    fn prepare(&mut self) {
        if let Some(number) = self.last.checked_add(1) {
            self.changeover.prepare(&self.journal, self.identity, number);
        }
    }

    /// The pieces of a slot's frame; returns where the next one goes.
    fn frame(&self, submitted: &Submitted, open: &OpenFile, pieces: &mut Vec<Bytes>) -> u64 {
        let (header, body) = (submitted.header(self.synced), &submitted.body);
        let at = Position { file: open.number, byte: open.at };
        pieces.push(header.encode(self.identity.nonce, at));
        body.parts.iter().for_each(|part| part.pieces(|piece: &Bytes| pieces.push(piece.clone())));
        let padding = padding(body.len);
        if !padding.is_empty() {
            pieces.push(Bytes::from_static(padding));
        }
        header.end(open.at).unwrap_or(u64::MAX)
    }

    /// A mark that fills the file up to where a checksum of HDFS ends; returns where that is.
    fn fill(&self, next: Slot, open: &OpenFile, pieces: &mut Vec<Bytes>) -> u64 {
        let room = open.at.next_multiple_of(CHECKSUM_BYTES) - open.at;
        let Some(body_len) = room.checked_sub(FRAME_HEADER_BYTES as u64) else { return open.at };
        let body = &ZEROS[..body_len as usize];
        let (kind, slot, synced) = (FrameKind::Mark, next, self.synced);
        let header = FrameHeader { kind, slot, body_len, synced, body_crc: crc32c(body) };
        let at = Position { file: open.number, byte: open.at };
        pieces.push(header.encode(self.identity.nonce, at));
        pieces.push(Bytes::from_static(body));
        open.at + room
    }

    /// The file that is appended to, if it has room for a frame of `bytes`; otherwise the next.
    async fn file_for(&mut self, slot: Slot, bytes: u64) -> Result<OpenFile, Error> {
        let most = self.journal.settings.file_bytes;
        match self.open.take() {
            Some(open) if open.at + bytes <= most || open.at == FILE_HEADER_BYTES as u64 => {
                Ok(open)
            }
            Some(full) => {
                self.changeover.close(&self.journal, self.identity.session, full);
                self.next_file(slot).await
            }
            None => self.next_file(slot).await,
        }
    }

    async fn next_file(&mut self, first_slot: Slot) -> Result<OpenFile, Error> {
        if let Some(made) = self.changeover.next().await {
            self.last = made.number;
            if let Some(file) = made.file {
                return self.go_on_in(first_slot, file).await;
            }
        }
        // No session lives to see the last number; if one did, it would go on as another.
        let Some(number) = self.last.checked_add(1) else {
            return Err(Error::Fenced(self.identity.session));
        };
        match self.journal.create(self.identity.session, number).await {
            Ok(file) => {
                self.last = number;
                self.begin_file(first_slot, file).await
            }
            // Its folder was deleted, which is done when nobody needs the session any more.
            Err(error) if error.kind == FileErrorKind::NotFound => {
                Err(Error::Fenced(self.identity.session))
            }
            Err(error) if error.kind == FileErrorKind::Exists => {
                Err(self.meet(number, first_slot, error).await)
            }
            // It may be there: the same is tried again.
            Err(error) => Err(error.into()),
        }
    }

    /// Begins the last file, which was just made.
    async fn begin_file(
        &mut self,
        first_slot: Slot,
        mut file: Box<dyn AppendFile>,
    ) -> Result<OpenFile, Error> {
        let (path, header) = self.header(first_slot);
        let header = vec![header.encode()];
        if (1..=TRIALS).contains(&self.failures) {
            let trial = async {
                file.append(header).await?;
                file.sync().await
            };
            within(self.journal.settings.trial_ms, &path, trial).await?;
        } else {
            // It becomes durable with the first frame.
            self.journal.within(&path, file.append(header)).await?;
        }
        Ok(self.opened(first_slot, file))
    }

    /// Begins the last file, which has the start of its header already.
    async fn go_on_in(
        &mut self,
        first_slot: Slot,
        mut file: Box<dyn AppendFile>,
    ) -> Result<OpenFile, Error> {
        let (path, header) = self.header(first_slot);
        self.journal.within(&path, file.append(vec![header.rest()])).await?;
        Ok(self.opened(first_slot, file))
    }

    /// The path of the last file, and the header that it gets.
    fn header(&mut self, first_slot: Slot) -> (String, FileHeader) {
        let (identity, file, synced) = (self.identity, self.last, self.synced);
        self.changeover.begin(file, first_slot);
        (path(identity.session, file), FileHeader { identity, file, first_slot, synced })
    }

    fn opened(&self, first_slot: Slot, file: Box<dyn AppendFile>) -> OpenFile {
        OpenFile { number: self.last, first_slot, file, at: FILE_HEADER_BYTES as u64 }
    }

    /// Something is in the place of the next file: a fence, or what an attempt has made that got no answer.
    async fn meet(&mut self, number: u32, first_slot: Slot, error: FileError) -> Error {
        let session = self.identity.session;
        let path = path(session, number);
        let most = FENCE_BYTES.max(FILE_HEADER_BYTES) as u64;
        let read = self.journal.within(&path, self.journal.files.read(&path, 0, most)).await;
        let start = match read {
            Ok(start) => start,
            Err(error) => return error.into(),
        };
        if start.starts_with(&FENCE_MAGIC) {
            return Error::Fenced(session);
        }
        if FileHeader::decode(&start).is_ok_and(|header| header.identity != self.identity) {
            return corrupt(&path, 0, "somebody else writes the log of this session");
        }
        self.last = number;
        self.changeover.begin(number, first_slot);
        error.into()
    }
}

fn is_full(error: &Error) -> bool {
    matches!(error, Error::NoSpace { .. })
}

impl AppendJournal {
    /// Closes every file that may hold a slot below `below`, so that others can read it. Appends go on meanwhile, in
    /// another file.
    pub(super) async fn close_below(&self, core: &Mutex<Core>, below: Slot) -> Result<(), Error> {
        self.make_ready(core, below).await;
        let (session, open, closing, unclosed) = {
            let mut core = core.lock().await;
            let open = core.open.take_if(|open| open.first_slot < below);
            let closing = core.changeover.take_closing();
            (core.identity.session, open, closing, core.changeover.unclosed(below))
        };
        let mut closed: Vec<u32> = closing.collect().await;
        if let Some(open) = open {
            let number = open.number;
            closed.extend(self.close(session, open).await.then_some(number));
        }
        for number in unclosed {
            if !closed.contains(&number) {
                self.take(session, number).await?;
                closed.push(number);
            }
        }
        let mut core = core.lock().await;
        closed.into_iter().for_each(|number| core.changeover.is_closed(Some(number)));
        Ok(())
    }

    /// If the open file is to be closed below `below`, has the next one made before.
    async fn make_ready(&self, core: &Mutex<Core>, below: Slot) {
        let making = {
            let mut core = core.lock().await;
            if core.open.as_ref().is_some_and(|open| open.first_slot < below) {
                core.prepare();
            }
            core.changeover.take_making()
        };
        if let Some(making) = making {
            let made = making.await;
            let mut core = core.lock().await;
            let next = core.last.checked_add(1);
            core.changeover.put_made(made, next);
        }
    }

    /// Makes a file of a log.
    pub(super) async fn create(
        &self,
        session: SessionId,
        number: u32,
    ) -> Result<Box<dyn AppendFile>, FileError> {
        let path = path(session, number);
        self.within(&path, self.files.create(&path)).await
    }

    /// Closes a file; says whether it is known to be closed.
    pub(super) async fn close(&self, session: SessionId, mut open: OpenFile) -> bool {
        let path = path(session, open.number);
        let closed = self.within(&path, open.file.close()).await;
        if let Err(error) = &closed {
            tracing::info!(%error, "a file of the write-ahead log is not closed");
        }
        closed.is_ok()
    }

    /// Waits for an answer of a file that is written, and no longer than is good for those who wait.
    pub(super) async fn within<T>(
        &self,
        path: &str,
        request: impl Future<Output = Result<T, FileError>>,
    ) -> Result<T, FileError> {
        within(self.settings.deadline_ms, path, request).await
    }
}

pub(super) async fn within<T>(
    most_ms: u64,
    path: &str,
    request: impl Future<Output = Result<T, FileError>>,
) -> Result<T, FileError> {
    let most = Duration::from_millis(most_ms);
    timeout(most, request).await.unwrap_or_else(|_| {
        let what = format!("no answer within {most:?}");
        Err(FileError::new(FileErrorKind::Unclear, path, what))
    })
}
