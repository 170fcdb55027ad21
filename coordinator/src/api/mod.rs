//! Kafka's requests and responses on one side, groups on the other.
//!
//! What a version of a request means is decided here, and what is kept of a request is copied here:
//! its strings and bytes are slices of a whole frame.

mod admin;
mod commit;
mod fetch;
mod join;
mod sync;
#[cfg(test)]
mod tests;

use async_trait::async_trait;
use bytes::Bytes;
use bytestring::ByteString;
use weir_protocol::{
    ErrorCode,
    messages::{
        DeleteGroupsRequest, DeleteGroupsResponse, DescribeGroupsRequest, DescribeGroupsResponse,
        HeartbeatRequest, HeartbeatResponse, JoinGroupRequest, JoinGroupResponse,
        LeaveGroupRequest, LeaveGroupResponse, ListGroupsRequest, ListGroupsResponse,
        OffsetCommitRequest, OffsetCommitResponse, OffsetFetchRequest, OffsetFetchResponse,
        SyncGroupRequest, SyncGroupResponse,
    },
};

use crate::{
    client::{Caller, CoordinatorClient},
    coordinator::Coordinator,
    group::{Error, Generation, GroupId, Identity, InstanceId, MemberId},
};

#[async_trait]
impl CoordinatorClient for Coordinator {
    async fn join_group(&self, caller: Caller, request: JoinGroupRequest) -> JoinGroupResponse {
        join::join(self, &caller, &request).await
    }

    async fn sync_group(&self, caller: Caller, request: SyncGroupRequest) -> SyncGroupResponse {
        sync::sync(self, &caller, &request).await
    }

    async fn heartbeat(&self, _: Caller, request: HeartbeatRequest) -> HeartbeatResponse {
        sync::heartbeat(self, &request).await
    }

    async fn leave_group(&self, caller: Caller, request: LeaveGroupRequest) -> LeaveGroupResponse {
        join::leave(self, &caller, &request).await
    }

    async fn offset_commit(
        &self,
        caller: Caller,
        request: OffsetCommitRequest,
    ) -> OffsetCommitResponse {
        commit::commit(self, &caller, &request).await
    }

    async fn offset_fetch(
        &self,
        caller: Caller,
        request: OffsetFetchRequest,
    ) -> OffsetFetchResponse {
        fetch::fetch(self, &caller, &request).await
    }

    async fn describe_groups(
        &self,
        caller: Caller,
        request: DescribeGroupsRequest,
    ) -> DescribeGroupsResponse {
        admin::describe(self, &caller, &request).await
    }

    async fn list_groups(&self, _: Caller, request: ListGroupsRequest) -> ListGroupsResponse {
        admin::list(self, &request).await
    }

    async fn delete_groups(&self, _: Caller, request: DeleteGroupsRequest) -> DeleteGroupsResponse {
        admin::delete(self, &request).await
    }
}

/// The code that stands for an error on the wire.
fn code(error: Error) -> ErrorCode {
    match error {
        Error::UnknownMember => ErrorCode::UNKNOWN_MEMBER_ID,
        Error::MemberIdRequired => ErrorCode::MEMBER_ID_REQUIRED,
        Error::FencedInstance => ErrorCode::FENCED_INSTANCE_ID,
        Error::IllegalGeneration => ErrorCode::ILLEGAL_GENERATION,
        Error::RebalanceInProgress => ErrorCode::REBALANCE_IN_PROGRESS,
        Error::InconsistentProtocol => ErrorCode::INCONSISTENT_GROUP_PROTOCOL,
        Error::MaxSizeReached => ErrorCode::GROUP_MAX_SIZE_REACHED,
        Error::InvalidSessionTimeout => ErrorCode::INVALID_SESSION_TIMEOUT,
        Error::InvalidGroupId => ErrorCode::INVALID_GROUP_ID,
        Error::GroupNotFound => ErrorCode::GROUP_ID_NOT_FOUND,
        Error::NonEmptyGroup => ErrorCode::NON_EMPTY_GROUP,
        // What Kafka makes of a record that is too large: the client can do nothing about it.
        Error::TooLarge => ErrorCode::UNKNOWN_SERVER_ERROR,
        Error::InvalidRequest => ErrorCode::INVALID_REQUEST,
        Error::Loading => ErrorCode::COORDINATOR_LOAD_IN_PROGRESS,
        Error::NotCoordinator => ErrorCode::NOT_COORDINATOR,
        Error::NotAvailable => ErrorCode::COORDINATOR_NOT_AVAILABLE,
    }
}

/// The code of a result without a value.
fn code_of(result: Result<(), Error>) -> ErrorCode {
    result.map_or_else(code, |()| ErrorCode::NONE)
}

/// A group that members can join: its id is not empty.
fn joinable(id: &str) -> Result<GroupId, Error> {
    GroupId::given(id).ok_or(Error::InvalidGroupId)
}

fn identity(member: &str, instance: Option<&ByteString>, generation: i32) -> Identity {
    Identity {
        member: MemberId::given(member),
        instance: instance.map(|id| InstanceId::from(&**id)),
        generation: Generation(generation),
    }
}

/// A copy that does not keep the request's frame alive.
fn own(bytes: &Bytes) -> Bytes {
    Bytes::copy_from_slice(bytes)
}

/// A copy that does not keep the request's frame alive.
fn own_str(text: &ByteString) -> ByteString {
    ByteString::from(&**text)
}
