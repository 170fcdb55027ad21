//! JoinGroup and LeaveGroup.

use bytestring::ByteString;
use weir_protocol::{
    ErrorCode,
    messages::{
        JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest, LeaveGroupResponse,
        join_group::JoinGroupResponseMember, leave_group::MemberResponse,
    },
};

use super::{code, joinable, own, own_str};
use crate::{
    client::Caller,
    coordinator::Coordinator,
    group::{
        Client, Error, GroupId, InstanceId, Join, JoinRefused, Joined, Leaving, MemberId, Protocol,
        Protocols, Token, duration,
    },
    shard::Request,
};

/// From here on a rebalance timeout is sent.
const REBALANCE_TIMEOUT_FROM: i16 = 1;
/// From here on a member must join with the id that it is given (KIP-394).
const ID_FIRST_FROM: i16 = 4;
/// From here on a protocol's name may be null.
const NULL_PROTOCOL_FROM: i16 = 7;
/// From here on a leader can be told to leave the assignment as it is (KIP-814).
const CAN_SKIP_FROM: i16 = 9;
/// From here on a leave names several members.
const LEAVE_BATCH_FROM: i16 = 3;

pub(super) async fn join(
    coordinator: &Coordinator,
    caller: &Caller,
    request: &JoinGroupRequest,
) -> JoinGroupResponse {
    let answer = match checked(coordinator, caller, request) {
        Ok((group, join)) => {
            let asked = coordinator.ask(&group, |to| Request::Join(group.clone(), join, to)).await;
            asked.unwrap_or_else(|error| Err(JoinRefused { error, member: None }))
        }
        Err(error) => Err(JoinRefused { error, member: MemberId::given(&request.member_id) }),
    };
    match answer {
        Ok(joined) => accepted(joined),
        Err(refused) => rejected(caller, refused),
    }
}

fn checked(
    coordinator: &Coordinator,
    caller: &Caller,
    request: &JoinGroupRequest,
) -> Result<(GroupId, Join), Error> {
    let group = joinable(&request.group_id)?;
    let settings = &coordinator.context().settings;
    let session_timeout = duration(request.session_timeout_ms);
    if session_timeout < settings.session_timeout_min
        || session_timeout > settings.session_timeout_max
    {
        return Err(Error::InvalidSessionTimeout);
    }
    let rebalance_timeout = match caller.api_version < REBALANCE_TIMEOUT_FROM {
        true => session_timeout,
        false => duration(request.rebalance_timeout_ms),
    };
    let protocols = request.protocols.iter().map(|protocol| Protocol {
        name: own_str(&protocol.name),
        metadata: own(&protocol.metadata),
    });
    let join = Join {
        token: Token::NONE,
        member: MemberId::given(&request.member_id),
        instance: request.group_instance_id.as_ref().map(|id| InstanceId::from(&**id)),
        client: Client { id: own_str(&caller.client_id), host: own_str(&caller.client_host) },
        session_timeout,
        rebalance_timeout,
        protocol_type: own_str(&request.protocol_type),
        protocols: Protocols(protocols.collect()),
        unique: coordinator.context().runtime.uuid(),
        id_first: caller.api_version >= ID_FIRST_FROM,
        can_skip: caller.api_version >= CAN_SKIP_FROM,
    };
    Ok((group, join))
}

fn accepted(joined: Joined) -> JoinGroupResponse {
    let members = joined.members.into_iter().map(|member| JoinGroupResponseMember {
        member_id: member.member.0,
        group_instance_id: member.instance.map(|instance| instance.0),
        metadata: member.metadata,
    });
    JoinGroupResponse {
        error_code: ErrorCode::NONE,
        generation_id: joined.generation.0,
        protocol_type: joined.protocol_type,
        protocol_name: Some(joined.protocol.unwrap_or_default()),
        leader: joined.leader.0,
        skip_assignment: joined.skip_assignment,
        member_id: joined.member.0,
        members: members.collect(),
        ..JoinGroupResponse::default()
    }
}

fn rejected(caller: &Caller, refused: JoinRefused) -> JoinGroupResponse {
    let null_protocol = caller.api_version >= NULL_PROTOCOL_FROM;
    JoinGroupResponse {
        error_code: code(refused.error),
        protocol_name: (!null_protocol).then(ByteString::new),
        member_id: refused.member.map(|member| member.0).unwrap_or_default(),
        ..JoinGroupResponse::default()
    }
}

pub(super) async fn leave(
    coordinator: &Coordinator,
    caller: &Caller,
    request: &LeaveGroupRequest,
) -> LeaveGroupResponse {
    let batch = caller.api_version >= LEAVE_BATCH_FROM;
    let leaving: Vec<Leaving> = if batch {
        let one = |member: &weir_protocol::messages::leave_group::MemberIdentity| Leaving {
            member: MemberId::given(&member.member_id),
            instance: member.group_instance_id.as_ref().map(|id| InstanceId::from(&**id)),
        };
        request.members.iter().map(one).collect()
    } else {
        vec![Leaving { member: MemberId::given(&request.member_id), instance: None }]
    };
    let results = match joinable(&request.group_id) {
        Ok(group) => {
            let ask = coordinator.ask(&group, |to| Request::Leave(group.clone(), leaving, to));
            ask.await.and_then(|answer| answer)
        }
        Err(error) => Err(error),
    };
    let results = match results {
        Ok(results) => results,
        Err(error) => return LeaveGroupResponse { error_code: code(error), ..Default::default() },
    };
    if !batch {
        let error_code = results.first().map_or(ErrorCode::NONE, |result| super::code_of(*result));
        return LeaveGroupResponse { error_code, ..Default::default() };
    }
    let members = request.members.iter().zip(results).map(|(member, result)| MemberResponse {
        member_id: member.member_id.clone(),
        group_instance_id: member.group_instance_id.clone(),
        error_code: super::code_of(result),
    });
    LeaveGroupResponse { members: members.collect(), ..Default::default() }
}
