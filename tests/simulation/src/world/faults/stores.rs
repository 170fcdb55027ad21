//! Stores that fail, and leases that are lost.

use std::time::Duration;

use weir_ids::NodeId;
use weir_meta::store::MetaStore;

use super::after;
use crate::{chance::Chance, stores::Mood, world::World};

/// One node, or all of them.
fn some(world: &World, chance: &Chance) -> Vec<NodeId> {
    let nodes: Vec<NodeId> = world.fleet.nodes().map(|node| node.id).collect();
    if chance.percent(40) { nodes } else { vec![*chance.pick(&nodes)] }
}

pub(super) fn objects(world: &World, chance: &Chance, left: Duration) {
    let time = chance.millis(1_000..=15_000);
    let mood = if chance.percent(30) { Mood::Storm } else { Mood::Uneasy };
    let nodes = some(world, chance);
    let kind = if mood == Mood::Storm { "objects: storm" } else { "objects: uneasy" };
    world.trace.fired(kind, format_args!("{nodes:?} for {time:?}"));
    let all: Vec<_> = nodes.iter().map(|id| world.fleet.node(*id).mishaps.clone()).collect();
    all.iter().for_each(|mishaps| mishaps.set_objects(mood));
    after(time, left, move || all.iter().for_each(|mishaps| mishaps.set_objects(Mood::Calm)));
}

pub(super) fn metadata(world: &World, chance: &Chance, left: Duration) {
    let time = chance.millis(1_000..=15_000);
    let mood = if chance.percent(30) { Mood::Storm } else { Mood::Uneasy };
    let nodes = some(world, chance);
    let kind = if mood == Mood::Storm { "metadata: storm" } else { "metadata: uneasy" };
    world.trace.fired(kind, format_args!("{nodes:?} for {time:?}"));
    let all: Vec<_> = nodes.iter().map(|id| world.fleet.node(*id).mishaps.clone()).collect();
    all.iter().for_each(|mishaps| mishaps.set_metadata(mood));
    after(time, left, move || all.iter().for_each(|mishaps| mishaps.set_metadata(Mood::Calm)));
}

/// A node's leases end, although it may be alive and well.
pub(super) fn lose_leases(world: &World, chance: &Chance) {
    let nodes: Vec<NodeId> = world.fleet.nodes().map(|node| node.id).collect();
    end_leases(world, *chance.pick(&nodes));
}

pub(super) fn end_leases(world: &World, id: NodeId) {
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
