//! Reading frames: a size of four bytes and so many bytes of request.
//!
//! - The size is checked before anything else happens; a lie costs the liar the connection.
//! - Memory is reserved before it is filled: a small part of the frame at once, the rest when that
//!   part has really arrived, so that a client which only claims to send 100 MiB holds 256 KiB.
//! - A frame has its own buffer of exactly its size, filled by the socket and never copied again:
//!   the records of a produce request are slices of it until they are written to the store. Only
//!   what came along with the size, up to 1 KiB, is copied into it: that costs a tenth of the two
//!   system calls that it saves, which for most requests are two of three.
//! - A frame that has begun must go on arriving at a least speed, an idle connection is closed
//!   after a while, and neither costs a timer as long as the bytes are there.

use std::{
    io,
    mem::MaybeUninit,
    pin::Pin,
    sync::atomic::{AtomicUsize, Ordering},
    task::{Poll, ready},
    time::Duration,
};

use bytes::{BufMut, Bytes};
use tokio::{
    io::{AsyncRead, AsyncReadExt, ReadBuf},
    time::Instant,
};

use super::deadline::Deadline;
use crate::{
    budget::{ByteBudget, Reservation},
    settings::Settings,
};

/// How much of a frame is given memory before any of it has arrived.
const FIRST_PART_BYTES: usize = 256 * 1024;
/// How much is read at once where a frame may begin.
const AHEAD_BYTES: usize = 1024;
/// How much room for that an idle connection keeps: enough for the usual fetch or heartbeat.
const AHEAD_BYTES_KEPT: usize = 128;
/// The size in front of a frame.
const SIZE_BYTES: usize = 4;
/// The shortest frame that can be a request: key, version, correlation id.
const REQUEST_MIN_BYTES: usize = 8;
/// The key of the only request that may be longer than the others.
const PRODUCE: [u8; 2] = [0, 0];

/// The memory that all connections share for frames.
#[derive(Clone)]
pub(crate) struct FrameMemory {
    /// For the first parts: nobody waits here for somebody who waits for `rest`.
    first_parts: ByteBudget,
    /// For the rest of long frames.
    rest: ByteBudget,
}

impl FrameMemory {
    pub(crate) fn new(settings: &Settings) -> Self {
        let half = settings.request_memory_bytes / 2;
        Self { first_parts: ByteBudget::new(half), rest: ByteBudget::new(half) }
    }

    /// Whether a frame waits for memory.
    pub(crate) fn is_contended(&self) -> bool {
        self.first_parts.is_contended() || self.rest.is_contended()
    }

    /// Takes all of it.
    #[cfg(test)]
    pub(crate) async fn take_all(&self) -> FrameReservation {
        let (_first_part, _rest) =
            (self.first_parts.reserve(usize::MAX).await, self.rest.reserve(usize::MAX).await);
        FrameReservation { _first_part, _rest }
    }

    #[cfg(test)]
    pub(crate) fn free_bytes(&self) -> usize {
        self.first_parts.free_bytes() + self.rest.free_bytes()
    }
}

/// The memory that a frame holds.
#[derive(Debug)]
pub(crate) struct FrameReservation {
    _first_part: Reservation,
    _rest: Reservation,
}

/// One request as it came.
#[derive(Debug)]
pub(crate) struct Frame {
    /// Without the size.
    pub(crate) bytes: Bytes,
    /// To be kept as long as `bytes` or anything decoded from it.
    pub(crate) memory: FrameReservation,
}

#[cfg(test)]
impl Frame {
    /// A frame that has arrived.
    pub(crate) async fn whole(bytes: Bytes, memory: &FrameMemory) -> Self {
        let first_part = memory.first_parts.reserve(bytes.len()).await;
        let memory = FrameReservation { _first_part: first_part, _rest: Reservation::none() };
        Self { bytes, memory }
    }
}

/// Why no further frame comes from a connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The client is gone, between two frames: nothing is wrong.
    #[error("closed by the client")]
    Closed,
    #[error("closed by the client after {arrived} bytes of a frame")]
    Cut { arrived: usize },
    #[error("no request for {0:?}")]
    Idle(Duration),
    #[error("no whole request within {0:?} of connecting")]
    NoFirstRequest(Duration),
    #[error("frame size {0} is not one that a request can have")]
    Size(i32),
    #[error("frame of {size} bytes; at most {max} are taken (socket.request.max.bytes)")]
    TooLong { size: usize, max: usize },
    #[error("no memory for a frame of {size} bytes")]
    Allocation { size: usize },
    #[error("only {arrived} of {size} bytes of a frame arrived in {waited:?}")]
    Slow { arrived: usize, size: usize, waited: Duration },
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// The reading half of a connection.
pub(super) struct FrameReader<'a, R> {
    io: R,
    /// What was read and belongs to the frames to come.
    ahead: Vec<u8>,
    memory: &'a FrameMemory,
    settings: &'a Settings,
    /// Requests that have not been answered yet: a connection that has some is not idle.
    unanswered: &'a AtomicUsize,
    timer: Deadline,
    /// When the first request must be there; `None` once it was.
    first_due: Option<Instant>,
}

impl<'a, R: AsyncRead + Unpin> FrameReader<'a, R> {
    pub(super) fn new(
        io: R,
        memory: &'a FrameMemory,
        settings: &'a Settings,
        unanswered: &'a AtomicUsize,
    ) -> Self {
        let first_due = Instant::now() + settings.first_request;
        let timer = Deadline::new(first_due);
        let first_due = Some(first_due);
        Self { io, ahead: Vec::new(), memory, settings, unanswered, timer, first_due }
    }

    /// The next frame. Not to be called again after an error, nor after being dropped half-way.
    pub(super) async fn next(&mut self) -> Result<Frame, Error> {
        if self.ahead.is_empty() {
            self.begin().await?;
        }
        let mut pace = Pace::begin(self.settings, self.first_due);
        while self.ahead.len() < SIZE_BYTES {
            let arrived = self.ahead.len();
            let more = read_ahead(&mut self.io, &mut self.ahead);
            let read = self.timer.race(|| pace.due(arrived), more).await;
            pace.judge(read, arrived, SIZE_BYTES)?;
        }
        let mut size = [0; SIZE_BYTES];
        size.copy_from_slice(&self.ahead[..SIZE_BYTES]);
        let size = self.check_size(i32::from_be_bytes(size))?;
        let frame = self.body(size, &mut pace).await?;
        self.first_due = None;
        Ok(frame)
    }

    fn check_size(&self, claimed: i32) -> Result<usize, Error> {
        let size = usize::try_from(claimed).map_err(|_| Error::Size(claimed))?;
        if size < REQUEST_MIN_BYTES {
            return Err(Error::Size(claimed));
        }
        let max = self.settings.request_max_bytes;
        if size > max { Err(Error::TooLong { size, max }) } else { Ok(size) }
    }

    /// Waits for the first bytes of a frame, as long as a connection may be idle.
    async fn begin(&mut self) -> Result<(), Error> {
        loop {
            let idle = self.settings.connection_idle;
            let first_due = self.first_due;
            let due = || first_due.unwrap_or_else(|| Instant::now() + idle);
            match self.timer.race(due, read_ahead(&mut self.io, &mut self.ahead)).await {
                Some(Ok(0)) => return Err(Error::Closed),
                Some(Ok(_)) => return Ok(()),
                Some(Err(error)) => return Err(error.into()),
                None if self.first_due.is_some() => {
                    return Err(Error::NoFirstRequest(self.settings.first_request));
                }
                None if self.unanswered.load(Ordering::Relaxed) > 0 => {}
                None => return Err(Error::Idle(idle)),
            }
        }
    }

    /// The rest of a frame whose size is the first of what was read ahead.
    async fn body(&mut self, size: usize, pace: &mut Pace) -> Result<Frame, Error> {
        let memory = self.memory;
        let first_bytes = size.min(FIRST_PART_BYTES);
        let first_part = pace.pausing(memory.first_parts.reserve(first_bytes)).await;
        // Takes addresses, not memory: that comes page by page as the bytes arrive.
        let mut body = Vec::new();
        body.try_reserve_exact(size).map_err(|_| Error::Allocation { size })?;
        self.take_ahead(&mut body, size);
        self.fill(&mut body, first_bytes, size, pace).await?;
        let mut rest = Reservation::none();
        if size > first_bytes {
            let max = self.settings.control_request_max_bytes;
            if size > max && !body.starts_with(&PRODUCE) {
                return Err(Error::TooLong { size, max });
            }
            rest = pace.pausing(memory.rest.reserve(size - first_bytes)).await;
        }
        self.fill(&mut body, size, size, pace).await?;
        let memory = FrameReservation { _first_part: first_part, _rest: rest };
        Ok(Frame { bytes: Bytes::from(body), memory })
    }

    /// Moves what was read ahead of a frame of `size` bytes into its body.
    fn take_ahead(&mut self, body: &mut Vec<u8>, size: usize) {
        let end = self.ahead.len().min(SIZE_BYTES + size);
        body.extend_from_slice(&self.ahead[SIZE_BYTES..end]);
        self.ahead.drain(..end);
        if self.ahead.is_empty() {
            self.ahead.shrink_to(AHEAD_BYTES_KEPT);
        }
    }

    /// Reads a frame of `size` bytes on, `until` there are so many.
    async fn fill(
        &mut self,
        body: &mut Vec<u8>,
        until: usize,
        size: usize,
        pace: &mut Pace,
    ) -> Result<(), Error> {
        while body.len() < until {
            let arrived = body.len();
            let mut room = (&mut *body).limit(until - arrived);
            let more = self.io.read_buf(&mut room);
            let read = self.timer.race(|| pace.due(arrived), more).await;
            pace.judge(read, arrived, size)?;
        }
        Ok(())
    }
}

/// Reads what is there, and waits for it without holding memory.
async fn read_ahead(io: &mut (impl AsyncRead + Unpin), ahead: &mut Vec<u8>) -> io::Result<usize> {
    std::future::poll_fn(|cx| {
        let mut room = [const { MaybeUninit::uninit() }; AHEAD_BYTES];
        let mut room = ReadBuf::uninit(&mut room);
        ready!(Pin::new(&mut *io).poll_read(cx, &mut room))?;
        ahead.extend_from_slice(room.filled());
        Poll::Ready(Ok(room.filled().len()))
    })
    .await
}

/// How fast a frame must arrive. The clock starts when the first of it that is not there is waited for.
struct Pace {
    began: Option<Instant>,
    grace: Duration,
    bytes_per_second: usize,
    /// A first request must be there by then, however fast it arrives.
    latest: Option<Instant>,
}

impl Pace {
    fn begin(settings: &Settings, latest: Option<Instant>) -> Self {
        let bytes_per_second = settings.frame_bytes_per_second.max(1);
        Self { began: None, grace: settings.frame_grace, bytes_per_second, latest }
    }

    /// When the next bytes must be there if `arrived` have come.
    fn due(&mut self, arrived: usize) -> Instant {
        let earned = Duration::from_secs_f64(arrived as f64 / self.bytes_per_second as f64);
        let due = *self.began.get_or_insert_with(Instant::now) + self.grace + earned;
        self.latest.map_or(due, |latest| due.min(latest))
    }

    /// What a read of `size` bytes came to after `arrived` had; `None` if it was too slow.
    fn judge(
        &self,
        read: Option<io::Result<usize>>,
        arrived: usize,
        size: usize,
    ) -> Result<(), Error> {
        match read {
            Some(Ok(0)) => Err(Error::Cut { arrived }),
            Some(Ok(_)) => Ok(()),
            Some(Err(error)) => Err(error.into()),
            None => {
                let waited = self.began.map_or(Duration::ZERO, |began| began.elapsed());
                Err(Error::Slow { arrived, size, waited })
            }
        }
    }

    /// Waits for `work` without holding the wait against the client.
    async fn pausing<F: Future>(&mut self, work: F) -> F::Output {
        let mut work = std::pin::pin!(work);
        if let Poll::Ready(output) = futures::poll!(&mut work) {
            return output;
        }
        let from = Instant::now();
        let output = work.await;
        let waited = from.elapsed();
        for time in [&mut self.began, &mut self.latest].into_iter().flatten() {
            *time += waited;
        }
        output
    }
}

#[cfg(test)]
#[path = "frame_tests.rs"]
mod tests;
