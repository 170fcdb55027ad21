//! FindCoordinator: which proxy to talk to about a group. Any would do; clients spread by this.

use bytestring::ByteString;
use weir_protocol::{
    ErrorCode,
    messages::{FindCoordinatorRequest, FindCoordinatorResponse, find_coordinator::Coordinator},
};

use super::{Answer, Call, Handlers, Unanswered};
use crate::routing::Shown;

/// From this version on a request has many keys, and an answer for each.
const MANY_KEYS: i16 = 4;
/// What the answer to one key takes in memory and on the wire.
const ANSWER_BYTES: usize = 256;
const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;

pub(super) async fn handle(
    handlers: &Handlers,
    call: &Call,
    request: FindCoordinatorRequest,
) -> Result<Answer, Unanswered> {
    let shown = handlers.shown(call);
    let FindCoordinatorRequest { key, key_type, coordinator_keys } = request;
    if call.version >= MANY_KEYS {
        let memory = handlers.room(coordinator_keys.len(), ANSWER_BYTES).await?;
        let keys = coordinator_keys.into_iter();
        let coordinators = keys.map(|key| find(&shown, key, key_type)).collect();
        let body = FindCoordinatorResponse { coordinators, ..Default::default() };
        return Ok(Answer { body: body.into(), memory });
    }
    let Coordinator { node_id, host, port, error_code, error_message, .. } =
        find(&shown, key, key_type);
    Ok(Answer::of(FindCoordinatorResponse {
        error_code,
        error_message,
        node_id,
        host,
        port,
        ..FindCoordinatorResponse::default()
    }))
}

fn find(shown: &Shown, key: ByteString, key_type: i8) -> Coordinator {
    let refused = match key_type {
        GROUP => None,
        // The one code that clients take as final for a transactional producer.
        TRANSACTION => Some((
            ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
            "transactions are not supported yet",
        )),
        _ => Some((ErrorCode::INVALID_REQUEST, "there is no coordinator for this type of key")),
    };
    let node = shown.coordinator(&key);
    match (refused, shown.proxy(node)) {
        (None, Some(proxy)) => Coordinator {
            key,
            node_id: proxy.node.0 as i32,
            host: proxy.host.clone(),
            port: i32::from(proxy.port),
            error_code: ErrorCode::NONE,
            error_message: None,
        },
        (refused, _) => {
            let (error_code, message) = refused
                .unwrap_or((ErrorCode::COORDINATOR_NOT_AVAILABLE, "no proxy is known to live"));
            let error_message = Some(message.into());
            Coordinator {
                key,
                node_id: -1,
                port: -1,
                error_code,
                error_message,
                ..Default::default()
            }
        }
    }
}
