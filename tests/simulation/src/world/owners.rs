//! Who owns partitions, read from the metadata beside the cluster.

use std::collections::{BTreeMap, BTreeSet};

use weir_ids::NodeId;
use weir_meta::{
    model::{Assignment, Log, Record, Topic},
    store::list,
};

use super::World;

/// The brokers that partitions are assigned to.
pub(super) async fn owners(world: &World) -> BTreeSet<NodeId> {
    let Ok((entries, _)) = list(&world.metadata, Assignment::PREFIX).await else {
        return BTreeSet::new();
    };
    let assignments = entries.iter().filter_map(|entry| Assignment::decode(entry).ok());
    assignments.flat_map(|assignment| assignment.nodes).collect()
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
    let Ok((logs, _)) = list(&world.metadata, Log::PREFIX).await else {
        return 0;
    };
    for entry in &logs {
        let Some(of) = Log::partition(&entry.key) else { continue };
        let Ok(log) = Log::decode(entry) else { continue };
        if known.get(&of.topic.to_string()) == Some(&false) {
            changes += u64::try_from(log.leader_epoch.0).unwrap_or(0);
        }
    }
    changes
}
