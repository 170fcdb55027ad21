//! The Fetch response. No I/O.

use std::collections::BTreeSet;

use weir_broker::client::Isolation;
use weir_ids::NodeId;
use weir_protocol::{
    ErrorCode,
    messages::{
        FetchResponse,
        fetch::{FetchableTopicResponse, LeaderIdAndEpoch, NodeEndpoint, PartitionData},
    },
};

use super::plan::{Found, Partition, Plan, TopicKey};
use crate::routing::{Owners, Shown};

/// From this version on an answer says where the leaders are that it names (KIP-951).
const NAMES_ENDPOINTS: i16 = 16;
/// From this version on an answer names leaders.
const NAMES_LEADERS: i16 = 12;

/// Turns what was found into a response, about the partitions (by their places) that are to be told
/// of. Takes the records out of the plan. `shown` is needed only where a client believes wrongly.
pub(super) fn response(
    plan: &mut Plan,
    version: i16,
    owners: &Owners,
    shown: impl Fn() -> Shown,
    mut is_told: impl FnMut(usize, &Partition) -> bool,
) -> FetchResponse {
    let astray = plan.partitions.iter().any(|partition| is_astray(&partition.found));
    let shown = (astray && version >= NAMES_LEADERS).then(shown);
    let mut leaders = BTreeSet::new();
    let Plan { topics, partitions, terms, .. } = plan;
    let mut responses = Vec::with_capacity(topics.len());
    let mut begin = 0;
    for (TopicKey { name, id }, end) in topics {
        let places = (begin..).zip(&mut partitions[begin..*end]);
        begin = *end;
        let told = places.filter_map(|(place, partition)| {
            if !is_told(place, partition) {
                return None;
            }
            let current_leader = match &shown {
                Some(shown) if is_astray(&partition.found) => {
                    leader(partition, shown, owners, &mut leaders)
                }
                _ => LeaderIdAndEpoch::default(),
            };
            Some(PartitionData { current_leader, ..data(partition, terms.isolation) })
        });
        let partitions: Vec<_> = told.collect();
        if !partitions.is_empty() {
            let (topic, topic_id) = (name.clone(), *id);
            responses.push(FetchableTopicResponse { topic, topic_id, partitions });
        }
    }
    let endpoint = |node: &NodeId| {
        let proxy = shown.as_ref()?.proxy(*node)?;
        let (host, port) = (proxy.host.clone(), i32::from(proxy.port));
        Some(NodeEndpoint { node_id: node.0 as i32, host, port, rack: proxy.rack() })
    };
    let node_endpoints = if version >= NAMES_ENDPOINTS {
        leaders.iter().filter_map(endpoint).collect()
    } else {
        Vec::new()
    };
    FetchResponse { responses, node_endpoints, ..FetchResponse::default() }
}

/// Whether the client went to the wrong place or believes in the wrong epoch.
fn is_astray(found: &Found) -> bool {
    matches!(found.error_code(), ErrorCode::NOT_LEADER_OR_FOLLOWER | ErrorCode::FENCED_LEADER_EPOCH)
}

fn leader(
    partition: &Partition,
    shown: &Shown,
    owners: &Owners,
    leaders: &mut BTreeSet<NodeId>,
) -> LeaderIdAndEpoch {
    let Some(target) = partition.target else { return LeaderIdAndEpoch::default() };
    let leader = shown.leader(target.partition, Some(target.owner));
    leaders.insert(leader);
    let leader_epoch = owners.epoch(target.partition).0;
    LeaderIdAndEpoch { leader_id: leader.0 as i32, leader_epoch }
}

fn data(partition: &mut Partition, isolation: Isolation) -> PartitionData {
    let error_code = partition.found.error_code();
    let offsets = partition.found.offsets();
    let committed = isolation == Isolation::ReadCommitted;
    PartitionData {
        partition_index: partition.index,
        error_code,
        high_watermark: offsets.map_or(-1, |offsets| offsets.durable.0),
        last_stable_offset: offsets.map_or(-1, |offsets| offsets.stable.0),
        log_start_offset: offsets.map_or(-1, |offsets| offsets.log_start.0),
        // No transactions yet, so none was aborted.
        aborted_transactions: (committed && error_code.is_none()).then(Vec::new),
        records: Some(partition.found.take_records()),
        ..PartitionData::default()
    }
}
