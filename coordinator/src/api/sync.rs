//! SyncGroup and Heartbeat.

use weir_protocol::{
    ErrorCode,
    messages::{HeartbeatRequest, HeartbeatResponse, SyncGroupRequest, SyncGroupResponse},
};

use super::{code, code_of, identity, joinable, own, own_str};
use crate::{
    client::Caller,
    coordinator::Coordinator,
    group::{Error, Generation, GroupId, InstanceId, MemberId, Sync, Synced, Token},
    shard::Request,
};

/// From here on a member says which protocol it takes for chosen, and must (KIP-559).
const PROTOCOL_FROM: i16 = 5;

pub(super) async fn sync(
    coordinator: &Coordinator,
    caller: &Caller,
    request: &SyncGroupRequest,
) -> SyncGroupResponse {
    let answer = match checked(caller, request) {
        Ok((group, sync)) => {
            let ask = coordinator.ask(&group, |to| Request::Sync(group.clone(), sync, to));
            ask.await.and_then(|answer| answer)
        }
        Err(error) => Err(error),
    };
    match answer {
        Ok(Synced { protocol_type, protocol, assignment }) => SyncGroupResponse {
            error_code: ErrorCode::NONE,
            protocol_type,
            protocol_name: protocol,
            assignment,
            ..SyncGroupResponse::default()
        },
        Err(error) => SyncGroupResponse { error_code: code(error), ..Default::default() },
    }
}

fn checked(caller: &Caller, request: &SyncGroupRequest) -> Result<(GroupId, Sync), Error> {
    let names_protocol = request.protocol_type.is_some() && request.protocol_name.is_some();
    if caller.api_version >= PROTOCOL_FROM && !names_protocol {
        return Err(Error::InconsistentProtocol);
    }
    let group = joinable(&request.group_id)?;
    let assignments = request
        .assignments
        .iter()
        .map(|member| (MemberId::from(&*member.member_id), own(&member.assignment)));
    let sync = Sync {
        token: Token::NONE,
        member: MemberId::from(&*request.member_id),
        instance: request.group_instance_id.as_ref().map(|id| InstanceId::from(&**id)),
        generation: Generation(request.generation_id),
        protocol_type: request.protocol_type.as_ref().map(own_str),
        protocol: request.protocol_name.as_ref().map(own_str),
        assignments: assignments.collect(),
    };
    Ok((group, sync))
}

pub(super) async fn heartbeat(
    coordinator: &Coordinator,
    request: &HeartbeatRequest,
) -> HeartbeatResponse {
    let from =
        identity(&request.member_id, request.group_instance_id.as_ref(), request.generation_id);
    let answer = match joinable(&request.group_id) {
        Ok(group) => {
            let ask = coordinator.ask(&group, |to| Request::Heartbeat(group.clone(), from, to));
            ask.await.and_then(|answer| answer)
        }
        Err(error) => Err(error),
    };
    HeartbeatResponse { error_code: code_of(answer), ..HeartbeatResponse::default() }
}
