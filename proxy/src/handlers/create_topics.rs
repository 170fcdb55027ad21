//! CreateTopics, and the creation of a topic by its first use.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
    time::Duration,
};

use bytestring::ByteString;
use futures::{StreamExt, stream};
use tokio::time::Instant;
use weir_meta::{
    controller::{CreateTopic, CreatedTopic, ManualAssignment},
    topic_config::TOPIC_CONFIGS,
    views::TopicView,
};
use weir_protocol::{
    ErrorCode,
    messages::{
        CreateTopicsRequest, CreateTopicsResponse,
        create_topics::{CreatableTopic, CreatableTopicConfigs, CreatableTopicResult},
    },
};

use super::{
    Answer, Handlers, Unanswered,
    admin::{self, Failure},
    describe_configs::source,
};

/// What the result of one topic, with all its configs, takes in memory and on the wire.
const RESULT_BYTES: usize = 8 * 1024;
/// How many topics of a request are created at the same time.
const AT_ONCE: usize = 8;
/// How many topics one Metadata request may bring into being; the rest have to be asked for again.
const BY_USE_MAX: usize = 100;
/// How long a Metadata request waits for the topics that it has created.
const BY_USE_WAIT: Duration = Duration::from_secs(5);

pub(super) async fn handle(
    handlers: &Handlers,
    request: CreateTopicsRequest,
) -> Result<Answer, Unanswered> {
    let memory = handlers.room(request.topics.len(), RESULT_BYTES).await?;
    let deadline = admin::deadline(request.timeout_ms);
    let validate_only = request.validate_only;
    let (topics, repeated) = apart(request.topics, |topic| &topic.name);
    let created = topics.into_iter().map(|topic| async move {
        let name = topic.name.clone();
        let created = match plan(topic, validate_only) {
            Ok(wanted) => create(handlers, wanted, deadline).await,
            Err(failure) => Err(failure),
        };
        result(name, created)
    });
    let created: Vec<_> = created.collect();
    let mut topics: Vec<_> = stream::iter(created).buffered(AT_ONCE).collect().await;
    topics.extend(repeated.into_iter().map(|name| result(name, Err(twice()))));
    let body = CreateTopicsResponse { topics, ..CreateTopicsResponse::default() };
    Ok(Answer { body: body.into(), memory })
}

/// What is named once, and the names of what is named more often: no answer to one of those would
/// be the answer to the other.
pub(super) fn apart<T>(
    wanted: Vec<T>,
    name: impl Fn(&T) -> &ByteString,
) -> (Vec<T>, Vec<ByteString>) {
    let mut seen = HashSet::with_capacity(wanted.len());
    let mut repeated = HashSet::new();
    for one in &wanted {
        if !seen.insert(name(one).clone()) {
            repeated.insert(name(one).clone());
        }
    }
    let once = wanted.into_iter().filter(|one| !repeated.contains(name(one))).collect();
    let mut repeated: Vec<_> = repeated.into_iter().collect();
    repeated.sort_unstable();
    (once, repeated)
}

pub(super) fn twice() -> Failure {
    (ErrorCode::INVALID_REQUEST, "the topic is named twice in the request".to_owned())
}

/// What the controller is asked for.
fn plan(topic: CreatableTopic, validate_only: bool) -> Result<CreateTopic, Failure> {
    let CreatableTopic { name, num_partitions, replication_factor, assignments, configs } = topic;
    if !assignments.is_empty() && (num_partitions != -1 || replication_factor != -1) {
        let message = "give partitions and replication factor as -1 along with an assignment";
        return Err((ErrorCode::INVALID_REQUEST, message.to_owned()));
    }
    let assignments = assignments.into_iter().map(|wanted| ManualAssignment {
        partition: wanted.partition_index,
        brokers: wanted.broker_ids,
    });
    let mut set = BTreeMap::new();
    for config in configs {
        let Some(value) = config.value else {
            let message = format!("config {} has no value", config.name);
            return Err((ErrorCode::INVALID_CONFIG, message));
        };
        set.insert(config.name.to_string(), value.to_string());
    }
    Ok(CreateTopic {
        name: name.to_string(),
        partitions: Some(num_partitions),
        replication_factor: Some(replication_factor),
        assignments: assignments.collect(),
        configs: set,
        internal: false,
        validate_only,
    })
}

async fn create(
    handlers: &Handlers,
    wanted: CreateTopic,
    deadline: Instant,
) -> Result<CreatedTopic, Failure> {
    let validate_only = wanted.validate_only;
    let ask = || handlers.controller.create_topic(wanted.clone());
    let created = admin::change(deadline, ask).await?;
    if !validate_only {
        admin::until_served(handlers, created.id, 0..created.partitions, deadline).await?;
    }
    Ok(created)
}

fn result(name: ByteString, created: Result<CreatedTopic, Failure>) -> CreatableTopicResult {
    match created {
        Ok(created) => CreatableTopicResult {
            name,
            topic_id: created.id,
            error_message: None,
            num_partitions: i32::try_from(created.partitions).unwrap_or(i32::MAX),
            replication_factor: created.replication_factor,
            configs: Some(configs(&created.configs)),
            ..CreatableTopicResult::default()
        },
        Err((error_code, message)) => CreatableTopicResult {
            name,
            error_code,
            error_message: Some(message.into()),
            ..CreatableTopicResult::default()
        },
    }
}

/// All configs of a topic, set or not.
fn configs(set: &BTreeMap<String, String>) -> Vec<CreatableTopicConfigs> {
    let shown = |config: &weir_meta::topic_config::ConfigDefinition| {
        let set = set.get(config.name);
        CreatableTopicConfigs {
            name: ByteString::from_static(config.name),
            value: Some(set.map_or(ByteString::from_static(config.default), |v| v.as_str().into())),
            read_only: false,
            config_source: if set.is_some() { source::TOPIC } else { source::DEFAULT },
            is_sensitive: false,
        }
    };
    TOPIC_CONFIGS.iter().map(shown).collect()
}

/// Creates topics because a client has asked for their metadata, as many as one request may. Those
/// that are there afterwards are found in the view.
pub(super) async fn by_use(handlers: &Handlers, names: &[ByteString]) {
    let deadline = Instant::now() + BY_USE_WAIT;
    let created = names.iter().take(BY_USE_MAX).map(|name| async move {
        let wanted = CreateTopic { name: name.to_string(), ..CreateTopic::default() };
        match create(handlers, wanted, deadline).await {
            Ok(_) | Err((ErrorCode::TOPIC_ALREADY_EXISTS, _)) => {}
            Err((_, reason)) => tracing::info!(%name, reason, "topic not created by its first use"),
        }
    });
    let created: Vec<_> = created.collect();
    stream::iter(created).buffer_unordered(AT_ONCE).collect::<Vec<()>>().await;
}

/// A topic that was just created by use.
pub(super) fn found(handlers: &Handlers, name: &str) -> Result<Arc<TopicView>, ErrorCode> {
    handlers
        .view
        .with(|snapshot| snapshot.topic(name).cloned())
        .ok_or(ErrorCode::LEADER_NOT_AVAILABLE)
}
