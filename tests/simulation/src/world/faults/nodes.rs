//! Nodes that die, stand still, stop or have a wrong clock, and partitions that are moved between them.

use std::time::Duration;

use weir_ids::NodeId;
use weir_meta::{
    model::{Assignment, Record},
    store::{Compare, MetaStore, Txn, list},
};

use super::{LONG_MS, after};
use crate::{chance::Chance, world::World};

const HOUR_MS: i64 = 3_600_000;

pub(super) fn kill(world: &World, id: NodeId, chance: &Chance, left: Duration) {
    let time = chance.millis(200..=15_000);
    if world.fleet.kill(id) {
        world.trace.fired("crash", format_args!("n{id} for {time:?}"));
        let fleet = world.fleet.clone();
        after(time, left, move || fleet.start(id));
    }
}

/// It is started again when it has ended.
pub(super) fn stop(world: &World, id: NodeId) {
    if world.fleet.stop(id) {
        world.trace.fired("stop", format_args!("n{id}"));
    }
}

pub(super) fn pause(world: &World, id: NodeId, chance: &Chance, left: Duration) {
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

pub(super) fn clock(world: &World, chance: &Chance) {
    let nodes: Vec<_> = world.fleet.nodes().collect();
    let node = chance.pick(&nodes);
    let off_ms = chance.below(2 * HOUR_MS as u64) as i64 - HOUR_MS;
    world.trace.fired("clock jumps", format_args!("n{} off by {off_ms} ms", node.id));
    node.clock.set_off(off_ms);
}

/// An operator gives a partition to another broker.
pub(super) async fn relocate(world: &World, chance: &Chance) {
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
