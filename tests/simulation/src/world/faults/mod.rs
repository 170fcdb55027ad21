//! Making trouble, by the seed: one act after the other, several at once, each for a while.

mod links;
mod nodes;
mod stores;

use std::time::Duration;

use tokio::time::{Instant, sleep};
use weir_ids::NodeId;

use super::{
    World,
    fleet::Fleet,
    owners::{owners, ownership_changes},
};
use crate::{chance::Chance, client::Pace, node::Roles, process::Condition};
use links::Isolation;

/// Pause between two acts, in milliseconds.
const BETWEEN_MS: std::ops::RangeInclusive<u64> = 200..=3_000;
/// Longer than the lease of a session.
const LONG_MS: std::ops::RangeInclusive<u64> = 10_000..=20_000;
/// Which acts are not left to chance.
const SURE_CRASH: u64 = 5;
const SURE_ISOLATION: u64 = 7;
const SURE_MOVE: u64 = 9;
/// By which act some partition must have changed its owner.
const SURE_CHANGE: u64 = 12;
/// Acts that happen in some runs, in so many percent of those where they may.
const LONG_GONE: u64 = 2;
const LONG_GONE_PERCENT: u64 = 40;
const OVERTAKING: u64 = 3;
const OVERTAKING_PERCENT: u64 = 50;

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
        if !planned(world, number, &act, left).await {
            by_chance(world, chance.below(100), &act, left).await;
        }
    }
}

/// What is not left to chance at act `number`; whether there is something.
async fn planned(world: &World, number: u64, act: &Chance, left: Duration) -> bool {
    match number {
        SURE_CRASH => kill_one(world, act, left),
        SURE_MOVE => nodes::relocate(world, act).await,
        LONG_GONE if world.pace == Pace::Spells && act.percent(LONG_GONE_PERCENT) => {
            isolate_owner(world, Isolation::LongGone, act, left).await;
        }
        OVERTAKING if act.percent(OVERTAKING_PERCENT) => links::overtake(world, act, left),
        SURE_ISOLATION if world.pace == Pace::Spells => {
            isolate_owner(world, Isolation::brief(act), act, left).await;
        }
        SURE_CHANGE.. if ownership_changes(world).await == 0 => {
            let owner = owner(world, act).await;
            owner.into_iter().for_each(|id| nodes::kill(world, id, act, left));
        }
        _ => return false,
    }
    true
}

/// Only an owner that nobody writes to goes on believing that it is one, if nothing else happens but what
/// is always to be expected.
async fn isolate_owner(world: &World, isolation: Isolation, act: &Chance, left: Duration) {
    links::slow(world, act, left);
    links::reset(world, act);
    nodes::clock(world, act);
    stores::objects(world, act, left);
    if let Some(owner) = owner(world, act).await {
        sleep(links::isolate(world, owner, isolation, act, left)).await;
    }
}

fn kill_one(world: &World, act: &Chance, left: Duration) {
    let victim = victim(&world.fleet, act);
    victim.into_iter().for_each(|id| nodes::kill(world, id, act, left));
}

async fn by_chance(world: &World, kind: u64, act: &Chance, left: Duration) {
    let victim = || victim(&world.fleet, act).into_iter();
    match kind {
        0..14 => kill_one(world, act, left),
        14..28 => victim().for_each(|id| nodes::pause(world, id, act, left)),
        28..42 => links::cut(world, act, left),
        42..47 => links::slow(world, act, left),
        47..50 => victim().for_each(|id| {
            links::isolate(world, id, Isolation::brief(act), act, left);
        }),
        50..64 => stores::objects(world, act, left),
        64..76 => stores::metadata(world, act, left),
        76..82 => stores::lose_leases(world, act),
        82..86 => nodes::clock(world, act),
        86..89 => links::reset(world, act),
        89..94 => victim().for_each(|id| nodes::stop(world, id)),
        _ => nodes::relocate(world, act).await,
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
            let others = |role: fn(&Roles) -> bool| {
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
    let owners = owners(world).await;
    let mut candidates = candidates(&world.fleet);
    candidates.retain(|id| owners.contains(id));
    (!candidates.is_empty()).then(|| *chance.pick(&candidates))
}
