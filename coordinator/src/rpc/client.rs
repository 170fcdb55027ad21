//! The coordinators as one process reaches them.

use std::sync::Arc;

use async_trait::async_trait;
use weir_ids::NodeId;
use weir_protocol::{
    Message, Request as Asked,
    messages::{
        DeleteGroupsRequest, DeleteGroupsResponse, DescribeGroupsRequest, DescribeGroupsResponse,
        HeartbeatRequest, HeartbeatResponse, JoinGroupRequest, JoinGroupResponse,
        LeaveGroupRequest, LeaveGroupResponse, ListGroupsRequest, ListGroupsResponse,
        OffsetCommitRequest, OffsetCommitResponse, OffsetFetchRequest, OffsetFetchResponse,
        SyncGroupRequest, SyncGroupResponse,
    },
};
use weir_rpc::{Links, MESSAGE_BYTES_MAX};

use super::wire::{Question, coordinator_client::CoordinatorClient as Client};
use crate::{Caller, Cluster, Coordinator, CoordinatorClient, Coordinators};

/// The coordinators as one process reaches them: its own directly, others over its links.
pub struct RemoteCoordinators {
    links: Links,
    own: Option<(NodeId, Arc<dyn CoordinatorClient>)>,
    nobody: Arc<dyn CoordinatorClient>,
}

impl RemoteCoordinators {
    /// `own` is that of this process.
    pub fn new(
        links: Links,
        own: Option<(NodeId, Arc<dyn CoordinatorClient>)>,
        cluster: Arc<dyn Cluster>,
    ) -> Self {
        Self { links, own, nobody: Arc::new(Coordinator::nobody(cluster)) }
    }
}

impl Coordinators for RemoteCoordinators {
    fn coordinator(&self, node: NodeId) -> Option<Arc<dyn CoordinatorClient>> {
        match &self.own {
            Some((own, coordinator)) if *own == node => Some(Arc::clone(coordinator)),
            _ => {
                let (links, nobody) = (self.links.clone(), Arc::clone(&self.nobody));
                Some(Arc::new(RemoteCoordinator { links, node, nobody }))
            }
        }
    }
}

/// The coordinator of another process.
struct RemoteCoordinator {
    links: Links,
    node: NodeId,
    /// Answers in its place when it does not; it may have been done.
    nobody: Arc<dyn CoordinatorClient>,
}

impl RemoteCoordinator {
    async fn ask<R: Asked>(&self, caller: &Caller, request: &R) -> Option<R::Response> {
        let version = caller.api_version;
        // What a client has sent in a version has a place in it.
        let request = request.encode_versioned(version).ok()?;
        let question = Question {
            api: i32::from(R::API as i16),
            version: i32::from(version),
            request,
            client_id: caller.client_id.to_string(),
            client_host: caller.client_host.to_string(),
        };
        let asked = self.links.call(self.node, |channel| async move {
            Client::new(channel)
                .max_decoding_message_size(MESSAGE_BYTES_MAX)
                .max_encoding_message_size(MESSAGE_BYTES_MAX)
                .ask(question)
                .await
        });
        let answer = asked.await.ok()?;
        let response = R::Response::decode_versioned(answer.response);
        response
            .inspect_err(|error| {
                tracing::warn!(node = %self.node, %error, "a coordinator's answer can't be read");
            })
            .ok()
    }
}

/// Methods that ask the other process.
macro_rules! remote {
    ($($method:ident: $request:ident -> $response:ident),* $(,)?) => {
        #[async_trait]
        impl CoordinatorClient for RemoteCoordinator {
            $(async fn $method(&self, caller: Caller, request: $request) -> $response {
                match self.ask(&caller, &request).await {
                    Some(answer) => answer,
                    None => self.nobody.$method(caller, request).await,
                }
            })*
        }
    };
}

remote! {
    join_group: JoinGroupRequest -> JoinGroupResponse,
    sync_group: SyncGroupRequest -> SyncGroupResponse,
    heartbeat: HeartbeatRequest -> HeartbeatResponse,
    leave_group: LeaveGroupRequest -> LeaveGroupResponse,
    offset_commit: OffsetCommitRequest -> OffsetCommitResponse,
    offset_fetch: OffsetFetchRequest -> OffsetFetchResponse,
    describe_groups: DescribeGroupsRequest -> DescribeGroupsResponse,
    list_groups: ListGroupsRequest -> ListGroupsResponse,
    delete_groups: DeleteGroupsRequest -> DeleteGroupsResponse,
}
