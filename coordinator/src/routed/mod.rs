//! The coordinators of a cluster, as proxies reach them: each group's requests go to the node that
//! keeps its shard.
//!
//! What is asked of several groups at once is split by node and put together again in order. A node
//! that can't be reached, or that is not known, answers nothing: then the client is sent to look for
//! its coordinator again, with Kafka's own retriable codes.

mod split;

use std::sync::Arc;

use async_trait::async_trait;
use futures::future::join_all;
use weir_ids::{NodeId, PartitionIndex, TopicPartition};
use weir_meta::{model::Role, views::View};
use weir_protocol::messages::{
    DeleteGroupsRequest, DeleteGroupsResponse, DescribeGroupsRequest, DescribeGroupsResponse,
    HeartbeatRequest, HeartbeatResponse, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest,
    LeaveGroupResponse, ListGroupsRequest, ListGroupsResponse, OffsetCommitRequest,
    OffsetCommitResponse, OffsetFetchRequest, OffsetFetchResponse, SyncGroupRequest,
    SyncGroupResponse,
};

use crate::{
    Caller, Cluster, Coordinator, CoordinatorClient, OFFSETS_TOPIC, cluster::keeper,
    coordinator::partition_of,
};
use split::Split;

/// Finds coordinators by node.
pub trait Coordinators: Send + Sync {
    /// The client of `node`; `None` when it is not known how to reach it.
    fn coordinator(&self, node: NodeId) -> Option<Arc<dyn CoordinatorClient>>;
}

/// See the module.
pub struct RoutedCoordinators {
    view: View,
    coordinators: Arc<dyn Coordinators>,
    /// Answers in the place of those that can't be reached.
    nobody: Arc<dyn CoordinatorClient>,
}

impl RoutedCoordinators {
    /// The coordinators that `view` shows, reached through `coordinators`.
    pub fn new(view: View, cluster: Arc<dyn Cluster>, coordinators: Arc<dyn Coordinators>) -> Self {
        Self { view, coordinators, nobody: Arc::new(Coordinator::nobody(cluster)) }
    }

    /// Where `group` is kept; before any group is, where the first will be.
    fn node_of(&self, group: &str) -> Option<NodeId> {
        self.view.with(|now| match now.topic(OFFSETS_TOPIC) {
            Some(topic) => {
                let index: PartitionIndex = partition_of(group, topic.partitions);
                keeper(now, TopicPartition::new(topic.id, index))
            }
            None => now.staying(Role::Coordinator).next().map(|(id, _)| id),
        })
    }

    fn at(&self, node: Option<NodeId>) -> Arc<dyn CoordinatorClient> {
        let found = node.and_then(|node| self.coordinators.coordinator(node));
        found.unwrap_or_else(|| Arc::clone(&self.nobody))
    }

    fn of(&self, group: &str) -> Arc<dyn CoordinatorClient> {
        self.at(self.node_of(group))
    }
}

#[async_trait]
impl CoordinatorClient for RoutedCoordinators {
    async fn join_group(&self, caller: Caller, request: JoinGroupRequest) -> JoinGroupResponse {
        self.of(&request.group_id).join_group(caller, request).await
    }

    async fn sync_group(&self, caller: Caller, request: SyncGroupRequest) -> SyncGroupResponse {
        self.of(&request.group_id).sync_group(caller, request).await
    }

    async fn heartbeat(&self, caller: Caller, request: HeartbeatRequest) -> HeartbeatResponse {
        self.of(&request.group_id).heartbeat(caller, request).await
    }

    async fn leave_group(&self, caller: Caller, request: LeaveGroupRequest) -> LeaveGroupResponse {
        self.of(&request.group_id).leave_group(caller, request).await
    }

    async fn offset_commit(
        &self,
        caller: Caller,
        request: OffsetCommitRequest,
    ) -> OffsetCommitResponse {
        self.of(&request.group_id).offset_commit(caller, request).await
    }

    async fn offset_fetch(
        &self,
        caller: Caller,
        request: OffsetFetchRequest,
    ) -> OffsetFetchResponse {
        if request.groups.is_empty() {
            return self.of(&request.group_id).offset_fetch(caller, request).await;
        }
        let OffsetFetchRequest { groups, require_stable, .. } = request;
        let split = Split::new(groups, |group| self.node_of(&group.group_id));
        let groups = split.ask(|node, groups| {
            let (coordinator, caller) = (self.at(node), caller.clone());
            let request = OffsetFetchRequest { groups, require_stable, ..Default::default() };
            async move { coordinator.offset_fetch(caller, request).await.groups }
        });
        OffsetFetchResponse { groups: groups.await, ..Default::default() }
    }

    async fn describe_groups(
        &self,
        caller: Caller,
        request: DescribeGroupsRequest,
    ) -> DescribeGroupsResponse {
        let DescribeGroupsRequest { groups, include_authorized_operations } = request;
        let split = Split::new(groups, |group| self.node_of(group));
        let groups = split.ask(|node, groups| {
            let (coordinator, caller) = (self.at(node), caller.clone());
            let request = DescribeGroupsRequest { groups, include_authorized_operations };
            async move { coordinator.describe_groups(caller, request).await.groups }
        });
        DescribeGroupsResponse { groups: groups.await, ..Default::default() }
    }

    async fn list_groups(&self, caller: Caller, request: ListGroupsRequest) -> ListGroupsResponse {
        let nodes: Vec<NodeId> = self.view.with(|now| {
            now.nodes().filter(|(_, node)| node.is(Role::Coordinator)).map(|(id, _)| id).collect()
        });
        let asked = nodes.into_iter().map(|node| {
            let (coordinator, caller, request) =
                (self.at(Some(node)), caller.clone(), request.clone());
            async move { coordinator.list_groups(caller, request).await }
        });
        let mut all = ListGroupsResponse::default();
        for listed in join_all(asked).await {
            if all.error_code.is_none() {
                all.error_code = listed.error_code;
            }
            all.groups.extend(listed.groups);
        }
        all
    }

    async fn delete_groups(
        &self,
        caller: Caller,
        request: DeleteGroupsRequest,
    ) -> DeleteGroupsResponse {
        let split = Split::new(request.groups_names, |group| self.node_of(group));
        let results = split.ask(|node, groups_names| {
            let (coordinator, caller) = (self.at(node), caller.clone());
            let request = DeleteGroupsRequest { groups_names };
            async move { coordinator.delete_groups(caller, request).await.results }
        });
        DeleteGroupsResponse { results: results.await, ..Default::default() }
    }
}
