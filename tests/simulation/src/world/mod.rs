//! A run: a cluster is set up, clients work while faults happen, everything heals, the end is read, and
//! the history is judged.

mod faults;
mod fleet;
mod outcome;
mod panics;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::oneshot,
    time::{Instant, sleep, sleep_until, timeout},
};
use weir_history::{Delivery, End, Event, History, Partition, Recorder, Writer};
use weir_ids::NodeId;
use weir_meta::store::Memory;
use weir_runtime::watch;
use weir_segment_store::testing::{Fate, FaultyObjects, Request};

use crate::{
    chance::Chance,
    client::{self, Clients, Ends, Kind, Membership, Phase, Shared, Topics},
    clock::NodeClock,
    net::Net,
    node::{Node, Roles},
    stores::Mishaps,
    trace::Trace,
};
use fleet::Fleet;
pub use outcome::{Failure, Outcome};

/// How long clients work at least, faults included.
const WORKING: Duration = Duration::from_secs(60);
/// How long clients work on after the last fault.
const HEALTHY: Duration = Duration::from_secs(5);
/// When the first fault happens, after the topics are there.
const FAULTS_AFTER: Duration = Duration::from_secs(2);
/// How long anything may take that must come to an end once everything is healthy.
const HEALS_WITHIN: Duration = Duration::from_secs(120);
/// Whether the latest offset must lie behind all that anybody saw acknowledged before.
const ENDS_BIND_ALL: bool = false;

/// What to run.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Where the trace is written, if anywhere.
    pub trace: Option<PathBuf>,
    /// Without any faults.
    pub calm: bool,
}

/// Everything there is.
pub(crate) struct World {
    seed: u64,
    trace: Trace,
    net: Net,
    fleet: Fleet,
    metadata: Memory,
}

/// Runs one seed.
///
/// # Errors
/// When the trace can't be written.
pub fn run(seed: u64, options: &Options) -> anyhow::Result<Outcome> {
    panics::watch();
    let out = match &options.trace {
        None => None,
        Some(path) => {
            let file = std::io::BufWriter::new(std::fs::File::create(path)?);
            Some(Box::new(file) as Box<dyn std::io::Write + Send>)
        }
    };
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_time().start_paused(true).build()?;
    let outcome = runtime.block_on(async {
        let began = Instant::now();
        let mut outcome = story(seed, options, Trace::new(out)).await;
        outcome.simulated = began.elapsed();
        outcome
    });
    drop(runtime);
    Ok(outcome)
}

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

async fn story(seed: u64, options: &Options, trace: Trace) -> Outcome {
    let world = set_up(seed, &trace);
    crate::free(world.net.clone().run());
    let shared = clients(&world);
    let mut outcome = Outcome { seed, ..Outcome::default() };
    let told = play(&world, &shared, options, &mut outcome).await;
    outcome.ownership_changes = faults::ownership_changes(&world).await;
    outcome.lives = world.fleet.lives();
    world.fleet.end();
    world.net.end();
    let outrages = shared.outrages.lock().unwrap_or_else(PoisonError::into_inner).clone();
    outcome.failures.extend(outrages.into_iter().map(Failure::Outrage));
    outcome.failures.extend(panics::taken().into_iter().map(Failure::Panic));
    if let Some(history) = told {
        outcome.acknowledged = acknowledged(&history);
        outcome.events = history.log.len() as u64;
        let verdict = history.check();
        if !verdict.is_clean() {
            outcome.failures.push(Failure::Broken(verdict.to_string()));
        }
    }
    outcome.fired = trace.counts();
    outcome.digest = trace.digest();
    outcome.judge_tameness(options.calm);
    outcome
}

fn set_up(seed: u64, trace: &Trace) -> World {
    let chance = Chance::new(seed, "cluster");
    let net = Net::new(seed, trace.clone());
    let objects = FaultyObjects::new(|_: Request, _: &str| Fate::Done);
    let metadata = Memory::new();
    let began = Instant::now();
    let nodes = roles(&chance).into_iter().zip(1..).map(|(roles, id)| Node {
        id: NodeId(id),
        roles,
        seed,
        net: net.clone(),
        clock: NodeClock::new(began),
        mishaps: Mishaps::new(seed, format!("n{id}"), trace.clone()),
        objects: objects.clone(),
        metadata: metadata.clone(),
    });
    let fleet = Fleet::new(&net, nodes.collect());
    World { seed, trace: trace.clone(), net, fleet, metadata }
}

/// The roles of each node: three brokers, two of everything else, together in one process or apart.
fn roles(chance: &Chance) -> Vec<Roles> {
    let broker = Roles { broker: true, ..Roles::default() };
    let proxy = Roles { proxy: true, ..Roles::default() };
    let inner = Roles { coordinator: true, controller: true, ..Roles::default() };
    match chance.below(4) {
        0 => vec![Roles { broker: true, coordinator: true, controller: true, proxy: true }; 3],
        1 => {
            let both = Roles { broker: true, coordinator: true, controller: true, proxy: false };
            vec![both, both, both, proxy, proxy]
        }
        2 => {
            let edge = Roles { proxy: true, ..inner };
            vec![broker, broker, broker, edge, edge]
        }
        _ => vec![broker, broker, broker, proxy, proxy, inner, inner],
    }
}

fn clients(world: &World) -> Shared {
    let chance = Chance::new(world.seed, "topics");
    let mut topics = vec![("alpha".to_owned(), chance.within(2..=5) as u32)];
    topics.push(("beta".to_owned(), chance.within(2..=4) as u32));
    if chance.percent(50) {
        topics.push(("gamma".to_owned(), 1));
    }
    let proxies = world.fleet.nodes().filter(|node| node.roles.proxy).map(|node| node.id);
    Arc::new(Clients {
        seed: world.seed,
        net: world.net.clone(),
        clock: NodeClock::new(Instant::now()),
        recorder: Recorder::new(),
        topics: Topics::new(topics),
        proxies: proxies.collect(),
        phase: watch::Sender::new(Phase::Working),
        outrages: Mutex::default(),
        ends: watch::Sender::new(None),
    })
}

/// Plays a run; gives what was seen, unless it got stuck.
async fn play(
    world: &World,
    shared: &Shared,
    options: &Options,
    outcome: &mut Outcome,
) -> Option<History> {
    for node in world.fleet.nodes() {
        world.fleet.start(node.id);
    }
    let mut stuck = |what: &str| outcome.failures.push(Failure::Stuck(what.to_owned()));
    if timeout(HEALS_WITHIN, client::create(shared, u16::MAX - 1)).await.is_err() {
        stuck("the topics are not created");
        return None;
    }
    let began = Instant::now();
    let kinds = kinds(world, shared);
    let producers: Vec<_> = (0..)
        .zip(&kinds)
        .map(|(writer, (partition, kind))| {
            begin(client::produce(Arc::clone(shared), writer, *partition, *kind))
        })
        .collect();
    let consumers: Vec<_> = consumed(world, shared)
        .into_iter()
        .map(|partitions| begin(client::consume(Arc::clone(shared), partitions)))
        .collect();
    let groups = vec!["group-a".to_owned(), "group-b".to_owned()];
    let members: Vec<_> = members(world, &groups)
        .into_iter()
        .map(|membership| begin(client::member(Arc::clone(shared), membership)))
        .collect();
    let askers: Vec<_> = (0..2).map(|_| begin(client::ask(Arc::clone(shared)))).collect();
    if !options.calm {
        sleep(FAULTS_AFTER).await;
        faults::make(world, began + WORKING).await;
    }
    sleep_until(began + WORKING).await;
    heal(world);
    sleep(HEALTHY).await;
    shared.phase.send_replace(Phase::Finishing);
    world.trace.line(format_args!("clients finish"));
    let healthy_by = Instant::now() + HEALS_WITHIN;
    let within = || healthy_by.saturating_duration_since(Instant::now());
    let mut writers = Vec::new();
    for (number, ((partition, kind), producer)) in kinds.iter().zip(producers).enumerate() {
        match timeout(within(), producer).await {
            Ok(Ok(sent)) => writers.push(Writer { delivery: kind.delivery(), sent }),
            _ => {
                stuck(&format!("producer {number} of partition {partition} is not done"));
                return None;
            }
        }
    }
    for others in members.into_iter().chain(askers) {
        if timeout(within(), others).await.is_err() {
            stuck("a member of a group, or an asker, is not done");
            return None;
        }
    }
    shared.phase.send_replace(Phase::Reading);
    let Ok(ends) = timeout(within(), client::read_ends(shared, &groups)).await else {
        stuck("the end can't be read");
        return None;
    };
    for consumer in consumers {
        if timeout(within(), consumer).await.is_err() {
            stuck("a consumer does not reach the end");
            return None;
        }
    }
    Some(history(shared, writers, ends))
}

/// Ends all faults.
fn heal(world: &World) {
    world.trace.line(format_args!("everything heals"));
    world.net.heal();
    for node in world.fleet.nodes() {
        node.mishaps.set_objects(crate::stores::Mood::Calm);
        node.mishaps.set_metadata(crate::stores::Mood::Calm);
    }
    world.fleet.heal();
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

fn members(world: &World, groups: &[String]) -> Vec<Membership> {
    let chance = Chance::new(world.seed, "groups");
    let mut members = Vec::new();
    for (number, group) in (0..).zip(groups) {
        for _ in 0..chance.within(1..=3) {
            members.push(Membership { group: group.clone(), number });
        }
    }
    members
}

impl Kind {
    fn delivery(self) -> Delivery {
        match self {
            Self::Idempotent => Delivery::ExactlyOnce,
            Self::Plain => Delivery::OnceEachSent,
        }
    }
}

fn history(shared: &Shared, writers: Vec<Writer>, ends: Ends) -> History {
    let Ends { starts, ends, read, offsets } = ends;
    let partitions = starts.iter().zip(&ends).map(|(start, end)| Partition::new(*start, *end));
    let offsets = offsets.into_iter().map(|(group, place)| (weir_history::Group(group), place));
    let end = End {
        partitions: partitions.collect(),
        read,
        offsets: offsets.collect(),
        ..End::default()
    };
    History { writers, end: Some(end), ends_bind_all: ENDS_BIND_ALL, ..shared.recorder.history() }
}

fn acknowledged(history: &History) -> u64 {
    let mut values: BTreeMap<_, ()> = BTreeMap::new();
    for entry in &history.log {
        if let Event::Acked(seen) = entry.event {
            values.insert(seen.value, ());
        }
    }
    values.len() as u64
}
