//! Which Kafka error a failure is.
//!
//! One table, so that the same failure is the same code whatever request met it.

use bytestring::ByteString;
use weir_broker::client::{AppendError, ReadError, Refused};
use weir_protocol::{
    ErrorCode,
    messages::produce::{BatchIndexAndErrorMessage, PartitionProduceResponse},
    records::inspect::{Lack, Unfit},
};

/// What a Produce response says of a failed append. No offset is told.
pub(super) fn refusal(index: i32, error: &AppendError) -> PartitionProduceResponse {
    let unfit = match error {
        AppendError::Refused(Refused::Records(unfit)) => &unfit[..],
        _ => &[],
    };
    let at_fault = |unfit: &Unfit| BatchIndexAndErrorMessage {
        batch_index: unfit.index,
        batch_index_error_message: Some(unfit.lack.to_string().into()),
    };
    PartitionProduceResponse {
        record_errors: unfit.iter().map(at_fault).collect(),
        ..failed_partition(index, of_append(error), Some(error.to_string().into()))
    }
}

/// A partition of a Produce response that was not appended to.
pub(super) fn failed_partition(
    index: i32,
    error_code: ErrorCode,
    error_message: Option<ByteString>,
) -> PartitionProduceResponse {
    PartitionProduceResponse {
        index,
        error_code,
        error_message,
        base_offset: -1,
        ..PartitionProduceResponse::default()
    }
}

pub(super) fn of_append(error: &AppendError) -> ErrorCode {
    match error {
        // All retried after a look at the metadata. An unclear append may be there already: Kafka's
        // own answer to that is the same, and an idempotent producer's retry is recognised.
        AppendError::NotOwner(_) | AppendError::WrongEpoch { .. } | AppendError::Unclear(_) => {
            ErrorCode::NOT_LEADER_OR_FOLLOWER
        }
        AppendError::Refused(Refused::Batch(rejection)) => rejection.error_code(),
        // As with Kafka, the first record decides.
        AppendError::Refused(Refused::Records(unfit)) => match unfit.first() {
            Some(Unfit { lack: Lack::Timestamp { .. }, .. }) => ErrorCode::INVALID_TIMESTAMP,
            _ => ErrorCode::INVALID_RECORD,
        },
        AppendError::Refused(Refused::Unreadable(_)) => ErrorCode::INVALID_RECORD,
        // The one code that every client takes as final for a transactional producer.
        AppendError::Refused(Refused::Transactional) => {
            ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED
        }
        AppendError::OutOfOrderSequence { .. } => ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER,
        AppendError::InvalidProducerEpoch { .. } => ErrorCode::INVALID_PRODUCER_EPOCH,
        // Only a coordinator says what it expects.
        AppendError::Conflict { .. } => ErrorCode::UNKNOWN_SERVER_ERROR,
        AppendError::Storage(_) => ErrorCode::KAFKA_STORAGE_ERROR,
        AppendError::Busy => ErrorCode::REQUEST_TIMED_OUT,
    }
}

pub(super) fn of_read(error: &ReadError) -> ErrorCode {
    match error {
        ReadError::NotOwner(_) => ErrorCode::NOT_LEADER_OR_FOLLOWER,
        ReadError::OutOfRange { .. } => ErrorCode::OFFSET_OUT_OF_RANGE,
        ReadError::FencedEpoch { .. } => ErrorCode::FENCED_LEADER_EPOCH,
        ReadError::UnknownEpoch { .. } => ErrorCode::UNKNOWN_LEADER_EPOCH,
        ReadError::Storage(_) => ErrorCode::KAFKA_STORAGE_ERROR,
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;
    use weir_ids::{
        LeaderEpoch, Offset, PartitionIndex, ProducerEpoch, Sequence, Timestamp, TopicId,
        TopicPartition,
    };
    use weir_protocol::records::Rejection;

    use super::*;

    fn no_key(index: i32) -> Refused {
        Refused::Records(vec![Unfit { index, lack: Lack::Key }])
    }

    fn partition() -> TopicPartition {
        TopicPartition::new(TopicId(Uuid::from_u128(1)), PartitionIndex(0))
    }

    #[test]
    fn every_failed_append_has_its_code() {
        let epoch = LeaderEpoch(1);
        let (timestamp, from, to) = (Timestamp(1), Timestamp(5), Timestamp(9));
        let too_old = Unfit { index: 0, lack: Lack::Timestamp { timestamp, from, to } };
        let too_large = Rejection::TooLarge { bytes: 9, max_bytes: 5 };
        for (error, code) in [
            (AppendError::NotOwner(partition()), 6),
            (AppendError::Unclear(partition()), 6),
            (AppendError::WrongEpoch { partition: partition(), asked: epoch, current: epoch }, 6),
            (Refused::from(too_large).into(), 10),
            (Refused::from(Rejection::NoBatch).into(), 87),
            (Refused::from(Rejection::ZstdTooOld).into(), 76),
            (no_key(3).into(), 87),
            (Refused::Unreadable("cut".into()).into(), 87),
            (Refused::Records(vec![too_old]).into(), 32),
            (Refused::Transactional.into(), 53),
            (AppendError::OutOfOrderSequence { expected: Sequence(1), found: Sequence(3) }, 45),
            (
                AppendError::InvalidProducerEpoch {
                    current: ProducerEpoch(2),
                    found: ProducerEpoch(1),
                },
                47,
            ),
            (AppendError::Conflict { expected: Offset(1), next: Offset(2) }, -1),
            (AppendError::Storage("disk full".into()), 56),
            (AppendError::Busy, 7),
        ] {
            assert_eq!(of_append(&error).0, code, "{error}");
        }
    }

    #[test]
    fn what_may_go_away_is_retriable_and_what_never_will_is_not() {
        assert!(of_append(&AppendError::Unclear(partition())).is_retriable());
        assert!(of_append(&AppendError::Storage(String::new())).is_retriable());
        assert!(of_append(&AppendError::Busy).is_retriable());
        assert!(!of_append(&no_key(0).into()).is_retriable());
        assert!(!of_append(&Refused::Transactional.into()).is_retriable());
    }

    #[test]
    fn a_record_at_fault_is_named() {
        let response = refusal(4, &no_key(3).into());
        assert_eq!((response.index, response.base_offset), (4, -1));
        let [at_fault] = &response.record_errors[..] else { panic!("one record") };
        assert_eq!(at_fault.batch_index, 3);
        let message = at_fault.batch_index_error_message.as_deref();
        assert_eq!(message, Some("a compacted topic takes no record without a key"));
        assert!(response.error_message.is_some());
    }
}
