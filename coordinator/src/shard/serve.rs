//! A shard that serves: its loop, from the log's being read to its being lost.

use std::{future::Future, pin::Pin, sync::Arc};

use tokio::{sync::oneshot, time::Instant};
use weir_broker::client::ReadError;
use weir_ids::{Offset, TopicId, TopicPartition};
use weir_runtime::planted::{Bug, is_planted};

use super::{
    Context, Lost, REQUESTS_MAX, RETRY_FIRST, RETRY_LAST, Stopped, Task,
    compaction::Compaction,
    load::Loaded,
    request::Request,
    waiters::Waiters,
    writer::{self, AppendFailed, Appending, Flight, Queue},
};
use crate::{
    cluster::Cluster,
    group::Error,
    groups::{Groups, Now, Out},
    records::{Committed, OffsetKey},
};

/// Requests that are handled before what they bring about is sent on.
const REQUESTS_AT_ONCE: usize = 64;

/// What is known while the log is ours.
struct Serving {
    context: Context,
    partition: TopicPartition,
    groups: Groups,
    waiters: Waiters,
    queue: Queue,
    compaction: Compaction,
    /// The offset that the next record gets.
    next: Offset,
    /// What is answered from memory alone, and waits until the log is known to end where memory does.
    unconfirmed: Vec<Request>,
    in_flight: Option<InFlight>,
    trimming: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    /// Whether the log has been what is in memory at least once.
    proved: bool,
}

/// The one thing that is asked of the log at a time. That it comes to what it should proves that
/// nobody else had written when it began.
struct InFlight {
    /// So many of the unconfirmed were there before it began.
    confirms: usize,
    /// What is appended; `None`: only a look at where the log ends.
    appending: Option<Sent>,
    done: Appending,
}

struct Sent {
    flight: Flight,
    records: i64,
    bytes: usize,
}

/// What woke the loop.
enum Event {
    Stop,
    Landed(Result<(), AppendFailed>),
    Trimmed,
    Time,
    Requests,
}

impl Task {
    /// Serves until the log is lost (then it is loaded again) or the shard is asked to end.
    pub(super) async fn serve(
        &mut self,
        loaded: Loaded,
        parked: Vec<Request>,
    ) -> Result<Lost, Stopped> {
        let mut serving = Serving::new(self.context.clone(), self.partition, loaded);
        let mut requests = parked;
        let mut ending: Option<Instant> = None;
        loop {
            requests.drain(..).for_each(|request| serving.handle(request));
            if let Err(failed) = serving.ask_log(ending.is_none()) {
                return Ok(serving.lost(&failed));
            }
            if ending.is_some() && serving.in_flight.is_none() {
                serving.refuse_all();
                return Err(Stopped);
            }
            let deadline = ending.or_else(|| serving.groups.next_deadline());
            let takes = ending.is_none() && serving.has_room();
            let event = tokio::select! {
                biased;
                () = self.stop.requested(), if ending.is_none() => Event::Stop,
                result = finished(&mut serving.in_flight) => Event::Landed(result),
                () = trimmed(&mut serving.trimming) => Event::Trimmed,
                () = until(deadline) => Event::Time,
                count = self.inbox.recv_many(&mut requests, REQUESTS_AT_ONCE), if takes => {
                    // Nobody can ask any more: all handles are gone.
                    if count == 0 { Event::Stop } else { Event::Requests }
                }
            };
            match event {
                Event::Stop => ending = Some(Instant::now() + self.context.settings.append_timeout),
                Event::Landed(Ok(())) => serving.landed(),
                Event::Landed(Err(failed)) => return Ok(serving.lost(&failed)),
                Event::Trimmed => serving.trimming_done(),
                Event::Time if ending.is_some() => {
                    serving.refuse_all();
                    return Err(Stopped);
                }
                Event::Time => serving.tick(),
                Event::Requests => {}
            }
        }
    }
}

/// Answers; whoever asked may be gone.
fn send<T>(to: oneshot::Sender<T>, answer: T) {
    let _ = to.send(answer);
}

/// What was asked of the log comes to; never, if nothing was.
async fn finished(in_flight: &mut Option<InFlight>) -> Result<(), AppendFailed> {
    match in_flight {
        Some(in_flight) => (&mut in_flight.done).await,
        None => std::future::pending().await,
    }
}

async fn trimmed(trimming: &mut Option<Pin<Box<dyn Future<Output = ()> + Send>>>) {
    match trimming {
        Some(trimming) => trimming.await,
        None => std::future::pending().await,
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

impl Serving {
    fn new(context: Context, partition: TopicPartition, loaded: Loaded) -> Self {
        let now = Now { instant: Instant::now(), wall: context.runtime.now() };
        let groups = Groups::restore(now, Arc::clone(&context.settings), loaded.image);
        Self {
            context,
            partition,
            groups,
            waiters: Waiters::default(),
            queue: Queue::default(),
            compaction: Compaction::new(loaded.bytes, !loaded.has_unknown),
            next: loaded.next,
            unconfirmed: Vec::new(),
            in_flight: None,
            trimming: None,
            proved: false,
        }
    }

    fn now(&self) -> Now {
        Now { instant: Instant::now(), wall: self.context.runtime.now() }
    }

    fn handle(&mut self, request: Request) {
        let now = self.now();
        let mut out = Out::default();
        match request {
            Request::Load => {}
            Request::Join(group, join, answer) => {
                let token = self.waiters.join(answer);
                self.groups.join(now, group, crate::group::Join { token, ..join }, &mut out);
            }
            Request::Sync(group, sync, answer) => {
                let token = self.waiters.sync(answer);
                let sync = crate::group::Sync { token, ..sync };
                self.groups.sync(now, &group, sync, &mut out);
            }
            Request::Heartbeat(group, from, answer) => {
                send(answer, self.groups.heartbeat(now, &group, &from));
            }
            Request::Leave(group, leaving, answer) => {
                let token = self.waiters.leave(answer);
                self.groups.leave(now, &group, token, &leaving, &mut out);
            }
            Request::Commit(group, from, offsets, answer) => {
                let token = self.waiters.done(answer);
                self.groups.commit(now, &group, &from, offsets, token, &mut out);
            }
            Request::Delete(group, answer) => {
                let token = self.waiters.done(answer);
                self.groups.delete(&group, token, &mut out);
            }
            _ if is_planted(Bug::OffsetsWithoutLook) => self.answer(request),
            // Memory may have been overtaken by a coordinator elsewhere.
            Request::Fetch(..)
            | Request::FetchAll(..)
            | Request::Describe(..)
            | Request::List(..) => self.unconfirmed.push(request),
        }
        self.take(out);
    }

    /// Answers from memory, which has been proved to be the log's.
    fn answer(&self, request: Request) {
        match request {
            Request::Fetch(group, keys, answer) => {
                send(answer, Ok(self.groups.fetch(&group, &keys)));
            }
            Request::FetchAll(group, answer) => {
                send(answer, Ok(self.groups.fetch_all(&group)));
            }
            Request::Describe(groups, answer) => {
                let describe = |group| self.groups.describe(group);
                send(answer, Ok(groups.iter().map(describe).collect()));
            }
            Request::List(answer) => drop(answer.send(Ok(self.groups.list()))),
            other => other.refuse(Error::NotCoordinator),
        }
    }

    fn has_room(&self) -> bool {
        !self.queue.is_full() && self.unconfirmed.len() < REQUESTS_MAX
    }

    fn tick(&mut self) {
        let (now, mut out) = (self.now(), Out::default());
        let cluster = &self.context.cluster;
        let is_gone = |key: &OffsetKey, committed: &Committed| match committed.topic_id {
            TopicId::NIL => cluster.topic_by_name(&key.topic).is_none(),
            id => cluster.topic_by_id(id).is_none(),
        };
        self.groups.tick(now, &is_gone, &mut out);
        self.take(out);
    }

    fn take(&mut self, out: Out) {
        out.replies.into_iter().for_each(|reply| self.waiters.reply(reply));
        out.writes.into_iter().for_each(|write| self.queue.push(write));
    }

    /// Sends off what waits to be written; if there is nothing, and somebody waits to know, looks
    /// where the log ends. One thing at a time.
    fn ask_log(&mut self, may_compact: bool) -> Result<(), AppendFailed> {
        if self.in_flight.is_some() {
            return Ok(());
        }
        let mut piece = Vec::new();
        if may_compact {
            piece = self.compaction.piece(self.groups.image(), self.next);
            self.trim();
        }
        let flight = self.queue.take(piece, self.context.settings.batch_max_bytes);
        let (cluster, settings) =
            (Arc::clone(&self.context.cluster), Arc::clone(&self.context.settings));
        let (partition, next, confirms) = (self.partition, self.next, self.unconfirmed.len());
        if flight.is_empty() {
            if confirms > 0 {
                let done = Box::pin(writer::look(cluster, settings, partition, next));
                self.in_flight = Some(InFlight { confirms, appending: None, done });
            }
            return Ok(());
        }
        let batch = flight.batch(self.context.runtime.now());
        let (batch, records) = batch.map_err(AppendFailed::Encode)?;
        let appending = Some(Sent { flight, records, bytes: batch.len() });
        let done = Box::pin(writer::append(cluster, settings, partition, batch, next));
        self.in_flight = Some(InFlight { confirms, appending, done });
        Ok(())
    }

    /// The log is what it was believed to be, and what was in flight is durable.
    fn landed(&mut self) {
        let Some(InFlight { confirms, appending, .. }) = self.in_flight.take() else { return };
        self.proved = true;
        if let Some(Sent { flight, records, bytes }) = appending {
            self.next = self.next.plus(records);
            self.compaction.appended(bytes);
            let mut out = Out::default();
            self.groups.durable(self.now(), flight.changes, flight.then, &mut out);
            self.take(out);
        }
        let confirmed: Vec<Request> = self.unconfirmed.drain(..confirms).collect();
        confirmed.into_iter().for_each(|request| self.answer(request));
    }

    /// The log is not what is in memory: everybody is sent away, and it is read again.
    fn lost(mut self, failed: &AppendFailed) -> Lost {
        let partition = self.partition;
        tracing::warn!(%partition, error = %failed, "a shard has lost its log; loading it again");
        self.refuse_all();
        if self.proved { Lost::AfterAll } else { Lost::FromTheStart }
    }

    fn refuse_all(&mut self) {
        self.waiters.refuse_all(Error::NotCoordinator);
        self.unconfirmed.drain(..).for_each(|request| request.refuse(Error::NotCoordinator));
    }

    fn trim(&mut self) {
        if self.trimming.is_some() {
            return;
        }
        let Some(start) = self.compaction.trim() else { return };
        let (cluster, partition) = (Arc::clone(&self.context.cluster), self.partition);
        self.trimming = Some(Box::pin(trim(cluster, partition, start)));
    }

    fn trimming_done(&mut self) {
        self.trimming = None;
        self.compaction.trimmed();
    }
}

/// Moves the log start, however often it takes.
async fn trim(cluster: Arc<dyn Cluster>, partition: TopicPartition, start: Offset) {
    let mut pause = RETRY_FIRST;
    let mut warned = false;
    loop {
        let moved = match cluster.owner(partition) {
            Some(owner) => owner.delete_records(partition, Some(start)).await,
            None => Err(ReadError::NotOwner(partition)),
        };
        match moved {
            Ok(_) => return,
            Err(error) if pause == RETRY_LAST && !warned => {
                warned = true;
                tracing::warn!(%partition, %start, %error, "can't move a shard's log start yet");
            }
            Err(_) => {}
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(RETRY_LAST);
    }
}
