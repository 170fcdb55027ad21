//! CreatePartitions: more partitions for topics that are there.

use futures::{StreamExt, stream};
use tokio::time::Instant;
use weir_meta::controller::CreatePartitions;
use weir_protocol::{
    ErrorCode,
    messages::{
        CreatePartitionsRequest, CreatePartitionsResponse,
        create_partitions::{
            CreatePartitionsAssignment, CreatePartitionsTopic, CreatePartitionsTopicResult,
        },
    },
};

use super::{
    Answer, Handlers,
    admin::{self, Failure},
    create_topics::{apart, twice},
};

/// How many topics of a request grow at the same time.
const AT_ONCE: usize = 8;

pub(super) async fn handle(handlers: &Handlers, request: CreatePartitionsRequest) -> Answer {
    let deadline = admin::deadline(request.timeout_ms);
    let validate_only = request.validate_only;
    let (topics, repeated) = apart(request.topics, |topic| &topic.name);
    let grown = topics.into_iter().map(|topic| async move {
        let name = topic.name.clone();
        let grown = grow(handlers, topic, validate_only, deadline).await;
        CreatePartitionsTopicResult { name, ..result(grown) }
    });
    let grown: Vec<_> = grown.collect();
    let mut results: Vec<_> = stream::iter(grown).buffered(AT_ONCE).collect().await;
    let refused = |name| CreatePartitionsTopicResult { name, ..result(Err(twice())) };
    results.extend(repeated.into_iter().map(refused));
    Answer::of(CreatePartitionsResponse { results, ..CreatePartitionsResponse::default() })
}

fn result(grown: Result<(), Failure>) -> CreatePartitionsTopicResult {
    let (error_code, error_message) = match grown {
        Ok(()) => (ErrorCode::NONE, None),
        Err((code, message)) => (code, Some(message.into())),
    };
    CreatePartitionsTopicResult { error_code, error_message, ..Default::default() }
}

async fn grow(
    handlers: &Handlers,
    topic: CreatePartitionsTopic,
    validate_only: bool,
    deadline: Instant,
) -> Result<(), Failure> {
    let CreatePartitionsTopic { name, count, assignments } = topic;
    let brokers = |wanted: Vec<CreatePartitionsAssignment>| {
        wanted.into_iter().map(|one| one.broker_ids).collect()
    };
    let wanted = CreatePartitions {
        topic: name.to_string(),
        total: count,
        assignments: assignments.map(brokers),
        validate_only,
    };
    let ask = || handlers.controller.create_partitions(wanted.clone());
    admin::change(deadline, ask).await?;
    let id = handlers.view.with(|snapshot| snapshot.topic(&name).map(|topic| topic.id));
    match (id, u32::try_from(count)) {
        (Some(id), Ok(count)) if !validate_only => {
            admin::until_served(handlers, id, 0..count, deadline).await
        }
        _ => Ok(()),
    }
}
