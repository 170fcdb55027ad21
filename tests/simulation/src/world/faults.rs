//! Making trouble, by the seed: one act after the other, several at once, each for a while.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use tokio::time::{Instant, sleep};
use weir_ids::NodeId;
use weir_meta::{
    model::{Assignment, Record, Topic},
    store::{Compare, MetaStore, Txn, list},
};

use super::{World, fleet::Fleet};
use crate::{chance::Chance, client::Pace, net::Place, process::Condition, stores::Mood};

/// Pause between two acts, in milliseconds.
const BETWEEN_MS: std::ops::RangeInclusive<u64> = 200..=3_000;
/// Longer than the lease of a session.
const LONG_MS: std::ops::RangeInclusive<u64> = 10_000..=20_000;
/// Longer than the controller waits for a broker that says nothing.
const ISOLATED_MS: std::ops::RangeInclusive<u64> = 18_000..=28_000;
const HOUR_MS: i64 = 3_600_000;
/// Which acts are not left to chance.
const SURE_CRASH: u64 = 5;
const SURE_ISOLATION: u64 = 7;
const SURE_MOVE: u64 = 9;
/// By which act some partition must have changed its owner.
const SURE_CHANGE: u64 = 12;

/// Makes trouble until `until`.
pub(super) async fn make(world: &World, until: Instant) {
    let chance = Chance::new(world.seed, "faults");
    let mut number = 0_u64;
    while Instant::now() < until {
        sleep(chance.millis(BETWEEN_MS)).await;
        number += 1;
        // Each act has numbers of its own.
        let act = Chance::new(world.seed, &format!("act {number}"));
        let left = until.saturating_duration_since(Instant::now());
        if number >= SURE_CHANGE && ownership_changes(world).await == 0 {
            let owner = owner(world, &act).await;
            owner.into_iter().for_each(|id| kill(world, id, &act, left));
            continue;
        }
        if number == SURE_ISOLATION && world.pace == Pace::Spells {
            // Only an owner that nobody writes to goes on believing that it is one, if nothing else happens.
            if let Some(owner) = owner(world, &act).await {
                sleep(isolate(world, owner, &act, left)).await;
            }
            continue;
        }
        let kind = match number {
            // Whatever else happens: a crash, and a move.
            SURE_CRASH => 0,
            SURE_MOVE => 99,
            _ => chance.below(100),
        };
        let victim = victim(&world.fleet, &act);
        match kind {
            0..14 => victim.into_iter().for_each(|id| kill(world, id, &act, left)),
            14..28 => victim.into_iter().for_each(|id| pause(world, id, &act, left)),
            28..42 => cut(world, &act, left),
            42..47 => slow(world, &act, left),
            47..50 => {
                let _ = victim.map(|id| isolate(world, id, &act, left));
            }
            50..64 => objects(world, &act, left),
            64..76 => metadata(world, &act, left),
            76..82 => lose_leases(world, &act),
            82..86 => clock(world, &act),
            86..89 => reset(world, &act),
            89..94 => victim.into_iter().for_each(|id| stop(world, id)),
            _ => relocate(world, &act).await,
        }
    }
}

/// Does `undo` after `time`, or when the trouble ends.
fn after(time: Duration, left: Duration, undo: impl FnOnce() + Send + 'static) {
    crate::free(async move {
        sleep(time.min(left)).await;
        undo();
    });
}

/// The nodes that may fail now: enough others are left.
fn candidates(fleet: &Fleet) -> Vec<NodeId> {
    let healthy = |id: NodeId| fleet.condition(id) == Condition::Running;
    let nodes: Vec<_> = fleet.nodes().collect();
    nodes
        .iter()
        .filter(|node| {
            let others = |role: fn(&crate::node::Roles) -> bool| {
                nodes
                    .iter()
                    .filter(|other| other.id != node.id && role(&other.roles) && healthy(other.id))
                    .count()
            };
            healthy(node.id)
                && (!node.roles.proxy || others(|roles| roles.proxy) > 0)
                && (!node.roles.broker || others(|roles| roles.broker) > 0)
        })
        .map(|node| node.id)
        .collect()
}

/// One of them.
fn victim(fleet: &Fleet, chance: &Chance) -> Option<NodeId> {
    let candidates = candidates(fleet);
    (!candidates.is_empty()).then(|| *chance.pick(&candidates))
}

/// A broker that a partition is assigned to, if one of those may fail now.
async fn owner(world: &World, chance: &Chance) -> Option<NodeId> {
    let (entries, _) = list(&world.metadata, Assignment::PREFIX).await.ok()?;
    let assignments = entries.iter().filter_map(|entry| Assignment::decode(entry).ok());
    let owners: BTreeSet<NodeId> = assignments.flat_map(|assignment| assignment.nodes).collect();
    let candidates: Vec<NodeId> =
        candidates(&world.fleet).into_iter().filter(|id| owners.contains(id)).collect();
    (!candidates.is_empty()).then(|| *chance.pick(&candidates))
}

fn kill(world: &World, id: NodeId, chance: &Chance, left: Duration) {
    let time = chance.millis(200..=15_000);
    if world.fleet.kill(id) {
        world.trace.fired("crash", format_args!("n{id} for {time:?}"));
        let fleet = world.fleet.clone();
        after(time, left, move || fleet.start(id));
    }
}

/// It is started again when it has ended.
fn stop(world: &World, id: NodeId) {
    if world.fleet.stop(id) {
        world.trace.fired("stop", format_args!("n{id}"));
    }
}

fn pause(world: &World, id: NodeId, chance: &Chance, left: Duration) {
    let long = chance.percent(40);
    let time = chance.millis(if long { LONG_MS } else { 200..=4_000 });
    let Some(process) = world.fleet.pause(id) else { return };
    let kind = if long { "pause beyond the lease" } else { "pause" };
    world.trace.fired(kind, format_args!("n{id} for {time:?}"));
    let trace = world.trace.clone();
    after(time, left, move || {
        process.resume();
        trace.line(format_args!("n{id} resumes"));
    });
}

/// A node, and something that it talks to.
fn pair(world: &World, chance: &Chance) -> (Place, Place) {
    let nodes: Vec<NodeId> = world.fleet.nodes().map(|node| node.id).collect();
    let one = *chance.pick(&nodes);
    let other = match chance.below(8) {
        0..2 => Place::Metadata,
        2..4 => Place::Objects,
        4 => Place::Clients,
        _ => {
            let others: Vec<NodeId> = nodes.into_iter().filter(|node| *node != one).collect();
            Place::Node(*chance.pick(&others))
        }
    };
    (Place::Node(one), other)
}

fn cut(world: &World, chance: &Chance, left: Duration) {
    let (one, other) = pair(world, chance);
    // Whoever does not hear of the metadata goes on as long as it may.
    let long = other == Place::Metadata && chance.percent(50);
    let time = chance.millis(if long { LONG_MS } else { 300..=15_000 });
    let (there, back) = *chance.pick(&[(true, true), (true, true), (true, false), (false, true)]);
    let kind = match (other, there && back) {
        (Place::Metadata, true) => "cut from metadata",
        (Place::Metadata, false) => "cut from metadata, one way",
        (Place::Objects, true) => "cut from objects",
        (Place::Objects, false) => "cut from objects, one way",
        (Place::Clients, _) => "cut from clients",
        (Place::Node(_), true) => "cut between nodes",
        (Place::Node(_), false) => "cut between nodes, one way",
    };
    world.trace.fired(kind, format_args!("{one} {other} {there} {back} for {time:?}"));
    let mut ways = Vec::new();
    if there {
        ways.push((one, other));
    }
    if back {
        ways.push((other, one));
    }
    ways.iter().for_each(|(from, to)| world.net.cut(*from, *to));
    let net = world.net.clone();
    after(time, left, move || ways.iter().for_each(|(from, to)| net.mend(*from, *to)));
}

/// Cuts a node off from the metadata and from the other nodes, but perhaps for a proxy, and not from the
/// objects and from clients. Perhaps it stands still at first: then it finds its fence, or what else is left
/// of its session, long after it was given up. Gives how long it lasts.
fn isolate(world: &World, id: NodeId, chance: &Chance, left: Duration) -> Duration {
    let (still, then) = (chance.millis(ISOLATED_MS), chance.millis(1_000..=9_000));
    let paused = if chance.percent(50) { world.fleet.pause(id) } else { None };
    let kind = if paused.is_some() { "isolated and paused" } else { "isolated" };
    let mut here = vec![id];
    here.extend(company(world, id, chance));
    world.trace.fired(kind, format_args!("{here:?} for {still:?} and {then:?}"));
    let others = world.fleet.nodes().map(|node| node.id).filter(|other| !here.contains(other));
    let there: Vec<Place> = others.map(Place::Node).chain([Place::Metadata]).collect();
    let ways: Vec<(Place, Place)> = here
        .iter()
        .flat_map(|here| there.iter().map(|there| (Place::Node(*here), *there)))
        .flat_map(|(here, there)| [(here, there), (there, here)])
        .collect();
    ways.iter().for_each(|(from, to)| world.net.cut(*from, *to));
    if let Some(process) = paused {
        after(still, left, move || process.resume());
    }
    let net = world.net.clone();
    let lasts = (still + then).min(left);
    after(lasts, left, move || ways.iter().for_each(|(from, to)| net.mend(*from, *to)));
    lasts
}

/// A proxy that is cut off together with a node that has none, perhaps: not if it is the only one.
fn company(world: &World, id: NodeId, chance: &Chance) -> Option<NodeId> {
    let proxies: Vec<NodeId> =
        world.fleet.nodes().filter(|node| node.roles.proxy).map(|node| node.id).collect();
    let wanted = proxies.len() > 1 && !proxies.contains(&id) && chance.percent(50);
    wanted.then(|| *chance.pick(&proxies))
}

fn slow(world: &World, chance: &Chance, left: Duration) {
    let (one, other) = pair(world, chance);
    let (time, most) = (chance.millis(500..=10_000), chance.within(20..=800));
    world.trace.fired("slow link", format_args!("{one} {other} up to {most} ms for {time:?}"));
    world.net.slow(one, other, Some(1..=most));
    world.net.slow(other, one, Some(1..=most));
    let net = world.net.clone();
    after(time, left, move || {
        net.slow(one, other, None);
        net.slow(other, one, None);
    });
}

/// One node, or all of them.
fn some(world: &World, chance: &Chance) -> Vec<NodeId> {
    let nodes: Vec<NodeId> = world.fleet.nodes().map(|node| node.id).collect();
    if chance.percent(40) { nodes } else { vec![*chance.pick(&nodes)] }
}

fn objects(world: &World, chance: &Chance, left: Duration) {
    let time = chance.millis(1_000..=15_000);
    let mood = if chance.percent(30) { Mood::Storm } else { Mood::Uneasy };
    let nodes = some(world, chance);
    let kind = if mood == Mood::Storm { "objects: storm" } else { "objects: uneasy" };
    world.trace.fired(kind, format_args!("{nodes:?} for {time:?}"));
    let all: Vec<_> = nodes.iter().map(|id| world.fleet.node(*id).mishaps.clone()).collect();
    all.iter().for_each(|mishaps| mishaps.set_objects(mood));
    after(time, left, move || all.iter().for_each(|mishaps| mishaps.set_objects(Mood::Calm)));
}

fn metadata(world: &World, chance: &Chance, left: Duration) {
    let time = chance.millis(1_000..=15_000);
    let mood = if chance.percent(30) { Mood::Storm } else { Mood::Uneasy };
    let nodes = some(world, chance);
    let kind = if mood == Mood::Storm { "metadata: storm" } else { "metadata: uneasy" };
    world.trace.fired(kind, format_args!("{nodes:?} for {time:?}"));
    let all: Vec<_> = nodes.iter().map(|id| world.fleet.node(*id).mishaps.clone()).collect();
    all.iter().for_each(|mishaps| mishaps.set_metadata(mood));
    after(time, left, move || all.iter().for_each(|mishaps| mishaps.set_metadata(Mood::Calm)));
}

fn lose_leases(world: &World, chance: &Chance) {
    let nodes: Vec<NodeId> = world.fleet.nodes().map(|node| node.id).collect();
    let id = *chance.pick(&nodes);
    let Some(metadata) = world.fleet.metadata_of(id) else { return };
    let leases = metadata.leases();
    world.trace.fired("leases lost", format_args!("n{id} {leases:?}"));
    let store = world.metadata.clone();
    crate::free(async move {
        for lease in leases {
            // Some have ended by themselves.
            let _ = store.revoke(lease).await;
        }
    });
}

fn clock(world: &World, chance: &Chance) {
    let nodes: Vec<_> = world.fleet.nodes().collect();
    let node = chance.pick(&nodes);
    let off_ms = chance.below(2 * HOUR_MS as u64) as i64 - HOUR_MS;
    world.trace.fired("clock jumps", format_args!("n{} off by {off_ms} ms", node.id));
    node.clock.set_off(off_ms);
}

fn reset(world: &World, chance: &Chance) {
    if let (Place::Node(one), Place::Node(other)) = pair(world, chance) {
        world.trace.fired("connections reset", format_args!("n{one} n{other}"));
        world.net.reset(one, other);
    }
}

/// An operator gives a partition to another broker.
async fn relocate(world: &World, chance: &Chance) {
    let brokers: Vec<NodeId> =
        world.fleet.nodes().filter(|node| node.roles.broker).map(|node| node.id).collect();
    let Ok((entries, _)) = list(&world.metadata, Assignment::PREFIX).await else { return };
    if entries.is_empty() {
        return;
    }
    let entry = chance.pick(&entries);
    let Ok(mut assignment) = Assignment::decode(entry) else { return };
    if assignment.nodes.is_empty() {
        return;
    }
    let place = chance.below(assignment.nodes.len() as u64) as usize;
    let to = *chance.pick(&brokers);
    let from = std::mem::replace(&mut assignment.nodes[place], to);
    if from == to {
        return;
    }
    let same = Compare::unchanged(entry.key.clone(), entry.mod_revision);
    let txn = Txn::new().when(same).put(entry.key.clone(), assignment.encode());
    if world.metadata.txn(txn).await.is_ok_and(|outcome| outcome.is_committed()) {
        let key = &entry.key;
        world.trace.fired("move", format_args!("{key} {place} from n{from} to n{to}"));
    }
}

/// How often partitions of user topics have changed their owner.
pub(super) async fn ownership_changes(world: &World) -> u64 {
    let mut changes = 0;
    let Ok((topics, _)) = list(&world.metadata, Topic::PREFIX).await else { return 0 };
    let known: BTreeMap<String, bool> = topics
        .iter()
        .filter_map(|entry| Topic::decode(entry).ok())
        .map(|topic| (topic.id.to_string(), topic.internal))
        .collect();
    let Ok((logs, _)) = list(&world.metadata, weir_meta::model::Log::PREFIX).await else {
        return 0;
    };
    for entry in &logs {
        let Some(of) = weir_meta::model::Log::partition(&entry.key) else { continue };
        let Ok(log) = weir_meta::model::Log::decode(entry) else { continue };
        if known.get(&of.topic.to_string()) == Some(&false) {
            changes += u64::try_from(log.leader_epoch.0).unwrap_or(0);
        }
    }
    changes
}
