//! DescribeGroups, ListGroups, DeleteGroups: requests about several groups, split by shard.

use std::collections::BTreeMap;

use bytestring::ByteString;
use futures::future;
use weir_ids::PartitionIndex;
use weir_protocol::{
    ErrorCode,
    messages::{
        DeleteGroupsRequest, DeleteGroupsResponse, DescribeGroupsRequest, DescribeGroupsResponse,
        ListGroupsRequest, ListGroupsResponse,
        delete_groups::DeletableGroupResult,
        describe_groups::{DescribedGroup, DescribedGroupMember},
        list_groups::ListedGroup,
    },
};

use super::{code, code_of};
use crate::{
    client::Caller,
    coordinator::{Coordinator, ask},
    group::{Described, Error, GroupId},
    groups::Listed,
    shard::{Request, Shard},
};

/// From here on a group that is not there is an error (KIP-1043); before, it is dead.
const NOT_FOUND_FROM: i16 = 6;

/// Kafka's name of a group that is not there.
const DEAD: &str = "Dead";

/// The only type of group there is yet.
const CLASSIC: &str = "classic";

/// What may be done with a group, as bits by Kafka's numbers of operations: read, delete, describe,
/// describe and alter its configs. Everybody may do everything until there is security.
const ALL_OPERATIONS: i32 = 1 << 3 | 1 << 6 | 1 << 8 | 1 << 10 | 1 << 11;

pub(super) async fn describe(
    coordinator: &Coordinator,
    caller: &Caller,
    request: &DescribeGroupsRequest,
) -> DescribeGroupsResponse {
    let ids: Vec<GroupId> = request.groups.iter().map(|id| GroupId::from(&**id)).collect();
    let mut found = describe_by_shard(coordinator, &ids).await;
    let groups = ids.into_iter().map(|id| {
        let answer = found.remove(&id).unwrap_or(Ok(None));
        let mut group = match answer {
            Ok(Some(described)) => described_group(described),
            Ok(None) => not_found(caller, &id),
            Err(error) => DescribedGroup { error_code: code(error), ..Default::default() },
        };
        group.group_id = id.0;
        if request.include_authorized_operations && group.error_code.is_none() {
            group.authorized_operations = ALL_OPERATIONS;
        }
        group
    });
    DescribeGroupsResponse { groups: groups.collect(), ..Default::default() }
}

type Found = BTreeMap<GroupId, Result<Option<Described>, Error>>;

async fn describe_by_shard(coordinator: &Coordinator, ids: &[GroupId]) -> Found {
    let mut found = Found::new();
    let mut by_shard: BTreeMap<PartitionIndex, (Shard, Vec<GroupId>)> = BTreeMap::new();
    for id in ids {
        match coordinator.shard_of(id).await {
            Ok((index, shard)) => {
                by_shard.entry(index).or_insert_with(|| (shard, Vec::new())).1.push(id.clone());
            }
            Err(error) => drop(found.insert(id.clone(), Err(error))),
        }
    }
    let asks = by_shard.into_values().map(|(shard, ids)| async move {
        let asked = ids.clone();
        let answer = ask(&shard, |to| Request::Describe(asked, to)).await.and_then(|answer| answer);
        (ids, answer)
    });
    for (ids, answer) in future::join_all(asks).await {
        match answer {
            Ok(groups) => found.extend(ids.into_iter().zip(groups.into_iter().map(Ok))),
            Err(error) => found.extend(ids.into_iter().map(|id| (id, Err(error)))),
        }
    }
    found
}

fn described_group(described: Described) -> DescribedGroup {
    let members = described.members.into_iter().map(|member| DescribedGroupMember {
        member_id: member.member.0,
        group_instance_id: member.instance.map(|instance| instance.0),
        client_id: member.client.id,
        client_host: member.client.host,
        member_metadata: member.metadata,
        member_assignment: member.assignment,
    });
    DescribedGroup {
        group_state: ByteString::from_static(described.state),
        protocol_type: described.protocol_type,
        protocol_data: described.protocol,
        members: members.collect(),
        ..DescribedGroup::default()
    }
}

fn not_found(caller: &Caller, id: &GroupId) -> DescribedGroup {
    let mut group =
        DescribedGroup { group_state: ByteString::from_static(DEAD), ..Default::default() };
    if caller.api_version >= NOT_FOUND_FROM {
        group.error_code = ErrorCode::GROUP_ID_NOT_FOUND;
        group.error_message = Some(format!("Group {id} not found.").into());
    }
    group
}

pub(super) async fn list(
    coordinator: &Coordinator,
    request: &ListGroupsRequest,
) -> ListGroupsResponse {
    let shards = coordinator.all_shards();
    let asks = shards.iter().map(|(_, shard)| ask(shard, Request::List));
    let mut groups = Vec::new();
    for answer in future::join_all(asks).await {
        match answer.and_then(|answer| answer) {
            Ok(listed) => groups.extend(listed),
            // Another coordinator lists them.
            Err(Error::NotCoordinator) => {}
            Err(error) => {
                return ListGroupsResponse { error_code: code(error), ..Default::default() };
            }
        }
    }
    let wanted = groups.into_iter().filter(|group| is_wanted(group, request)).map(listed_group);
    ListGroupsResponse { groups: wanted.collect(), ..Default::default() }
}

/// Names in filters are taken in any case, as in Kafka.
fn is_wanted(group: &Listed, request: &ListGroupsRequest) -> bool {
    let named = |filter: &[ByteString], name: &str| {
        filter.is_empty() || filter.iter().any(|entry| entry.trim().eq_ignore_ascii_case(name))
    };
    named(&request.states_filter, group.state) && named(&request.types_filter, CLASSIC)
}

fn listed_group(group: Listed) -> ListedGroup {
    ListedGroup {
        group_id: group.group.0,
        protocol_type: group.protocol_type,
        group_state: ByteString::from_static(group.state),
        group_type: ByteString::from_static(CLASSIC),
    }
}

pub(super) async fn delete(
    coordinator: &Coordinator,
    request: &DeleteGroupsRequest,
) -> DeleteGroupsResponse {
    let deletions = request.groups_names.iter().map(|name| async move {
        let id = GroupId::from(&**name);
        let ask = coordinator.ask(&id, |to| Request::Delete(id.clone(), to));
        let error_code = code_of(ask.await.and_then(|answer| answer));
        DeletableGroupResult { group_id: name.clone(), error_code }
    });
    let results = future::join_all(deletions).await;
    DeleteGroupsResponse { results, ..DeleteGroupsResponse::default() }
}
