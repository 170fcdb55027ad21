//! Writing answers, in the order of their requests.
//!
//! Answers that are ready together go out together, with one vectored write for all their pieces:
//! records are shared with the tail or the block cache and never gathered into a buffer. A client
//! that does not take its answers holds memory, that of the answers and that of the requests behind
//! them; when others wait for such memory, it is given less time.

use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    pin::Pin,
    sync::atomic::{AtomicUsize, Ordering},
    task::Poll,
};

use bytes::{Buf, Bytes};
use tokio::{io::AsyncWrite, time::Instant};

use super::{
    deadline::Deadline,
    queue::Queue,
    reply::{Reply, Response},
};
use crate::{budget::Reservation, connection::Shared};

/// Small answers are gathered up to this size before they are written.
const GATHERED_BYTES: usize = 64 * 1024;
/// How many pieces one system call takes; the system's own limit is 1,024.
const PIECES_A_WRITE: usize = 256;

/// For how many pieces a connection keeps room.
const PIECES_KEPT: usize = 4;

/// Why no further answer goes out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{0}")]
    Closed(String),
    #[error("the client did not take {0} bytes of its answers in time")]
    Stalled(usize),
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// The writing half of a connection.
pub(super) struct AnswerWriter<'a, W> {
    io: W,
    shared: &'a Shared,
    unanswered: &'a AtomicUsize,
    timer: Deadline,
    out: Outgoing,
}

impl<'a, W: AsyncWrite + Unpin> AnswerWriter<'a, W> {
    pub(super) fn new(io: W, shared: &'a Shared, unanswered: &'a AtomicUsize) -> Self {
        let timer = Deadline::new(Instant::now() + shared.settings.connection_idle);
        Self { io, shared, unanswered, timer, out: Outgoing::default() }
    }

    /// Writes what the requests in `queue` come to, one after the other, until the queue ends.
    pub(super) async fn run(&mut self, queue: &Queue) -> Result<(), Error> {
        let mut next = queue.pop().await;
        while let Some(mut pending) = next.take() {
            let ready = futures::poll!(&mut pending);
            match ready {
                Poll::Ready(reply) => self.take(reply).await?,
                Poll::Pending => {
                    // Nothing to gather any more: what there is should not wait for this one.
                    match self.out.bytes {
                        // It has just been polled, and wakes this task when it is worth while.
                        0 => futures::pending!(),
                        _ => self.flush().await?,
                    }
                    let reply = pending.await;
                    self.take(reply).await?;
                }
            }
            next = match queue.try_pop() {
                Some(pending) if self.out.bytes < GATHERED_BYTES => Some(pending),
                Some(pending) => {
                    self.flush().await?;
                    Some(pending)
                }
                None => {
                    self.flush().await?;
                    queue.pop().await
                }
            };
        }
        Ok(())
    }

    async fn take(&mut self, reply: Reply) -> Result<(), Error> {
        self.unanswered.fetch_sub(1, Ordering::Relaxed);
        match reply {
            Reply::Send(response) => self.out.add(response),
            Reply::Silence => {}
            Reply::Close(reason) => {
                // What was answered before goes out.
                self.flush().await?;
                return Err(Error::Closed(reason));
            }
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), Error> {
        let settings = &self.shared.settings;
        // Since when nothing is taken.
        let mut stalled = None;
        while self.out.bytes > 0 {
            let due = || {
                let now = Instant::now();
                stalled.get_or_insert(now);
                now + settings.write_stall
            };
            match self.timer.race(due, self.out.write_some(&mut self.io)).await {
                Some(written) => {
                    self.shared.metrics.bytes_out.inc_by(written? as u64);
                    stalled = None;
                }
                None if self.shared.is_contended() => return Err(Error::Stalled(self.out.bytes)),
                None if stalled
                    .is_some_and(|since| since.elapsed() >= settings.connection_idle) =>
                {
                    return Err(Error::Stalled(self.out.bytes));
                }
                None => {}
            }
        }
        Ok(())
    }
}

/// What is to be written, and the memory that it holds.
struct Outgoing {
    pieces: VecDeque<Bytes>,
    bytes: usize,
    memory: Reservation,
}

impl Default for Outgoing {
    fn default() -> Self {
        Self { pieces: VecDeque::new(), bytes: 0, memory: Reservation::none() }
    }
}

impl Outgoing {
    fn add(&mut self, response: Response) {
        self.bytes += response.parts.len();
        self.pieces.extend(response.parts);
        self.memory.absorb(response.memory);
    }

    /// One write, vectored if there are several pieces; gives back the memory of what the socket
    /// has taken.
    async fn write_some(&mut self, io: &mut (impl AsyncWrite + Unpin)) -> io::Result<usize> {
        let written = std::future::poll_fn(|cx| {
            if let ([piece], []) = self.pieces.as_slices() {
                return Pin::new(&mut *io).poll_write(cx, piece);
            }
            let mut slices = [IoSlice::new(&[]); PIECES_A_WRITE];
            let count = self.pieces.len().min(PIECES_A_WRITE);
            for (slice, piece) in slices.iter_mut().zip(&self.pieces) {
                *slice = IoSlice::new(piece);
            }
            Pin::new(&mut *io).poll_write_vectored(cx, &slices[..count])
        })
        .await?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.advance(written);
        Ok(written)
    }

    fn advance(&mut self, mut written: usize) {
        self.bytes -= written;
        while let Some(first) = self.pieces.front_mut() {
            if first.len() > written {
                first.advance(written);
                break;
            }
            written -= first.len();
            self.pieces.pop_front();
        }
        self.memory.shrink_to(self.bytes);
        if self.bytes == 0 {
            // An idle connection keeps no room for its largest answer.
            self.pieces.shrink_to(PIECES_KEPT);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::{
        FutureExt,
        future::{BoxFuture, ready},
    };
    use tokio::io::{AsyncReadExt, duplex};
    use weir_protocol::codec::Parts;

    use super::*;
    use crate::{connection::reply::PendingReply, settings::Settings};

    struct Fixture {
        shared: Shared,
        unanswered: AtomicUsize,
    }

    impl Fixture {
        fn new() -> Self {
            let shared = Shared::new(Settings::default());
            Self { shared, unanswered: AtomicUsize::new(1000) }
        }

        fn writer<W: AsyncWrite + Unpin>(&self, io: W) -> AnswerWriter<'_, W> {
            AnswerWriter::new(io, &self.shared, &self.unanswered)
        }
    }

    fn answer(bytes: &'static [u8]) -> PendingReply {
        ready(Reply::Send(parts([Bytes::from_static(bytes)]).into())).boxed()
    }

    fn parts(pieces: impl IntoIterator<Item = Bytes>) -> Parts {
        let mut parts = Parts::default();
        pieces.into_iter().for_each(|piece| parts.push(piece));
        parts
    }

    #[tokio::test]
    async fn answers_keep_the_order_of_requests() {
        let fixture = Fixture::new();
        let (mut client, server) = duplex(1024);
        let queue = Queue::new(8);
        let (slow, slowly) = tokio::sync::oneshot::channel::<()>();
        let late = async move {
            let _ = slowly.await;
            Reply::Send(parts([Bytes::from_static(b"two,")]).into())
        };
        queue.push(answer(b"one,")).await;
        queue.push(late.boxed()).await;
        queue.push(ready(Reply::Silence).boxed()).await;
        queue.push(answer(b"three")).await;
        queue.end();
        let mut writer = fixture.writer(server);
        let mut running = Box::pin(writer.run(&queue));
        assert!(running.as_mut().now_or_never().is_none());
        let mut early = [0; 4];
        client.read_exact(&mut early).await.unwrap();
        assert_eq!(&early, b"one,", "does not wait for the answer behind it");
        slow.send(()).unwrap();
        running.await.unwrap();
        drop(writer);
        let mut rest = String::new();
        client.read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, "two,three");
        assert_eq!(fixture.unanswered.load(Ordering::Relaxed), 996);
    }

    #[tokio::test]
    async fn many_pieces_go_out_whole_and_memory_comes_back() {
        let fixture = Fixture::new();
        let (mut client, server) = duplex(777);
        let queue = Queue::new(1);
        let pieces: Vec<Bytes> = (0..2000_u32).map(|i| Bytes::from(vec![i as u8; 37])).collect();
        let memory = fixture.shared.response_memory.try_reserve(2000 * 37).unwrap();
        let sent = pieces.concat();
        let response = Response { parts: parts(pieces), memory };
        queue.push(ready(Reply::Send(response)).boxed()).await;
        queue.end();
        let mut writer = fixture.writer(server);
        let mut read = vec![0; sent.len()];
        let (written, _) = tokio::join!(writer.run(&queue), client.read_exact(&mut read));
        written.unwrap();
        assert_eq!(read, sent);
        let Shared { response_memory, metrics, .. } = &fixture.shared;
        assert_eq!(response_memory.free_bytes(), response_memory.total_bytes());
        assert_eq!(metrics.bytes_out.get(), sent.len() as u64);
    }

    #[tokio::test]
    async fn closing_lets_earlier_answers_out() {
        let fixture = Fixture::new();
        let (mut client, server) = duplex(1024);
        let queue = Queue::new(8);
        queue.push(answer(b"kept")).await;
        queue.push(ready(Reply::Close("broken".into())).boxed()).await;
        queue.push(answer(b"lost")).await;
        let mut writer = fixture.writer(server);
        let error = writer.run(&queue).await.unwrap_err();
        assert_eq!(error.to_string(), "broken");
        drop(writer);
        let mut read = String::new();
        client.read_to_string(&mut read).await.unwrap();
        assert_eq!(read, "kept");
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_has_less_time_when_memory_is_short() {
        for (short, seconds) in [("answers", 30), ("requests", 30), ("nothing", 600)] {
            let fixture = Fixture::new();
            let Shared { response_memory, frame_memory, .. } = &fixture.shared;
            let (_client, server) = duplex(16);
            let queue = Queue::new(1);
            queue.push(answer(&[7; 100])).await;
            let all = (response_memory.reserve(usize::MAX).await, frame_memory.take_all().await);
            let mut waiting: BoxFuture<'_, ()> = match short {
                "answers" => response_memory.reserve(1).map(drop).boxed(),
                "requests" => frame_memory.take_all().map(drop).boxed(),
                _ => std::future::pending().boxed(),
            };
            assert!(waiting.as_mut().now_or_never().is_none());
            let began = Instant::now();
            let mut writer = fixture.writer(server);
            let error = writer.run(&queue).await.unwrap_err();
            assert!(matches!(error, Error::Stalled(84)), "{error}");
            assert_eq!(began.elapsed(), Duration::from_secs(seconds), "{short}");
            drop(all);
        }
    }
}
