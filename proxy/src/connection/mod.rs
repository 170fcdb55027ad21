//! One connection: requests come in, answers go out in the same order.
//!
//! A connection is one task with two halves. The reading half takes frames, lets the [`Service`]
//! begin each one, and queues what it will come to; the writing half works the queue off. What has
//! an effect that must keep its order (an append) is handed over by the reading half; everything
//! else begins when all earlier requests have their answers, as Kafka does it, so a long poll holds
//! up what was asked behind it and nothing else.
//!
//! The queue is short: a client that asks faster than it takes answers is slowed by TCP. When the
//! client is gone the task ends, and with it every wait. When the proxy stops, no further request is
//! begun, and those that were are answered.

mod deadline;
mod frame;
mod queue;
mod reply;
mod writer;

use std::{
    future::Future,
    net::SocketAddr,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::sleep,
};
use weir_runtime::Stop;

pub(crate) use frame::{Frame, FrameMemory};
pub(crate) use reply::{PendingReply, Reply, Response};

use crate::{
    budget::ByteBudget,
    connection::{frame::FrameReader, queue::Queue, writer::AnswerWriter},
    listener::Endpoint,
    metrics::Metrics,
    settings::Settings,
};

/// Who is at the other end.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    /// The client's address.
    pub(crate) address: SocketAddr,
    /// Where it came in.
    pub(crate) endpoint: Arc<Endpoint>,
}

/// Answers requests.
pub(crate) trait Service: Send + Sync + 'static {
    /// What it remembers of a connection from one request to the next.
    type Conversation: Default + Send + Sync + 'static;

    /// Begins one request; called in the order of arrival. Waits only to slow the client down.
    fn begin(
        &self,
        peer: &Peer,
        conversation: &Arc<Self::Conversation>,
        frame: Frame,
    ) -> impl Future<Output = PendingReply> + Send;
}

/// What all connections share.
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) frame_memory: FrameMemory,
    pub(crate) response_memory: ByteBudget,
    pub(crate) metrics: Metrics,
}

impl Shared {
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            frame_memory: FrameMemory::new(&settings),
            response_memory: ByteBudget::new(settings.response_memory_bytes),
            metrics: Metrics::default(),
            settings,
        }
    }

    /// Whether somebody waits for memory that a client may hold who takes no answers.
    fn is_contended(&self) -> bool {
        self.response_memory.is_contended() || self.frame_memory.is_contended()
    }
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum End {
    /// The proxy stops; everything that was begun has been answered.
    #[error("the proxy is stopping")]
    Drained,
    /// The proxy stops, and answers were not ready in time.
    #[error("the proxy is stopping and did not wait for the last answers")]
    DrainTimedOut,
    #[error(transparent)]
    Reading(#[from] frame::Error),
    #[error(transparent)]
    Writing(#[from] writer::Error),
}

impl End {
    /// Whether the client did what it may do.
    pub(crate) fn is_orderly(&self) -> bool {
        use frame::Error::{Closed, Idle};
        matches!(self, End::Drained | End::Reading(Closed | Idle(_)))
    }
}

/// Serves one connection until it ends.
pub(crate) async fn serve<S: Service>(
    read: impl AsyncRead + Unpin,
    write: impl AsyncWrite + Unpin,
    peer: Peer,
    service: &S,
    shared: &Shared,
    stop: Stop,
) -> End {
    let Shared { settings, frame_memory, metrics, .. } = shared;
    let conversation = Arc::default();
    let unanswered = AtomicUsize::new(0);
    let queue = Queue::new(settings.pipeline_requests_max);
    let mut frames = FrameReader::new(read, frame_memory, settings, &unanswered);
    let mut writer = AnswerWriter::new(write, shared, &unanswered);

    let reading = async {
        let mut stopping = pin!(stop.requested());
        loop {
            let frame = tokio::select! {
                biased;
                () = &mut stopping => return End::Drained,
                frame = frames.next() => match frame {
                    Ok(frame) => frame,
                    Err(error) => return error.into(),
                },
            };
            metrics.bytes_in.inc_by(frame.bytes.len() as u64 + 4);
            unanswered.fetch_add(1, Ordering::Relaxed);
            queue.push(service.begin(&peer, &conversation, frame).await).await;
        }
    };
    let mut writing = pin!(writer.run(&queue));
    let mut too_late = pin!(async {
        stop.requested().await;
        sleep(settings.drain).await;
    });
    let end = {
        let mut reading = pin!(reading);
        tokio::select! {
            biased;
            // The reading half first: see `queue`.
            end = &mut reading => end,
            written = &mut writing => return written.map_or_else(End::from, |()| End::Drained),
            // The reading half may be held up by a broker that takes nothing.
            () = &mut too_late => return End::DrainTimedOut,
        }
    };
    if !matches!(end, End::Drained) {
        return end;
    }
    queue.end();
    tokio::select! {
        biased;
        written = writing => written.map_or_else(End::from, |()| End::Drained),
        () = too_late => End::DrainTimedOut,
    }
}

#[cfg(test)]
mod tests;
