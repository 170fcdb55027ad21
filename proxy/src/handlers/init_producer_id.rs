//! InitProducerId: a number that no producer had before.

use weir_ids::ProducerId;
use weir_protocol::{
    ErrorCode,
    messages::{InitProducerIdRequest, InitProducerIdResponse},
};

use super::{Answer, Handlers};

pub(super) async fn handle(handlers: &Handlers, request: InitProducerIdRequest) -> Answer {
    Answer::of(match check(&request) {
        Err(code) => failed(code),
        Ok(()) => match handlers.producer_ids.next().await {
            Ok(ProducerId(producer_id)) => {
                InitProducerIdResponse { producer_id, ..InitProducerIdResponse::default() }
            }
            Err(error) => {
                tracing::warn!(%error, "no producer id could be had");
                failed(ErrorCode::COORDINATOR_NOT_AVAILABLE)
            }
        },
    })
}

fn check(request: &InitProducerIdRequest) -> Result<(), ErrorCode> {
    match &request.transactional_id {
        // Kafka's own answer to an id of no characters.
        Some(id) if id.is_empty() => Err(ErrorCode::INVALID_REQUEST),
        // Transactions are not served yet. This is the code that every client takes as final.
        Some(_) => Err(ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED),
        None if (request.producer_id == -1) != (request.producer_epoch == -1) => {
            Err(ErrorCode::INVALID_REQUEST)
        }
        None => Ok(()),
    }
}

fn failed(error_code: ErrorCode) -> InitProducerIdResponse {
    InitProducerIdResponse { error_code, producer_epoch: -1, ..InitProducerIdResponse::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transactions_are_refused_for_good_and_half_an_identity_too() {
        let plain = InitProducerIdRequest { transactional_id: None, ..Default::default() };
        assert_eq!(check(&plain), Ok(()));
        let bumped = InitProducerIdRequest { producer_id: 7, producer_epoch: 3, ..plain.clone() };
        assert_eq!(check(&bumped), Ok(()), "an idempotent producer gets a new id");
        let half = InitProducerIdRequest { producer_id: 7, ..plain.clone() };
        assert_eq!(check(&half), Err(ErrorCode::INVALID_REQUEST));
        let transactional =
            |id: &str| InitProducerIdRequest { transactional_id: Some(id.into()), ..plain.clone() };
        assert_eq!(check(&transactional("")), Err(ErrorCode::INVALID_REQUEST));
        let code = check(&transactional("t")).unwrap_err();
        assert_eq!(code, ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
        assert!(!code.is_retriable());
    }
}
