//! Creating the topics, as an admin client does.

use std::time::Duration;

use tokio::time::sleep;
use weir_protocol::{
    ErrorCode,
    messages::{
        CreateTopicsRequest,
        create_topics::{CreatableTopic, CreatableTopicConfig},
    },
};

use super::{Shared, directory::Directory};

const VERSION: i16 = 5;
const PAUSE: Duration = Duration::from_millis(200);

/// Creates all topics of the run, however often it takes.
pub(crate) async fn create(shared: &Shared, client: u16) {
    let directory = Directory::new(shared, client);
    let mut missing: Vec<(&str, u32)> = shared.topics.all().collect();
    while !missing.is_empty() {
        let topics = missing.iter().map(|(name, partitions)| CreatableTopic {
            name: (*name).into(),
            num_partitions: *partitions as i32,
            replication_factor: 1,
            configs: configs(shared.topics.retention_bytes(name)),
            ..Default::default()
        });
        let request = CreateTopicsRequest {
            topics: topics.collect(),
            timeout_ms: 2000,
            ..Default::default()
        };
        if let Ok(answer) = directory.ask(directory.any(), VERSION, &request).await {
            let created = |name: &str| {
                answer.topics.iter().any(|topic| {
                    let done = topic.error_code == ErrorCode::NONE
                        || topic.error_code == ErrorCode::TOPIC_ALREADY_EXISTS;
                    done && &*topic.name == name
                })
            };
            missing.retain(|(name, _)| !created(name));
        }
        sleep(PAUSE).await;
    }
}

fn configs(retention_bytes: Option<u64>) -> Vec<CreatableTopicConfig> {
    let set = |bytes: u64| CreatableTopicConfig {
        name: "retention.bytes".into(),
        value: Some(bytes.to_string().into()),
    };
    retention_bytes.map(set).into_iter().collect()
}
