//! Coordinators across the network. What is not answered is told to find the coordinator again: it has been
//! done, or never will be.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::time::{Instant, sleep_until};
use weir_coordinator::{
    Caller, CoordinatorClient, Coordinators,
    rpc::{
        PROMPTLY, is_undone_by_later,
        promptness::{Clocks, DRIFT_MAX, ProcessClock},
    },
};
use weir_ids::NodeId;
use weir_protocol::{
    ApiKey, ErrorCode,
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

use super::{Links, links::Failed};

/// What stands for no answer.
const AGAIN: ErrorCode = ErrorCode::NOT_COORDINATOR;

/// A coordinator and the clock of its process.
#[derive(Clone)]
pub(crate) struct ServedCoordinator {
    pub(crate) client: Arc<dyn CoordinatorClient>,
    pub(crate) clock: Arc<ProcessClock>,
}

/// The coordinators as one process reaches them: its own directly.
pub(crate) struct LinkedCoordinators {
    links: Links,
    clocks: Arc<Clocks>,
    own: Option<(NodeId, Arc<dyn CoordinatorClient>)>,
}

impl LinkedCoordinators {
    pub(crate) fn new(links: Links, own: Option<(NodeId, Arc<dyn CoordinatorClient>)>) -> Self {
        Self { links, clocks: Arc::default(), own }
    }
}

impl Coordinators for LinkedCoordinators {
    fn coordinator(&self, node: NodeId) -> Option<Arc<dyn CoordinatorClient>> {
        match &self.own {
            Some((own, coordinator)) if *own == node => Some(Arc::clone(coordinator)),
            _ => {
                let (links, clocks) = (self.links.clone(), Arc::clone(&self.clocks));
                Some(Arc::new(LinkedCoordinator { links, clocks, node }))
            }
        }
    }
}

/// A coordinator on another node.
struct LinkedCoordinator {
    links: Links,
    clocks: Arc<Clocks>,
    node: NodeId,
}

impl LinkedCoordinator {
    /// What the coordinator answers; `None` if it does not.
    async fn ask<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
        &self,
        api: ApiKey,
        ask: impl FnOnce(Arc<dyn CoordinatorClient>) -> F + Clone + Send + 'static,
    ) -> Option<T> {
        let what = format!("{api:?}");
        for _ in 0..2 {
            let given_up = Instant::now() + PROMPTLY + DRIFT_MAX;
            let (ask, begin_by) = (ask.clone(), self.clocks.within(self.node, PROMPTLY));
            let asked = self.links.call(self.node, &what, move |services| {
                let ServedCoordinator { client, clock } = services.coordinator.clone()?;
                Some(Box::pin(async move {
                    let answer = match clock.is_past(begin_by) {
                        true => None,
                        false => Some(ask(client).await),
                    };
                    (answer, clock.now())
                }))
            });
            match asked.await {
                Ok((answer, now)) => {
                    self.clocks.told(self.node, now);
                    if answer.is_some() {
                        return answer;
                    }
                }
                Err(failed) => {
                    if failed == Failed::Broken && is_undone_by_later(api) {
                        sleep_until(given_up).await;
                    }
                    return None;
                }
            }
        }
        None
    }
}

/// Asks the coordinator; `$failed` if it does not answer.
macro_rules! ask {
    ($this:ident, $caller:ident, $method:ident, $request:ident, $api:ident, $failed:expr) => {{
        let asked = $this.ask(ApiKey::$api, move |coordinator| async move {
            coordinator.$method($caller, $request).await
        });
        asked.await.unwrap_or_else(|| $failed)
    }};
}

#[async_trait]
impl CoordinatorClient for LinkedCoordinator {
    async fn join_group(&self, caller: Caller, request: JoinGroupRequest) -> JoinGroupResponse {
        let failed = || JoinGroupResponse { error_code: AGAIN, ..Default::default() };
        ask!(self, caller, join_group, request, JoinGroup, failed())
    }

    async fn sync_group(&self, caller: Caller, request: SyncGroupRequest) -> SyncGroupResponse {
        let failed = || SyncGroupResponse { error_code: AGAIN, ..Default::default() };
        ask!(self, caller, sync_group, request, SyncGroup, failed())
    }

    async fn heartbeat(&self, caller: Caller, request: HeartbeatRequest) -> HeartbeatResponse {
        let failed = || HeartbeatResponse { error_code: AGAIN, ..Default::default() };
        ask!(self, caller, heartbeat, request, Heartbeat, failed())
    }

    async fn leave_group(&self, caller: Caller, request: LeaveGroupRequest) -> LeaveGroupResponse {
        let failed = || LeaveGroupResponse { error_code: AGAIN, ..Default::default() };
        ask!(self, caller, leave_group, request, LeaveGroup, failed())
    }

    async fn offset_commit(
        &self,
        caller: Caller,
        request: OffsetCommitRequest,
    ) -> OffsetCommitResponse {
        let failed = commit_failed(&request);
        ask!(self, caller, offset_commit, request, OffsetCommit, failed)
    }

    async fn offset_fetch(
        &self,
        caller: Caller,
        request: OffsetFetchRequest,
    ) -> OffsetFetchResponse {
        let failed = fetch_failed(&request);
        ask!(self, caller, offset_fetch, request, OffsetFetch, failed)
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
