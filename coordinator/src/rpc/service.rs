//! What a node with the coordinator role offers.

use std::sync::Arc;

use weir_protocol::{
    ApiKey, Message, Request as Asked,
    messages::{
        DeleteGroupsRequest, DescribeGroupsRequest, HeartbeatRequest, JoinGroupRequest,
        LeaveGroupRequest, ListGroupsRequest, OffsetCommitRequest, OffsetFetchRequest,
        SyncGroupRequest,
    },
};
use weir_rpc::{
    MESSAGE_BYTES_MAX,
    promptness::ProcessClock,
    tonic::{self, Request, Response, Status},
};
use weir_runtime::Runtime;

use super::wire::{Answer, Question, coordinator_server};
use crate::{Caller, CoordinatorClient};

/// The service of `coordinator` in this process.
pub fn service(
    coordinator: Arc<dyn CoordinatorClient>,
    runtime: &Runtime,
) -> coordinator_server::CoordinatorServer<Service> {
    // Zero is nobody's.
    let clock = ProcessClock::new(runtime.random_u64() | 1);
    coordinator_server::CoordinatorServer::new(Service { coordinator, clock })
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(MESSAGE_BYTES_MAX)
}

/// See the module.
pub struct Service {
    coordinator: Arc<dyn CoordinatorClient>,
    clock: ProcessClock,
}

/// Decodes what is asked, asks it, encodes the answer.
macro_rules! relay {
    ($this:ident, $question:ident, $($request:ident => $method:ident),* $(,)?) => {{
        let version = i16::try_from($question.version);
        let version = version.map_err(|_| Status::invalid_argument("no such version"))?;
        let caller = Caller {
            client_id: $question.client_id.into(),
            client_host: $question.client_host.into(),
            api_version: version,
        };
        match i16::try_from($question.api).ok().and_then(ApiKey::from_key) {
            $(Some(<$request as Asked>::API) => {
                let request = $request::decode_versioned($question.request);
                let request = request.map_err(|error| Status::invalid_argument(error.to_string()))?;
                let answer = $this.coordinator.$method(caller, request).await;
                answer.encode_versioned(version)
            })*
            _ => return Err(Status::unimplemented("this is none of a group's requests")),
        }
    }};
}

#[tonic::async_trait]
impl coordinator_server::Coordinator for Service {
    async fn ask(&self, request: Request<Question>) -> Result<Response<Answer>, Status> {
        let question = request.into_inner();
        let begin_by = question.begin_by.map(Into::into);
        if begin_by.is_some_and(|begin_by| self.clock.is_past(begin_by)) {
            let now = Some(self.clock.now().into());
            return Ok(Response::new(Answer { now, is_late: true, ..Answer::default() }));
        }
        let response = relay!(self, question,
            JoinGroupRequest => join_group,
            SyncGroupRequest => sync_group,
            HeartbeatRequest => heartbeat,
            LeaveGroupRequest => leave_group,
            OffsetCommitRequest => offset_commit,
            OffsetFetchRequest => offset_fetch,
            DescribeGroupsRequest => describe_groups,
            ListGroupsRequest => list_groups,
            DeleteGroupsRequest => delete_groups,
        );
        let response = response.map_err(|error| Status::internal(error.to_string()))?;
        let now = Some(self.clock.now().into());
        Ok(Response::new(Answer { response, now, is_late: false }))
    }
}
