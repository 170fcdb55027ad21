//! A shard: one partition of `__consumer_offsets`, and the task that owns its groups.
//!
//! ```text
//! idle ──first request──► loading ──log read──► serving
//!                            ▲                     │ an append failed, or its fate is unclear
//!                            └─────────────────────┘
//! ```
//! Everything is decided in [`Groups`]; the task moves requests in, answers out, records to the log
//! and back. Every append is conditional on the log's next offset, and one is in flight at a time.
//! So there is one writer: a shard that lives on elsewhere makes our next append conflict. What is
//! answered from memory alone (committed offsets, who is in a group) waits until the log has been seen to
//! end where memory does: a shard that was overtaken without noticing tells nothing old. After a failed or unclear append nothing in memory is believed: whoever waits is sent away with a
//! retriable error, and the log is read again.
//!
//! While loading, requests wait for a moment, since most logs are read in one, and are then told
//! that the coordinator is loading.

mod compaction;
mod load;
pub(crate) mod log;
mod request;
mod serve;
#[cfg(test)]
mod tests;
mod waiters;
mod writer;

use std::{sync::Arc, time::Duration};

use tokio::{sync::mpsc, time::Instant};
use weir_ids::TopicPartition;
use weir_runtime::{Runtime, Stop, Tasks};

use self::{load::Loaded, log::LogReader};
use crate::{cluster::Cluster, group::Error, settings::Settings};

pub(crate) use request::Request;

/// Requests that may wait for a shard's task.
const REQUESTS_MAX: usize = 256;

/// How long a request waits for a shard that is loading.
const LOADING_GRACE: Duration = Duration::from_secs(1);

/// Pause before a log is read again that could not be read; doubles up to the second.
const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_LAST: Duration = Duration::from_secs(2);

/// And this before one that was lost as soon as it had been read.
const UNPROVED_LAST: Duration = Duration::from_millis(500);

/// What a shard works with.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) runtime: Runtime,
    pub(crate) cluster: Arc<dyn Cluster>,
    pub(crate) reader: Arc<dyn LogReader>,
    pub(crate) settings: Arc<Settings>,
}

/// A shard, to be asked. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Shard {
    requests: mpsc::Sender<Request>,
}

impl Shard {
    /// Starts the task of `partition`. It does nothing before it is asked something.
    pub(crate) fn start(tasks: &Tasks, context: Context, partition: TopicPartition) -> Self {
        let (requests, inbox) = mpsc::channel(REQUESTS_MAX);
        tasks.spawn("coordinator-shard", |stop| Task { context, partition, inbox, stop }.run());
        Self { requests }
    }

    /// Asks. The answer comes where the request says, also if the shard is ending.
    pub(crate) async fn ask(&self, request: Request) {
        if let Err(mpsc::error::SendError(request)) = self.requests.send(request).await {
            request.refuse(Error::NotCoordinator);
        }
    }
}

/// The task of a shard.
struct Task {
    context: Context,
    partition: TopicPartition,
    inbox: mpsc::Receiver<Request>,
    stop: Stop,
}

/// A shard is asked to end.
struct Stopped;

/// How a shard's log was lost.
enum Lost {
    /// It was what it was believed to be for a while.
    AfterAll,
    /// It never was: an append of somebody else is on its way, and may be for long.
    FromTheStart,
}

impl Task {
    async fn run(mut self) {
        let _ = self.live().await;
        self.inbox.close();
        while let Some(request) = self.inbox.recv().await {
            request.refuse(Error::NotCoordinator);
        }
    }

    async fn live(&mut self) -> Result<(), Stopped> {
        let mut parked = vec![self.first_request().await?];
        let mut pause = Duration::ZERO;
        loop {
            let loaded = self.load(&mut parked, pause).await?;
            pause = match self.serve(loaded, std::mem::take(&mut parked)).await? {
                Lost::AfterAll => Duration::ZERO,
                Lost::FromTheStart => (pause * 2).clamp(RETRY_FIRST, UNPROVED_LAST),
            };
        }
    }

    async fn first_request(&mut self) -> Result<Request, Stopped> {
        tokio::select! {
            biased;
            () = self.stop.requested() => Err(Stopped),
            request = self.inbox.recv() => request.ok_or(Stopped),
        }
    }

    /// Reads the log after a pause, however often it takes. Requests are parked at first and then sent
    /// back.
    async fn load(
        &mut self,
        parked: &mut Vec<Request>,
        pause: Duration,
    ) -> Result<Loaded, Stopped> {
        let began = Instant::now();
        let (context, partition) = (self.context.clone(), self.partition);
        let loading = async {
            tokio::time::sleep(pause).await;
            load_with_retries(context, partition).await
        };
        tokio::pin!(loading);
        let grace = tokio::time::sleep_until(began + LOADING_GRACE);
        tokio::pin!(grace);
        let mut patient = true;
        loop {
            tokio::select! {
                biased;
                () = self.stop.requested() => {
                    parked.drain(..).for_each(|request| request.refuse(Error::NotCoordinator));
                    return Err(Stopped);
                }
                loaded = &mut loading => return Ok(self.report(loaded, began)),
                () = &mut grace, if patient => {
                    patient = false;
                    parked.drain(..).for_each(|request| request.refuse(Error::Loading));
                }
                request = self.inbox.recv(), if !patient || parked.len() < REQUESTS_MAX => {
                    match request {
                        None => return Err(Stopped),
                        Some(request) if patient => parked.push(request),
                        Some(request) => request.refuse(Error::Loading),
                    }
                }
            }
        }
    }

    fn report(&self, loaded: Loaded, began: Instant) -> Loaded {
        let (partition, next, bytes) = (self.partition, loaded.next, loaded.bytes);
        let (groups, took) = (loaded.image.len(), began.elapsed());
        // Most shards of a small cluster are empty: fifty lines that say so are noise.
        if groups > 0 {
            tracing::info!(%partition, %next, bytes, groups, ?took, "loaded the groups of a shard");
        } else {
            tracing::debug!(%partition, %next, ?took, "loaded a shard without groups");
        }
        loaded
    }
}

async fn load_with_retries(context: Context, partition: TopicPartition) -> Loaded {
    let mut pause = RETRY_FIRST;
    let mut said = String::new();
    loop {
        match load::load(&*context.cluster, &*context.reader, partition).await {
            Ok(loaded) => return loaded,
            Err(error) => {
                // Said once, not with every attempt.
                let says = error.to_string();
                if says != said {
                    tracing::warn!(%partition, error = says, "can't load a shard yet");
                    said = says;
                }
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(RETRY_LAST);
    }
}
