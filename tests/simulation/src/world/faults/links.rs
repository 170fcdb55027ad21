//! Ways that are cut, slow, or break.

use std::time::Duration;

use weir_ids::NodeId;

use super::{LONG_MS, after, stores};
use crate::{chance::Chance, net::Place, world::World};

/// Longer than the controller waits for a broker that says nothing.
const ISOLATED_MS: std::ops::RangeInclusive<u64> = 18_000..=28_000;
/// And so long that the collector has gone round meanwhile, and a grace is over.
const LONG_GONE_MS: std::ops::RangeInclusive<u64> = 40_000..=48_000;
/// Longer than a lease lasts, and then for a while.
const OVERTAKEN_MS: std::ops::RangeInclusive<u64> = 14_000..=24_000;

/// What a node does that is cut off.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Isolation {
    /// It goes on.
    Awake,
    /// It stands still at first: then it finds its fence, or what else is left of its session, long
    /// after it was given up.
    Paused,
    /// It stands still, its leases end at once, and all that is left of it has been cleared away when it
    /// comes back.
    LongGone,
}

impl Isolation {
    /// By chance, and not for long.
    pub(super) fn brief(chance: &Chance) -> Self {
        if chance.percent(50) { Self::Paused } else { Self::Awake }
    }
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

pub(super) fn cut(world: &World, chance: &Chance, left: Duration) {
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
/// objects and from clients. Gives how long it lasts.
pub(super) fn isolate(
    world: &World,
    id: NodeId,
    isolation: Isolation,
    chance: &Chance,
    left: Duration,
) -> Duration {
    let long_gone = isolation == Isolation::LongGone;
    let still = chance.millis(if long_gone { LONG_GONE_MS } else { ISOLATED_MS });
    let then = chance.millis(1_000..=9_000);
    let paused = if isolation == Isolation::Awake { None } else { world.fleet.pause(id) };
    let kind = match &paused {
        None => "isolated",
        Some(_) if long_gone => "isolated and paused for long",
        Some(_) => "isolated and paused",
    };
    let mut here = vec![id];
    here.extend(company(world, id, chance, if long_gone { 100 } else { 50 }));
    world.trace.fired(kind, format_args!("{here:?} for {still:?} and {then:?}"));
    let others = world.fleet.nodes().map(|node| node.id).filter(|other| !here.contains(other));
    let there: Vec<Place> = others.map(Place::Node).chain([Place::Metadata]).collect();
    if long_gone {
        stores::end_leases(world, id);
    }
    if let Some(process) = paused {
        after(still, left, move || process.resume());
    }
    let lasts = (still + then).min(left);
    part(world, &here, &there, lasts, left);
    lasts
}

/// Cuts all ways between `here` and `there`, both ways, for a while.
fn part(world: &World, here: &[NodeId], there: &[Place], time: Duration, left: Duration) {
    let ways: Vec<(Place, Place)> = here
        .iter()
        .flat_map(|here| there.iter().map(|there| (Place::Node(*here), *there)))
        .flat_map(|(here, there)| [(here, there), (there, here)])
        .collect();
    ways.iter().for_each(|(from, to)| world.net.cut(*from, *to));
    let net = world.net.clone();
    after(time, left, move || ways.iter().for_each(|(from, to)| net.mend(*from, *to)));
}

/// Cuts a coordinator off from the metadata, with a proxy that goes on sending its clients there, until
/// another has taken over what it keeps. Both can write to the brokers. Where coordinators are brokers
/// too, they lose their logs first.
pub(super) fn overtake(world: &World, chance: &Chance, left: Duration) {
    let nodes = || world.fleet.nodes();
    let alone = nodes().filter(|node| node.roles.coordinator && !node.roles.broker);
    let coordinators: Vec<NodeId> = alone.map(|node| node.id).collect();
    if coordinators.is_empty() {
        return;
    }
    let mut here = vec![*chance.pick(&coordinators)];
    let proxies: Vec<NodeId> =
        nodes().filter(|node| node.roles.proxy).map(|node| node.id).collect();
    if !proxies.contains(&here[0]) {
        here.push(*chance.pick(&proxies));
    }
    let time = chance.millis(OVERTAKEN_MS);
    world.trace.fired("coordinator overtaken", format_args!("{here:?} for {time:?}"));
    part(world, &here, &[Place::Metadata], time, left);
}

/// A proxy that is cut off together with a node that has none, perhaps: not if it is the only one.
fn company(world: &World, id: NodeId, chance: &Chance, percent: u64) -> Option<NodeId> {
    let proxies: Vec<NodeId> =
        world.fleet.nodes().filter(|node| node.roles.proxy).map(|node| node.id).collect();
    let wanted = proxies.len() > 1 && !proxies.contains(&id) && chance.percent(percent);
    wanted.then(|| *chance.pick(&proxies))
}

pub(super) fn slow(world: &World, chance: &Chance, left: Duration) {
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

pub(super) fn reset(world: &World, chance: &Chance) {
    if let (Place::Node(one), Place::Node(other)) = pair(world, chance) {
        world.trace.fired("connections reset", format_args!("n{one} n{other}"));
        world.net.reset(one, other);
    }
}
