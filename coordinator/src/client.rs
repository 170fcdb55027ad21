//! How proxies reach coordinators.
//!
//! One method an API, Kafka's own structs in and out: what a code means to which version of a
//! request is decided behind this trait, never in front of it. A client that is local calls the
//! shards' tasks; one across processes implements the same trait over gRPC.
//!
//! Answers always come: a coordinator that is loading, moving or ending answers with Kafka's own
//! retriable codes. `throttle_time_ms` is left at 0 for the proxy to fill in.

use async_trait::async_trait;
use bytestring::ByteString;
use weir_protocol::messages::{
    DeleteGroupsRequest, DeleteGroupsResponse, DescribeGroupsRequest, DescribeGroupsResponse,
    HeartbeatRequest, HeartbeatResponse, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest,
    LeaveGroupResponse, ListGroupsRequest, ListGroupsResponse, OffsetCommitRequest,
    OffsetCommitResponse, OffsetFetchRequest, OffsetFetchResponse, SyncGroupRequest,
    SyncGroupResponse,
};

/// Who asks, and in which version of the API.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Caller {
    /// The client id of the request's header; empty if it has none.
    pub client_id: ByteString,
    /// The client's address without port, as in `/10.0.0.7`: what tools show.
    pub client_host: ByteString,
    /// The version of the request.
    pub api_version: i16,
}

/// The coordinators of all groups.
#[async_trait]
pub trait CoordinatorClient: Send + Sync {
    /// Enters a group. The answer may take as long as a rebalance.
    async fn join_group(&self, caller: Caller, request: JoinGroupRequest) -> JoinGroupResponse;

    /// Hands in assignments, gets one. The answer waits for the group's leader.
    async fn sync_group(&self, caller: Caller, request: SyncGroupRequest) -> SyncGroupResponse;

    /// Says that a member lives, and learns whether it must join again.
    async fn heartbeat(&self, caller: Caller, request: HeartbeatRequest) -> HeartbeatResponse;

    /// Takes members out of a group.
    async fn leave_group(&self, caller: Caller, request: LeaveGroupRequest) -> LeaveGroupResponse;

    /// Keeps offsets for a group; answered once they are durable.
    async fn offset_commit(
        &self,
        caller: Caller,
        request: OffsetCommitRequest,
    ) -> OffsetCommitResponse;

    /// The offsets that groups have committed, as far as they are durable.
    async fn offset_fetch(
        &self,
        caller: Caller,
        request: OffsetFetchRequest,
    ) -> OffsetFetchResponse;

    /// State and members of groups.
    async fn describe_groups(
        &self,
        caller: Caller,
        request: DescribeGroupsRequest,
    ) -> DescribeGroupsResponse;

    /// All groups, of all coordinators that this client reaches.
    async fn list_groups(&self, caller: Caller, request: ListGroupsRequest) -> ListGroupsResponse;

    /// Deletes groups that have no members, and their offsets.
    async fn delete_groups(
        &self,
        caller: Caller,
        request: DeleteGroupsRequest,
    ) -> DeleteGroupsResponse;
}
