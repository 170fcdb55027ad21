//! What the requests that change topics have in common: who is asked, how long, and when a topic
//! is there for clients.
//!
//! A change is done when the controller says so and this proxy sees it; a new partition is there
//! when its owner answers for it. A client that was told "created" can produce at once.

use std::{ops::Range, time::Duration};

use tokio::time::{Instant, sleep};
use weir_broker::client::ReadError;
use weir_ids::{PartitionIndex, TopicId, TopicPartition};
use weir_meta::{controller, store::Remedy};
use weir_protocol::ErrorCode;

use super::{Handlers, owners};

/// How long a change or a new partition is waited for between two looks, at first and at most.
const PAUSE: Range<Duration> = Duration::from_millis(5)..Duration::from_millis(100);

/// What went wrong, in Kafka's words and in ours.
pub(super) type Failure = (ErrorCode, String);

/// When a request with this timeout is answered at the latest.
pub(super) fn deadline(timeout_ms: i32) -> Instant {
    Instant::now() + Duration::from_millis(u64::try_from(timeout_ms).unwrap_or(0))
}

/// Asks the controller, and asks again until `deadline` as long as it can't be reached or is busy
/// with the same name and has surely changed nothing.
pub(super) async fn change<T, F>(deadline: Instant, ask: impl Fn() -> F) -> Result<T, Failure>
where
    F: Future<Output = Result<T, controller::Error>>,
{
    let mut pause = PAUSE.start;
    loop {
        let error = match ask().await {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        let unclear = matches!(&error, controller::Error::Metadata(error) if error.is_unclear());
        let again = error.remedy() == Remedy::Retry && !unclear;
        if !again || Instant::now() + pause > deadline {
            return Err((code(&error), error.to_string()));
        }
        sleep(pause).await;
        pause = (pause * 2).min(PAUSE.end);
    }
}

/// Which Kafka error a refusal of the controller is.
pub(super) fn code(error: &controller::Error) -> ErrorCode {
    use controller::{Error, TopicRef};
    match error {
        Error::InvalidName(_) | Error::NameCollides { .. } => ErrorCode::INVALID_TOPIC_EXCEPTION,
        Error::TopicExists { .. } => ErrorCode::TOPIC_ALREADY_EXISTS,
        Error::UnknownTopic { topic: TopicRef::Name(_) } | Error::UnknownPartition { .. } => {
            ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
        }
        Error::UnknownTopic { topic: TopicRef::Id(_) } => ErrorCode::UNKNOWN_TOPIC_ID,
        Error::InvalidPartitions { .. } | Error::PartitionsOnlyGrow { .. } => {
            ErrorCode::INVALID_PARTITIONS
        }
        Error::InvalidReplicationFactor { .. } => ErrorCode::INVALID_REPLICATION_FACTOR,
        Error::InvalidAssignment { .. } | Error::NoSuchBroker { .. } => {
            ErrorCode::INVALID_REPLICA_ASSIGNMENT
        }
        Error::InvalidConfig(_) => ErrorCode::INVALID_CONFIG,
        Error::InternalTopic { .. } | Error::NoSuchNode { .. } => ErrorCode::INVALID_REQUEST,
        Error::NotController { .. } => ErrorCode::NOT_CONTROLLER,
        // Both go away by themselves, and this code is retried by every client.
        Error::NoBrokers | Error::BeingDeleted { .. } => ErrorCode::REQUEST_TIMED_OUT,
        Error::Metadata(error) => match error.remedy() {
            Remedy::Retry => ErrorCode::REQUEST_TIMED_OUT,
            Remedy::Fix | Remedy::Stop => ErrorCode::UNKNOWN_SERVER_ERROR,
        },
    }
}

/// Waits until the owners of a topic's partitions answer for them.
pub(super) async fn until_served(
    handlers: &Handlers,
    topic: TopicId,
    partitions: Range<u32>,
    deadline: Instant,
) -> Result<(), Failure> {
    let seen = handlers.view.wait_for(deadline, |snapshot| {
        let view = snapshot.topic_by_id(topic)?;
        let assigned = snapshot.assignment(topic)?.len();
        (view.partitions >= partitions.end && assigned >= partitions.end as usize).then_some(())
    });
    let late = || {
        let message = "it is recorded, but not all partitions could be reached in time";
        (ErrorCode::REQUEST_TIMED_OUT, message.to_owned())
    };
    seen.await.ok_or_else(late)?;
    let partition = |index| TopicPartition::new(topic, PartitionIndex(index));
    let mut missing: Vec<TopicPartition> = partitions.map(partition).collect();
    let mut pause = PAUSE.start;
    loop {
        missing = unanswered(handlers, missing).await;
        if missing.is_empty() {
            return Ok(());
        }
        if Instant::now() + pause > deadline {
            return Err(late());
        }
        sleep(pause).await;
        pause = (pause * 2).min(PAUSE.end);
    }
}

/// The partitions that nobody answers for.
async fn unanswered(handlers: &Handlers, partitions: Vec<TopicPartition>) -> Vec<TopicPartition> {
    let told = owners::offsets(handlers, &partitions).await;
    let missing =
        |told: &Result<_, _>| matches!(told, Err(ReadError::NotOwner(_) | ReadError::Storage(_)));
    partitions.into_iter().zip(told).filter(|(_, told)| missing(told)).map(|(p, _)| p).collect()
}

/// Waits until this proxy sees the deletion of a topic.
pub(super) async fn until_gone(handlers: &Handlers, topic: TopicId, deadline: Instant) {
    let gone =
        |snapshot: &weir_meta::views::Snapshot| snapshot.topic_by_id(topic).is_none().then_some(());
    // The deletion is recorded: who looks elsewhere sees it already.
    let _ = handlers.view.wait_for(deadline, gone).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_have_kafkas_codes() {
        use controller::{Error, TopicRef};
        let name = || "t".to_owned();
        for (error, code) in [
            (Error::TopicExists { name: name() }, 36),
            (Error::UnknownTopic { topic: TopicRef::Name(name()) }, 3),
            (Error::UnknownTopic { topic: TopicRef::Id(TopicId::NIL) }, 100),
            (Error::InvalidPartitions { asked: 0 }, 37),
            (Error::InvalidReplicationFactor { asked: 4 }, 38),
            (Error::InvalidAssignment { reason: "".into() }, 39),
            (Error::InternalTopic { name: name() }, 42),
            (Error::NotController { leader: None }, 41),
            (Error::NoBrokers, 7),
            (Error::BeingDeleted { name: name() }, 7),
        ] {
            assert_eq!(super::code(&error).0, code, "{error}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_goes_away_is_asked_again_until_the_deadline() {
        let asked = std::cell::Cell::new(0);
        let ask = async |succeeds_at| {
            asked.set(asked.get() + 1);
            if asked.get() < succeeds_at { Err(controller::Error::NoBrokers) } else { Ok(()) }
        };
        assert_eq!(change(deadline(1000), || ask(4)).await, Ok(()));
        asked.set(0);
        let began = Instant::now();
        let failed = change(deadline(1000), || ask(i32::MAX)).await.unwrap_err();
        assert_eq!(failed.0, ErrorCode::REQUEST_TIMED_OUT);
        assert!(began.elapsed() <= Duration::from_secs(1) && asked.get() > 5);
        let exists = || async { Err::<(), _>(controller::Error::TopicExists { name: "t".into() }) };
        let failed = change(deadline(1000), exists).await.unwrap_err();
        assert_eq!(failed.0, ErrorCode::TOPIC_ALREADY_EXISTS);
    }
}
