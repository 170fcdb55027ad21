//! A run: a cluster is set up, clients work while faults happen, everything heals, the end is read, and
//! the history is judged.

mod crowd;
#[cfg(test)]
mod failover;
mod faults;
mod fleet;
mod outcome;
mod owners;
mod panics;
#[cfg(test)]
mod storm;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, sleep, sleep_until, timeout};
use weir_broker::fsck::{Depth, Fsck, Report};
use weir_history::{Event, History, Recorder};
use weir_ids::NodeId;
use weir_meta::{Metadata, store::Memory};
use weir_runtime::watch;
use weir_segment_store::{
    journal::append::memory::MemoryFiles,
    testing::{Fate, FaultyObjects, Request},
};

use crate::{
    chance::Chance,
    client::{self, Clients, Pace, Phase, Shared, Topics},
    clock::NodeClock,
    net::Net,
    node::{Node, Roles},
    stores::Mishaps,
    trace::Trace,
};
use crowd::Crowd;
use fleet::Fleet;
pub use outcome::{Failure, Outcome};

/// How long clients work on after the last fault.
const HEALTHY: Duration = Duration::from_secs(5);
/// When the first fault happens, after the topics are there.
const FAULTS_AFTER: Duration = Duration::from_secs(2);
/// How long anything may take that must come to an end once everything is healthy.
const HEALS_WITHIN: Duration = Duration::from_secs(120);
/// Within which nothing is left in the store then that nobody needs: a checkpoint names what was replaced for five minutes.
const SWEPT_WITHIN: Duration = Duration::from_secs(600);
/// What to run.
#[derive(Clone, Debug)]
pub struct Options {
    /// How long clients work at least, faults included.
    pub working: Duration,
    /// Where the trace is written, if anywhere.
    pub trace: Option<PathBuf>,
    /// Without any faults.
    pub calm: bool,
    /// Write-ahead logs are in files that are appended to, as in HDFS, and not made of objects.
    pub files: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { working: Duration::from_secs(60), trace: None, calm: false, files: false }
    }
}

/// Everything there is.
pub(crate) struct World {
    seed: u64,
    trace: Trace,
    net: Net,
    fleet: Fleet,
    metadata: Memory,
    pace: Pace,
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

async fn story(seed: u64, options: &Options, trace: Trace) -> Outcome {
    let roles = roles(&Chance::new(seed, "cluster"));
    let pace = pace(&Chance::new(seed, "pace"));
    let world = World::new(seed, &trace, roles, pace, options.files);
    let shared = clients(&world, topics(&Chance::new(seed, "topics")));
    let mut outcome = Outcome { seed, ..Outcome::default() };
    let told = play(&world, &shared, options).await;
    outcome.ownership_changes = owners::ownership_changes(&world).await;
    outcome.lives = world.fleet.lives();
    if told.is_ok() {
        outcome.failures.extend(world.check_store().await.err());
    }
    world.end();
    let outrages = shared.outrages.lock().unwrap_or_else(PoisonError::into_inner).clone();
    outcome.failures.extend(outrages.into_iter().map(Failure::Outrage));
    outcome.failures.extend(panics::taken().into_iter().map(Failure::Panic));
    match told {
        Ok(history) => {
            outcome.acknowledged = acknowledged(&history);
            outcome.events = history.log.len() as u64;
            let verdict = history.check();
            if !verdict.is_clean() {
                outcome.failures.push(Failure::Broken(verdict.to_string()));
            }
        }
        Err(failure) => outcome.failures.push(failure),
    }
    outcome.fired = trace.counts();
    outcome.digest = trace.digest();
    outcome.judge_tameness(options.calm);
    outcome
}

impl World {
    /// Machines with these roles, all off.
    fn new(seed: u64, trace: &Trace, roles: Vec<Roles>, pace: Pace, appends: bool) -> Self {
        let net = Net::new(seed, trace.clone());
        crate::free(net.clone().run());
        let objects = FaultyObjects::new(|_: Request, _: &str| Fate::Done);
        let (files, metadata) = (MemoryFiles::new(), Memory::new());
        let began = Instant::now();
        let nodes = roles.into_iter().zip(1..).map(|(roles, id)| Node {
            id: NodeId(id),
            roles,
            seed,
            net: net.clone(),
            clock: NodeClock::new(began),
            mishaps: Mishaps::new(seed, format!("n{id}"), trace.clone()),
            objects: objects.clone(),
            files: files.clone(),
            appends,
            metadata: metadata.clone(),
        });
        let fleet = Fleet::new(&net, nodes.collect());
        Self { seed, trace: trace.clone(), net, fleet, metadata, pace }
    }

    /// Whether all is there that the metadata lead to, and as it was written; and soon nothing else.
    async fn check_store(&self) -> Result<(), Failure> {
        let mut depth = Depth::Records;
        let swept_by = Instant::now() + SWEPT_WITHIN;
        loop {
            let report = self.fsck(depth).await?;
            let told: Vec<String> = report.problems.iter().map(ToString::to_string).collect();
            if !told.is_empty() {
                return Err(Failure::Missing(told.join("\n")));
            }
            if report.unneeded.is_empty() {
                return Ok(());
            }
            if swept_by < Instant::now() {
                let names: Vec<String> = report.unneeded.iter().map(ToString::to_string).collect();
                return Err(Failure::Orphans(names.join("\n")));
            }
            depth = Depth::Objects;
            sleep(SWEPT_WITHIN / 20).await;
        }
    }

    async fn fsck(&self, depth: Depth) -> Result<Report, Failure> {
        let Some(node) = self.fleet.nodes().next() else { return Ok(Report::default()) };
        let ((store, journal), metadata) = (node.truth(), self.metadata.clone());
        let fsck = Fsck::new(Metadata::new(Arc::new(metadata)), store, journal);
        fsck.check(depth).await.map_err(|error| Failure::Missing(error.to_string()))
    }

    /// Lets everything go.
    fn end(&self) {
        self.fleet.end();
        self.net.end();
    }
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

/// Some clusters are mostly quiet: that is when what nobody notices lasts.
fn pace(chance: &Chance) -> Pace {
    if chance.percent(25) { Pace::Spells } else { Pace::Steady }
}

/// Each with its partitions.
fn topics(chance: &Chance) -> Topics {
    let mut topics = vec![("alpha".to_owned(), chance.within(2..=5) as u32)];
    topics.push(("beta".to_owned(), chance.within(2..=4) as u32));
    if chance.percent(50) {
        topics.push(("gamma".to_owned(), 1));
    }
    // Some hundred records.
    let retention_bytes = chance.percent(30).then(|| chance.within(3_000..=20_000));
    Topics::new(topics, retention_bytes)
}

fn clients(world: &World, topics: Topics) -> Shared {
    let proxies = world.fleet.nodes().filter(|node| node.roles.proxy).map(|node| node.id);
    Arc::new(Clients {
        seed: world.seed,
        net: world.net.clone(),
        clock: NodeClock::new(Instant::now()),
        recorder: Recorder::new(),
        topics,
        proxies: proxies.collect(),
        phase: watch::Sender::new(Phase::Working),
        outrages: Mutex::default(),
        ends: watch::Sender::new(None),
    })
}

/// Plays a run; gives what was seen.
async fn play(world: &World, shared: &Shared, options: &Options) -> Result<History, Failure> {
    for node in world.fleet.nodes() {
        world.fleet.start(node.id);
    }
    let created = timeout(HEALS_WITHIN, client::create(shared, u16::MAX - 1)).await;
    created.map_err(|_| Failure::Stuck("the topics are not created".to_owned()))?;
    let began = Instant::now();
    let crowd = Crowd::begin(world, shared);
    if !options.calm {
        sleep(FAULTS_AFTER).await;
        faults::make(world, began + options.working).await;
    }
    sleep_until(began + options.working).await;
    heal(world);
    sleep(HEALTHY).await;
    crowd.finish(world, shared).await
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

fn acknowledged(history: &History) -> u64 {
    let mut values: BTreeMap<_, ()> = BTreeMap::new();
    for entry in &history.log {
        if let Event::Acked(seen) = entry.event {
            values.insert(seen.value, ());
        }
    }
    values.len() as u64
}
