//! The coordinators as one process reaches them.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::time::{Instant, sleep_until};
use weir_ids::NodeId;
use weir_protocol::{
    ApiKey, Message, Request as Asked,
    messages::{
        DeleteGroupsRequest, DeleteGroupsResponse, DescribeGroupsRequest, DescribeGroupsResponse,
        HeartbeatRequest, HeartbeatResponse, JoinGroupRequest, JoinGroupResponse,
        LeaveGroupRequest, LeaveGroupResponse, ListGroupsRequest, ListGroupsResponse,
        OffsetCommitRequest, OffsetCommitResponse, OffsetFetchRequest, OffsetFetchResponse,
        SyncGroupRequest, SyncGroupResponse,
    },
};
use weir_rpc::{
    Failed, Links, MESSAGE_BYTES_MAX,
    promptness::{Clocks, DRIFT_MAX},
};

use super::{
    PROMPTLY,
    wire::{Answer, Question, coordinator_client::CoordinatorClient as Client},
};
use crate::{Caller, Cluster, Coordinator, CoordinatorClient, Coordinators};

/// The coordinators as one process reaches them: its own directly, others over its links.
pub struct RemoteCoordinators {
    links: Links,
    clocks: Arc<Clocks>,
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
        let (clocks, nobody) = (Arc::default(), Arc::new(Coordinator::nobody(cluster)));
        Self { links, clocks, own, nobody }
    }
}

impl Coordinators for RemoteCoordinators {
    fn coordinator(&self, node: NodeId) -> Option<Arc<dyn CoordinatorClient>> {
        match &self.own {
            Some((own, coordinator)) if *own == node => Some(Arc::clone(coordinator)),
            _ => {
                let (links, clocks) = (self.links.clone(), Arc::clone(&self.clocks));
                let nobody = Arc::clone(&self.nobody);
                Some(Arc::new(RemoteCoordinator { links, clocks, node, nobody }))
            }
        }
    }
}

/// The coordinator of another process.
struct RemoteCoordinator {
    links: Links,
    clocks: Arc<Clocks>,
    node: NodeId,
    /// Answers in its place when it does not: then it has been done or never will be.
    nobody: Arc<dyn CoordinatorClient>,
}

impl RemoteCoordinator {
    async fn ask<R: Asked>(&self, caller: &Caller, request: &R) -> Option<R::Response> {
        let version = caller.api_version;
        let question = Question {
            api: i32::from(R::API as i16),
            version: i32::from(version),
            // What a client has sent in a version has a place in it.
            request: request.encode_versioned(version).ok()?,
            client_id: caller.client_id.to_string(),
            client_host: caller.client_host.to_string(),
            begin_by: None,
        };
        // The first time, perhaps, only to be told what time it is there.
        for _ in 0..2 {
            let given_up = Instant::now() + PROMPTLY + DRIFT_MAX;
            match self.ask_once(question.clone()).await {
                Ok(answer) if answer.is_late => {}
                Ok(answer) => return self.read::<R>(answer),
                Err(failed) => {
                    if failed == Failed::Broken && is_undone_by_later(R::API) {
                        sleep_until(given_up).await;
                    }
                    return None;
                }
            }
        }
        None
    }

    async fn ask_once(&self, question: Question) -> Result<Answer, Failed> {
        let begin_by = Some(self.clocks.within(self.node, PROMPTLY).into());
        let question = Question { begin_by, ..question };
        let asked = self.links.call(self.node, |channel| async move {
            Client::new(channel)
                .max_decoding_message_size(MESSAGE_BYTES_MAX)
                .max_encoding_message_size(MESSAGE_BYTES_MAX)
                .ask(question)
                .await
        });
        let answer = asked.await?;
        if let Some(now) = answer.now {
            self.clocks.told(self.node, now.into());
        }
        Ok(answer)
    }

    fn read<R: Asked>(&self, answer: Answer) -> Option<R::Response> {
        let response = R::Response::decode_versioned(answer.response);
        response
            .inspect_err(|error| {
                tracing::warn!(node = %self.node, %error, "a coordinator's answer can't be read");
            })
            .ok()
    }
}

/// Whether what a client asks for afterwards means nothing if a request of this kind is done after it.
pub fn is_undone_by_later(api: ApiKey) -> bool {
    matches!(api, ApiKey::OffsetCommit | ApiKey::LeaveGroup | ApiKey::DeleteGroups)
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
