//! Metadata: the proxies, and topics with the leaders that this client is shown.

use std::{collections::HashSet, sync::Arc};

use weir_ids::{TopicId, TopicPartition};
use weir_meta::{
    model::check_topic_name,
    views::{Snapshot, TopicView},
};
use weir_protocol::{
    ErrorCode,
    messages::{
        MetadataRequest, MetadataResponse,
        metadata::{
            MetadataRequestTopic, MetadataResponseBroker, MetadataResponsePartition,
            MetadataResponseTopic,
        },
    },
};

use super::{Answer, Call, Handlers, Unanswered, create_topics, operations};
use crate::{
    cluster::{self, Proxy},
    routing::Shown,
};

/// Below this version an empty list means all topics.
const EMPTY_IS_NONE: i16 = 1;
/// From this version on topics can be asked for by id. Two versions before have the field already.
const BY_TOPIC_ID: i16 = 12;
/// What a topic takes in an answer, in memory and on the wire.
const TOPIC_BYTES: usize = 256;
/// What a partition takes.
const PARTITION_BYTES: usize = 192;

pub(super) async fn handle(
    handlers: &Handlers,
    call: &Call,
    request: MetadataRequest,
) -> Result<Answer, Unanswered> {
    let shown = handlers.shown(call);
    let MetadataRequest { topics, allow_auto_topic_creation, .. } = request;
    let asked_operations = request.include_topic_authorized_operations;
    let snapshot = handlers.view.now();
    let view = View { handlers, shown: &shown, snapshot, asked_operations };
    let topics = match topics {
        None => view.all(),
        Some(topics) if topics.is_empty() && call.version < EMPTY_IS_NONE => view.all(),
        Some(topics) => view.named(topics, call.version, allow_auto_topic_creation).await,
    };
    // A cluster is as large as it is: an answer beyond all memory has to wait for all of it.
    let bytes = topics.iter().map(bytes).sum::<usize>();
    let memory =
        handlers.room(bytes.min(handlers.shared.settings.response_memory_bytes), 1).await?;
    let topics = topics.into_iter().map(|found| view.answer(found, call.version)).collect();
    let cluster_operations = request.include_cluster_authorized_operations;
    let body = MetadataResponse {
        brokers: brokers(&shown),
        cluster_id: Some(handlers.cluster_id.clone()),
        controller_id: shown.controller().0 as i32,
        topics,
        cluster_authorized_operations: operations::asked(cluster_operations, operations::CLUSTER),
        ..MetadataResponse::default()
    };
    Ok(Answer { body: body.into(), memory })
}

/// A topic that was asked for, and what there is of it.
struct Found {
    asked: MetadataRequestTopic,
    topic: Result<Arc<TopicView>, ErrorCode>,
}

/// What the answer for a topic takes in memory and on the wire.
fn bytes(found: &Found) -> usize {
    let partitions = found.topic.as_ref().map_or(0, |topic| topic.partitions as usize);
    TOPIC_BYTES + partitions * PARTITION_BYTES
}

fn brokers(shown: &Shown) -> Vec<MetadataResponseBroker> {
    let broker = |proxy: &Proxy| MetadataResponseBroker {
        node_id: proxy.node.0 as i32,
        host: proxy.host.clone(),
        port: i32::from(proxy.port),
        rack: proxy.rack(),
    };
    shown.proxies().iter().map(broker).collect()
}

/// What one client sees of topics.
struct View<'a> {
    handlers: &'a Handlers,
    shown: &'a Shown,
    snapshot: Arc<Snapshot>,
    asked_operations: bool,
}

impl View<'_> {
    fn all(&self) -> Vec<Found> {
        let found = |topic: &Arc<TopicView>| Found {
            asked: MetadataRequestTopic::default(),
            topic: Ok(Arc::clone(topic)),
        };
        self.snapshot.topics().map(found).collect()
    }

    /// What was asked for, each topic once.
    async fn named(
        &self,
        topics: Vec<MetadataRequestTopic>,
        version: i16,
        may_create: bool,
    ) -> Vec<Found> {
        let may_create = may_create && self.handlers.shared.settings.auto_create_topics;
        let mut seen = HashSet::with_capacity(topics.len());
        let once =
            topics.into_iter().filter(|asked| seen.insert((asked.topic_id, asked.name.clone())));
        let find = |asked| Found { topic: self.find(&asked, version, may_create), asked };
        let mut found: Vec<_> = once.map(find).collect();
        self.create(&mut found).await;
        found
    }

    fn answer(&self, found: Found, version: i16) -> MetadataResponseTopic {
        match found.topic {
            Ok(topic) => self.topic(&topic),
            Err(code) => missing(code, found.asked, version),
        }
    }

    /// A topic by name or id; LEADER_NOT_AVAILABLE for one that is to be created.
    fn find(
        &self,
        asked: &MetadataRequestTopic,
        version: i16,
        may_create: bool,
    ) -> Result<Arc<TopicView>, ErrorCode> {
        let MetadataRequestTopic { topic_id, name } = asked;
        let by_id = *topic_id != TopicId::NIL;
        if (by_id || name.is_none()) && version < BY_TOPIC_ID {
            return Err(ErrorCode::INVALID_REQUEST);
        }
        let Some(name) = name.as_deref().filter(|_| !by_id) else {
            let found = self.snapshot.topic_by_id(*topic_id).cloned();
            return found.ok_or(ErrorCode::UNKNOWN_TOPIC_ID);
        };
        match self.snapshot.topic(name) {
            Some(topic) => Ok(Arc::clone(topic)),
            None if check_topic_name(name).is_err() => Err(ErrorCode::INVALID_TOPIC_EXCEPTION),
            None if may_create => Err(ErrorCode::LEADER_NOT_AVAILABLE),
            None => Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
        }
    }

    /// Creates what was not found and may be created.
    async fn create(&self, found: &mut [Found]) {
        let to_create =
            |found: &Found| found.topic.as_ref().err() == Some(&ErrorCode::LEADER_NOT_AVAILABLE);
        let names = found.iter().filter(|found| to_create(found));
        let names: Vec<_> = names.filter_map(|found| found.asked.name.clone()).collect();
        if names.is_empty() {
            return;
        }
        create_topics::by_use(self.handlers, &names).await;
        for found in found.iter_mut().filter(|found| to_create(found)) {
            let name = found.asked.name.as_deref().unwrap_or_default();
            found.topic = create_topics::found(self.handlers, name);
        }
    }

    fn topic(&self, topic: &TopicView) -> MetadataResponseTopic {
        let partitions =
            cluster::partitions(topic).map(|partition| self.partition(topic, partition)).collect();
        MetadataResponseTopic {
            error_code: ErrorCode::NONE,
            name: Some((*topic.name).into()),
            topic_id: topic.id,
            is_internal: topic.internal,
            partitions,
            topic_authorized_operations: operations::asked(
                self.asked_operations,
                operations::TOPIC,
            ),
        }
    }

    fn partition(&self, topic: &TopicView, partition: TopicPartition) -> MetadataResponsePartition {
        let leader = self.shown.leader(partition, self.snapshot.assigned(partition));
        let count = usize::try_from(topic.replication_factor).unwrap_or(1);
        let replicas = self.shown.replicas(partition, leader, count);
        let replicas: Vec<i32> = replicas.into_iter().map(|node| node.0 as i32).collect();
        MetadataResponsePartition {
            error_code: ErrorCode::NONE,
            partition_index: partition.partition.0 as i32,
            leader_id: leader.0 as i32,
            leader_epoch: self.handlers.owners.epoch(partition).0,
            isr_nodes: replicas.clone(),
            replica_nodes: replicas,
            offline_replicas: Vec::new(),
        }
    }
}

/// A topic that is not there, by what it was asked for.
fn missing(
    error_code: ErrorCode,
    asked: MetadataRequestTopic,
    version: i16,
) -> MetadataResponseTopic {
    let MetadataRequestTopic { topic_id, name } = asked;
    // Only later versions can say "no name".
    let name = if version < BY_TOPIC_ID { Some(name.unwrap_or_default()) } else { name };
    MetadataResponseTopic { error_code, name, topic_id, ..MetadataResponseTopic::default() }
}
