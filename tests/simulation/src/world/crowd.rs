//! The clients of a run: producers, consumers, members of groups, bookkeepers, askers.

use std::sync::Arc;

use tokio::{
    sync::oneshot,
    time::{Instant, timeout},
};
use weir_history::{Delivery, End, History, Partition, Writer};

use super::{Failure, HEALS_WITHIN, World};
use crate::{
    chance::Chance,
    client::{self, Ends, Kind, Membership, Pace, Phase, Shared},
};

/// All of them, at work.
pub(super) struct Crowd {
    /// Which partition each writes to, and how; it gives how many values it has handed over.
    producers: Vec<(i32, Kind, oneshot::Receiver<u32>)>,
    consumers: Vec<oneshot::Receiver<()>>,
    members: Vec<oneshot::Receiver<()>>,
    bookkeepers: Vec<oneshot::Receiver<()>>,
    askers: Vec<oneshot::Receiver<()>>,
    deleters: Vec<oneshot::Receiver<()>>,
}

/// Groups with members.
const GROUPS: [&str; 2] = ["group-a", "group-b"];
/// The group of the bookkeepers.
const BOOKS: &str = "group-c";
/// How many partitions the bookkeepers keep a count of.
const BOOKS_PARTITIONS: usize = 4;

/// A task whose result is waited for; panics show elsewhere.
fn begin<T: Send + 'static>(
    task: impl Future<Output = T> + Send + 'static,
) -> oneshot::Receiver<T> {
    let (done, result) = oneshot::channel();
    crate::free(async move {
        let _ = done.send(task.await);
    });
    result
}

fn stuck<E>(what: impl Into<String>) -> impl FnOnce(E) -> Failure {
    move |_| Failure::Stuck(what.into())
}

impl Crowd {
    /// Sets them to work.
    pub(super) fn begin(world: &World, shared: &Shared) -> Self {
        let producer = |(writer, (partition, kind))| {
            let work = client::produce(Arc::clone(shared), writer, partition, kind, world.pace);
            (partition, kind, begin(work))
        };
        let consumer = |partitions| begin(client::consume(Arc::clone(shared), partitions));
        let member = |membership| begin(client::member(Arc::clone(shared), membership));
        Self {
            producers: (0..).zip(kinds(world, shared)).map(producer).collect(),
            consumers: consumed(world, shared).into_iter().map(consumer).collect(),
            members: members(world).into_iter().map(member).collect(),
            bookkeepers: bookkeepers(world, shared),
            deleters: deleters(world, shared),
            askers: (0..2).map(|_| begin(client::ask(Arc::clone(shared)))).collect(),
        }
    }

    /// Lets them come to an end, now that everything is healthy. What they have seen.
    pub(super) async fn finish(self, world: &World, shared: &Shared) -> Result<History, Failure> {
        shared.phase.send_replace(Phase::Finishing);
        world.trace.line(format_args!("clients finish"));
        let healthy_by = Instant::now() + HEALS_WITHIN;
        let within = || healthy_by.saturating_duration_since(Instant::now());
        let mut writers = Vec::new();
        for (number, (partition, kind, producer)) in self.producers.into_iter().enumerate() {
            let unfinished = format!("producer {number} of partition {partition} is not done");
            let done = timeout(within(), producer).await.map_err(stuck(unfinished.clone()))?;
            let sent = done.map_err(stuck(unfinished))?;
            writers.push(Writer { delivery: kind.delivery(), sent });
        }
        for other in
            self.members.into_iter().chain(self.bookkeepers).chain(self.askers).chain(self.deleters)
        {
            let done = timeout(within(), other).await;
            // One that panicked shows elsewhere.
            let _ =
                done.map_err(stuck("a member of a group, a bookkeeper or an asker is not done"))?;
        }
        shared.phase.send_replace(Phase::Reading);
        let groups = [&GROUPS[..], &[BOOKS]].concat();
        let reading = timeout(within(), client::read_ends(shared, &groups));
        let ends = reading.await.map_err(stuck("the end can't be read"))?;
        for consumer in self.consumers {
            let done = timeout(within(), consumer).await;
            let _ = done.map_err(stuck("a consumer does not reach the end"))?;
        }
        Ok(history(shared, writers, ends))
    }
}

/// Which partition each producer writes to, and how.
fn kinds(world: &World, shared: &Shared) -> Vec<(i32, Kind)> {
    let chance = Chance::new(world.seed, "producers");
    let partitions = shared.topics.partitions();
    let mut kinds: Vec<(i32, Kind)> = (0..partitions)
        .map(|partition| {
            let kind = if chance.percent(70) { Kind::Idempotent } else { Kind::Plain };
            (partition, kind)
        })
        .collect();
    for _ in 0..2 {
        kinds.push((chance.below(partitions as u64) as i32, Kind::Idempotent));
    }
    kinds
}

/// Which partitions each consumer reads.
fn consumed(world: &World, shared: &Shared) -> Vec<Vec<i32>> {
    let chance = Chance::new(world.seed, "consumers");
    let all: Vec<i32> = (0..shared.topics.partitions()).collect();
    let some: Vec<i32> = all.iter().copied().filter(|_| chance.percent(50)).collect();
    let mut consumed = vec![all];
    if !some.is_empty() {
        consumed.push(some);
    }
    consumed
}

/// A quiet cluster has none: they commit all the time.
fn members(world: &World) -> Vec<Membership> {
    if world.pace == Pace::Spells {
        return Vec::new();
    }
    let chance = Chance::new(world.seed, "groups");
    let mut members = Vec::new();
    for (number, group) in (0..).zip(GROUPS) {
        for _ in 0..chance.within(1..=3) {
            members.push(Membership { group: group.to_owned(), number });
        }
    }
    members
}

/// One a partition, and a quiet cluster has none, as above.
fn bookkeepers(world: &World, shared: &Shared) -> Vec<oneshot::Receiver<()>> {
    if world.pace == Pace::Spells {
        return Vec::new();
    }
    let number = GROUPS.len() as u16;
    let all: Vec<i32> = (0..shared.topics.partitions()).take(BOOKS_PARTITIONS).collect();
    let bookkeeper = |partition: &i32| {
        let membership = Membership { group: BOOKS.to_owned(), number };
        begin(client::keep_books(Arc::clone(shared), membership, *partition, all.clone()))
    };
    all.iter().map(bookkeeper).collect()
}

impl Kind {
    fn delivery(self) -> Delivery {
        match self {
            Self::Idempotent => Delivery::ExactlyOnce,
            Self::Plain => Delivery::OnceEachSent,
        }
    }
}

/// In every other run, and of every other partition.
fn deleters(world: &World, shared: &Shared) -> Vec<oneshot::Receiver<()>> {
    let chance = Chance::new(world.seed, "deleters");
    let some = (0..shared.topics.partitions()).filter(|_| chance.percent(50));
    let some: Vec<i32> = some.collect();
    if some.is_empty() || chance.percent(50) {
        return Vec::new();
    }
    vec![begin(client::delete(Arc::clone(shared), some))]
}

fn history(shared: &Shared, writers: Vec<Writer>, ends: Ends) -> History {
    let Ends { starts, ends, read, offsets } = ends;
    let partition = |(number, (start, end)): (i32, (&i64, &i64))| {
        let (topic, _) = shared.topics.of(number);
        let retention = shared.topics.retention_bytes(topic).is_some();
        Partition { retention, ..Partition::new(*start, *end) }
    };
    let partitions = (0..).zip(starts.iter().zip(&ends)).map(partition);
    let offsets = offsets.into_iter().map(|(group, place)| (weir_history::Group(group), place));
    let end = End {
        partitions: partitions.collect(),
        read,
        offsets: offsets.collect(),
        ..End::default()
    };
    History { writers, end: Some(end), ends_bind_all: true, ..shared.recorder.history() }
}
