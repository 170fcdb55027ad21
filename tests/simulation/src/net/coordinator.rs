//! Coordinators across the network. What is not answered is told to find the coordinator again; it may
//! have been done.

use std::sync::Arc;

use async_trait::async_trait;
use weir_coordinator::{Caller, CoordinatorClient, Coordinators};
use weir_ids::NodeId;
use weir_protocol::{
    ErrorCode,
    messages::{
        DeleteGroupsRequest, DeleteGroupsResponse, DescribeGroupsRequest, DescribeGroupsResponse,
        HeartbeatRequest, HeartbeatResponse, JoinGroupRequest, JoinGroupResponse,
        LeaveGroupRequest, LeaveGroupResponse, ListGroupsRequest, ListGroupsResponse,
        OffsetCommitRequest, OffsetCommitResponse, OffsetFetchRequest, OffsetFetchResponse,
        SyncGroupRequest, SyncGroupResponse,
        offset_commit::{OffsetCommitResponsePartition, OffsetCommitResponseTopic},
        offset_fetch::OffsetFetchResponseGroup,
    },
};

use super::Links;

/// What stands for no answer.
const AGAIN: ErrorCode = ErrorCode::NOT_COORDINATOR;

/// The coordinators as one process reaches them: its own directly.
pub(crate) struct LinkedCoordinators {
    links: Links,
    own: Option<(NodeId, Arc<dyn CoordinatorClient>)>,
}

impl LinkedCoordinators {
    pub(crate) fn new(links: Links, own: Option<(NodeId, Arc<dyn CoordinatorClient>)>) -> Self {
        Self { links, own }
    }
}

impl Coordinators for LinkedCoordinators {
    fn coordinator(&self, node: NodeId) -> Option<Arc<dyn CoordinatorClient>> {
        match &self.own {
            Some((own, coordinator)) if *own == node => Some(Arc::clone(coordinator)),
            _ => Some(Arc::new(LinkedCoordinator { links: self.links.clone(), node })),
        }
    }
}

/// A coordinator on another node.
struct LinkedCoordinator {
    links: Links,
    node: NodeId,
}

/// Asks the coordinator; `$failed` if it does not answer.
macro_rules! ask {
    ($this:ident, $caller:ident, $method:ident, $request:ident, $failed:expr) => {{
        let asked = $this.links.call($this.node, stringify!($method), move |services| {
            let coordinator = services.coordinator.clone()?;
            Some(Box::pin(async move { coordinator.$method($caller, $request).await }))
        });
        match asked.await {
            Ok(answer) => answer,
            Err(_) => $failed,
        }
    }};
}

#[async_trait]
impl CoordinatorClient for LinkedCoordinator {
    async fn join_group(&self, caller: Caller, request: JoinGroupRequest) -> JoinGroupResponse {
        let failed = || JoinGroupResponse { error_code: AGAIN, ..Default::default() };
        ask!(self, caller, join_group, request, failed())
    }

    async fn sync_group(&self, caller: Caller, request: SyncGroupRequest) -> SyncGroupResponse {
        let failed = || SyncGroupResponse { error_code: AGAIN, ..Default::default() };
        ask!(self, caller, sync_group, request, failed())
    }

    async fn heartbeat(&self, caller: Caller, request: HeartbeatRequest) -> HeartbeatResponse {
        let failed = || HeartbeatResponse { error_code: AGAIN, ..Default::default() };
        ask!(self, caller, heartbeat, request, failed())
    }

    async fn leave_group(&self, caller: Caller, request: LeaveGroupRequest) -> LeaveGroupResponse {
        let failed = || LeaveGroupResponse { error_code: AGAIN, ..Default::default() };
        ask!(self, caller, leave_group, request, failed())
    }

    async fn offset_commit(
        &self,
        caller: Caller,
        request: OffsetCommitRequest,
    ) -> OffsetCommitResponse {
        let failed = commit_failed(&request);
        ask!(self, caller, offset_commit, request, failed)
    }

    async fn offset_fetch(
        &self,
        caller: Caller,
        request: OffsetFetchRequest,
    ) -> OffsetFetchResponse {
        let failed = fetch_failed(&request);
        ask!(self, caller, offset_fetch, request, failed)
    }

    async fn describe_groups(
        &self,
        _caller: Caller,
        _request: DescribeGroupsRequest,
    ) -> DescribeGroupsResponse {
        // No client of the simulation asks.
        DescribeGroupsResponse::default()
    }

    async fn list_groups(
        &self,
        _caller: Caller,
        _request: ListGroupsRequest,
    ) -> ListGroupsResponse {
        ListGroupsResponse { error_code: AGAIN, ..Default::default() }
    }

    async fn delete_groups(
        &self,
        _caller: Caller,
        _request: DeleteGroupsRequest,
    ) -> DeleteGroupsResponse {
        DeleteGroupsResponse::default()
    }
}

fn commit_failed(request: &OffsetCommitRequest) -> OffsetCommitResponse {
    let topics = request.topics.iter().map(|topic| OffsetCommitResponseTopic {
        name: topic.name.clone(),
        topic_id: topic.topic_id,
        partitions: topic
            .partitions
            .iter()
            .map(|partition| OffsetCommitResponsePartition {
                partition_index: partition.partition_index,
                error_code: AGAIN,
            })
            .collect(),
    });
    OffsetCommitResponse { topics: topics.collect(), ..Default::default() }
}

fn fetch_failed(request: &OffsetFetchRequest) -> OffsetFetchResponse {
    let groups = request.groups.iter().map(|group| OffsetFetchResponseGroup {
        group_id: group.group_id.clone(),
        error_code: AGAIN,
        ..Default::default()
    });
    OffsetFetchResponse { error_code: AGAIN, groups: groups.collect(), ..Default::default() }
}
