//! Where error codes stand in each response: for counting them in one place.

use weir_protocol::{ErrorCode, ResponseBody};

/// Calls `seen` with every code of a response that is not "none".
pub(super) fn visit(response: &ResponseBody, mut seen: impl FnMut(ErrorCode)) {
    let mut all = |codes: &mut dyn Iterator<Item = ErrorCode>| {
        codes.filter(|code| !code.is_none()).for_each(&mut seen);
    };
    let one = std::iter::once::<ErrorCode>;
    match response {
        ResponseBody::Produce(r) => {
            let partitions = r.responses.iter().flat_map(|topic| &topic.partition_responses);
            all(&mut partitions.map(|partition| partition.error_code));
        }
        ResponseBody::Fetch(r) => {
            let partitions = r.responses.iter().flat_map(|topic| &topic.partitions);
            all(&mut one(r.error_code).chain(partitions.map(|partition| partition.error_code)));
        }
        ResponseBody::ListOffsets(r) => {
            let partitions = r.topics.iter().flat_map(|topic| &topic.partitions);
            all(&mut partitions.map(|partition| partition.error_code));
        }
        ResponseBody::Metadata(r) => {
            all(&mut one(r.error_code).chain(r.topics.iter().map(|topic| topic.error_code)));
        }
        ResponseBody::OffsetCommit(r) => {
            let partitions = r.topics.iter().flat_map(|topic| &topic.partitions);
            all(&mut partitions.map(|partition| partition.error_code));
        }
        ResponseBody::OffsetFetch(r) => {
            all(&mut one(r.error_code).chain(r.groups.iter().map(|group| group.error_code)));
        }
        ResponseBody::FindCoordinator(r) => {
            let found = r.coordinators.iter().map(|coordinator| coordinator.error_code);
            all(&mut one(r.error_code).chain(found));
        }
        ResponseBody::JoinGroup(r) => all(&mut one(r.error_code)),
        ResponseBody::Heartbeat(r) => all(&mut one(r.error_code)),
        ResponseBody::LeaveGroup(r) => {
            all(&mut one(r.error_code).chain(r.members.iter().map(|member| member.error_code)));
        }
        ResponseBody::SyncGroup(r) => all(&mut one(r.error_code)),
        ResponseBody::DescribeGroups(r) => all(&mut r.groups.iter().map(|group| group.error_code)),
        ResponseBody::ListGroups(r) => all(&mut one(r.error_code)),
        ResponseBody::SaslHandshake(r) => all(&mut one(r.error_code)),
        ResponseBody::ApiVersions(r) => all(&mut one(r.error_code)),
        ResponseBody::CreateTopics(r) => all(&mut r.topics.iter().map(|topic| topic.error_code)),
        ResponseBody::DeleteTopics(r) => all(&mut r.responses.iter().map(|topic| topic.error_code)),
        ResponseBody::DeleteRecords(r) => {
            let partitions = r.topics.iter().flat_map(|topic| &topic.partitions);
            all(&mut partitions.map(|partition| partition.error_code));
        }
        ResponseBody::OffsetForLeaderEpoch(r) => {
            let partitions = r.topics.iter().flat_map(|topic| &topic.partitions);
            all(&mut partitions.map(|partition| partition.error_code));
        }
        ResponseBody::InitProducerId(r) => all(&mut one(r.error_code)),
        ResponseBody::DescribeConfigs(r) => {
            all(&mut r.results.iter().map(|resource| resource.error_code));
        }
        ResponseBody::SaslAuthenticate(r) => all(&mut one(r.error_code)),
        ResponseBody::CreatePartitions(r) => {
            all(&mut r.results.iter().map(|topic| topic.error_code));
        }
        ResponseBody::DeleteGroups(r) => all(&mut r.results.iter().map(|group| group.error_code)),
        ResponseBody::DescribeCluster(r) => all(&mut one(r.error_code)),
    }
}
