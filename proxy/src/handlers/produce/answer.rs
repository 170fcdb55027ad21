//! The Produce response. No I/O.

use std::collections::BTreeSet;

use weir_broker::client::{AppendError, Appended};
use weir_ids::{NodeId, TopicPartition};
use weir_protocol::{
    ErrorCode,
    messages::{
        ProduceResponse,
        produce::{LeaderIdAndEpoch, NodeEndpoint, PartitionProduceResponse, TopicProduceResponse},
    },
};

use super::plan::{Partition, Plan};
use crate::{
    handlers::codes,
    routing::{Owners, Shown},
};

/// From this version on an answer names leaders, and where they are (KIP-951).
const NAMES_LEADERS: i16 = 10;

/// What a broker said of an append; `None` if nothing in time.
type Told = Option<Result<Appended, AppendError>>;

/// Turns what the brokers said into a response. `shown` is needed only where a client believes
/// wrongly.
pub(super) fn response(
    plan: Plan,
    results: Vec<Told>,
    version: i16,
    owners: &Owners,
    shown: impl Fn() -> Shown,
) -> ProduceResponse {
    let Plan { topics, partitions, .. } = plan;
    let mut leaders = Leaders { owners, shown: None, named: BTreeSet::new() };
    let mut answered = partitions.into_iter().zip(results).map(|(partition, told)| {
        let (index, partition, owner) = match partition {
            Partition::Failed(failed) => return failed,
            Partition::Appending { index, partition, owner } => (index, partition, owner),
        };
        let response = of_partition(index, partition, told);
        let astray = response.error_code == ErrorCode::NOT_LEADER_OR_FOLLOWER;
        if !astray || version < NAMES_LEADERS {
            return response;
        }
        let shown = leaders.shown.get_or_insert_with(&shown);
        let leader = shown.leader(partition, Some(owner));
        leaders.named.insert(leader);
        let leader_epoch = leaders.owners.epoch(partition).0;
        let current_leader = LeaderIdAndEpoch { leader_id: leader.0 as i32, leader_epoch };
        PartitionProduceResponse { current_leader, ..response }
    });
    let mut responses = Vec::with_capacity(topics.len());
    let mut done = 0;
    for (name, topic_id, end) in topics {
        let partition_responses = answered.by_ref().take(end - done).collect();
        done = end;
        responses.push(TopicProduceResponse { name, topic_id, partition_responses });
    }
    drop(answered);
    let node_endpoints = leaders.endpoints();
    ProduceResponse { responses, node_endpoints, ..ProduceResponse::default() }
}

/// The leaders that a response names.
struct Leaders<'a> {
    owners: &'a Owners,
    shown: Option<Shown>,
    named: BTreeSet<NodeId>,
}

impl Leaders<'_> {
    fn endpoints(&self) -> Vec<NodeEndpoint> {
        let endpoint = |node: &NodeId| {
            let proxy = self.shown.as_ref()?.proxy(*node)?;
            let (host, port) = (proxy.host.clone(), i32::from(proxy.port));
            Some(NodeEndpoint { node_id: node.0 as i32, host, port, rack: proxy.rack() })
        };
        self.named.iter().filter_map(endpoint).collect()
    }
}

fn of_partition(index: i32, partition: TopicPartition, told: Told) -> PartitionProduceResponse {
    match told {
        Some(Ok(appended)) => PartitionProduceResponse {
            index,
            base_offset: appended.base.0,
            log_append_time_ms: appended.log_append_time.map_or(-1, |time| time.0),
            log_start_offset: appended.log_start.0,
            ..PartitionProduceResponse::default()
        },
        Some(Err(error)) => {
            if let AppendError::Storage(reason) = &error {
                tracing::warn!(%partition, reason, "an append met a storage error");
            }
            codes::refusal(index, &error)
        }
        // It may be there, or come to be.
        None => codes::failed_partition(index, ErrorCode::REQUEST_TIMED_OUT, None),
    }
}
