//! The stream of appends of this process to one broker.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use futures::stream;
use tokio::sync::mpsc;
use weir_ids::NodeId;
use weir_rpc::{
    Connection, Links, MESSAGE_BYTES_MAX,
    tonic::{Status, Streaming},
};

use super::{convert, wire, wire::broker_client::BrokerClient as Client};
use crate::client::{Append, AppendError, Resolver};

/// How many hand-overs wait for the stream; then whoever appends is slowed.
const QUEUED_MAX: usize = 256;
/// How many messages are between this and the connection.
const SENDING: usize = 4;
/// About how many bytes of records a message has at most, and how many appends.
const MESSAGE_BYTES: usize = 1 << 20;
const MESSAGE_APPENDS: usize = 256;

/// An append on its way, and what its answer resolves.
pub(super) type Queued = (Append, Resolver);

/// A stream, as whoever appends sees it.
#[derive(Clone)]
pub(super) struct Stream {
    queue: mpsc::Sender<Vec<Queued>>,
    ended: Arc<AtomicBool>,
}

impl Stream {
    /// Begins one.
    pub(super) fn begin(links: &Links, node: NodeId) -> Self {
        let (queue, queued) = mpsc::channel(QUEUED_MAX);
        let ended = Arc::new(AtomicBool::new(false));
        let (running, end) = (links.clone(), Arc::clone(&ended));
        links.tasks().spawn("append stream", |stop| async move {
            let run = run(&running, node, queued, &end);
            tokio::select! {
                biased;
                () = run => {}
                () = stop.requested() => {}
            }
        });
        Self { queue, ended }
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    /// Queues appends; gives them back if the stream has ended.
    pub(super) async fn send(&self, appends: Vec<Queued>) -> Result<(), Vec<Queued>> {
        self.queue.send(appends).await.map_err(|mpsc::error::SendError(back)| back)
    }
}

/// What was sent and is not answered, by number. What is left is unclear.
#[derive(Default)]
struct Pending(Mutex<BTreeMap<u64, Resolver>>);

impl Pending {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Resolver>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Refuses what was surely not appended.
pub(super) fn refuse(appends: Vec<Queued>) {
    for (append, resolver) in appends {
        resolver.resolve(Err(AppendError::NotOwner(append.partition)));
    }
}

/// Runs a stream until its connection breaks.
async fn run(
    links: &Links,
    node: NodeId,
    mut queued: mpsc::Receiver<Vec<Queued>>,
    ended: &AtomicBool,
) {
    let pending = Pending::default();
    if let Ok(connection) = links.connect(node).await {
        tokio::select! {
            biased;
            () = connection.broken() => {}
            ran = carry(&connection, &mut queued, &pending) => {
                if let Err(status) = ran {
                    tracing::debug!(%node, %status, "an append stream ended");
                }
            }
        }
    }
    ended.store(true, Ordering::Relaxed);
    queued.close();
    // Their receipts say by themselves that it is unclear.
    drop(pending);
    while let Some(appends) = queued.recv().await {
        refuse(appends);
    }
}

async fn carry(
    connection: &Connection,
    queued: &mut mpsc::Receiver<Vec<Queued>>,
    pending: &Pending,
) -> Result<(), Status> {
    let (sending, sent) = mpsc::channel::<wire::Appends>(SENDING);
    let outgoing = stream::unfold(sent, |mut sent| async move {
        let appends = sent.recv().await?;
        Some((appends, sent))
    });
    let mut client = Client::new(connection.channel())
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(MESSAGE_BYTES_MAX);
    let answers = async { take(client.append(outgoing).await?.into_inner(), pending).await };
    tokio::select! {
        biased;
        ended = answers => ended,
        () = send(queued, &sending, pending) => Ok(()),
    }
}

/// Sends what is queued, a message for what waits together.
async fn send(
    queued: &mut mpsc::Receiver<Vec<Queued>>,
    sending: &mpsc::Sender<wire::Appends>,
    pending: &Pending,
) {
    let mut number = 0;
    while let Some(appends) = queued.recv().await {
        let mut message = wire::Appends::default();
        let mut bytes = 0;
        let mut next = Some(appends);
        while let Some(appends) = next {
            let mut pending = pending.lock();
            for (append, resolver) in appends {
                number += 1;
                bytes += append.records.len();
                pending.insert(number, resolver);
                message.appends.push(wire::Append::new(number, append));
            }
            drop(pending);
            let full = bytes >= MESSAGE_BYTES || message.appends.len() >= MESSAGE_APPENDS;
            next = if full { None } else { queued.try_recv().ok() };
        }
        if sending.send(message).await.is_err() {
            return;
        }
    }
}

async fn take(mut answers: Streaming<wire::Answers>, pending: &Pending) -> Result<(), Status> {
    use wire::answer::Result as Told;
    while let Some(wire::Answers { answers }) = answers.message().await? {
        for wire::Answer { number, result } in answers {
            let result = match result.ok_or_else(|| convert::nonsense("no result"))? {
                Told::Appended(appended) => Ok(appended.into()),
                Told::Error(error) => Err(convert::error_of(&error)?),
            };
            let resolver = pending.lock().remove(&number);
            if let Some(resolver) = resolver {
                resolver.resolve(result);
            }
        }
    }
    Ok(())
}
