//! The requests of consumer groups: passed on to the coordinators as they are.
//!
//! Any proxy takes them; which coordinator has the group is not the client's business.

use weir_coordinator::{Caller, CoordinatorClient};
use weir_protocol::{RequestBody, ResponseBody};

use super::{Answer, Call};

/// Passes a group request on; `None` if it is none.
pub(super) async fn forward(
    coordinators: &dyn CoordinatorClient,
    caller: Caller,
    body: RequestBody,
) -> Option<Answer> {
    let body: ResponseBody = match body {
        RequestBody::JoinGroup(request) => coordinators.join_group(caller, request).await.into(),
        RequestBody::SyncGroup(request) => coordinators.sync_group(caller, request).await.into(),
        RequestBody::Heartbeat(request) => coordinators.heartbeat(caller, request).await.into(),
        RequestBody::LeaveGroup(request) => coordinators.leave_group(caller, request).await.into(),
        RequestBody::OffsetCommit(request) => {
            coordinators.offset_commit(caller, request).await.into()
        }
        RequestBody::OffsetFetch(request) => {
            coordinators.offset_fetch(caller, request).await.into()
        }
        RequestBody::DescribeGroups(request) => {
            coordinators.describe_groups(caller, request).await.into()
        }
        RequestBody::ListGroups(request) => coordinators.list_groups(caller, request).await.into(),
        RequestBody::DeleteGroups(request) => {
            coordinators.delete_groups(caller, request).await.into()
        }
        _ => return None,
    };
    Some(Answer::of(body))
}

/// Who asks, as a coordinator wants to know it.
pub(super) fn caller(call: &Call) -> Caller {
    Caller {
        client_id: call.client_id.clone().unwrap_or_default(),
        client_host: format!("/{}", call.peer.address.ip().to_canonical()).into(),
        api_version: call.version,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn a_caller_is_shown_as_kafka_shows_it() {
        let mut call = testing::call(5);
        call.peer.address = "[::ffff:10.0.0.8]:4711".parse().unwrap();
        let shown = caller(&call);
        assert_eq!((&*shown.client_host, &*shown.client_id), ("/10.0.0.8", "tester"));
        assert_eq!(shown.api_version, 5);
    }
}
