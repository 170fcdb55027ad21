//! Why the controller does not do what it was asked. Each maps onto one error of Kafka.

use std::borrow::Cow;

use weir_ids::NodeId;

use super::TopicRef;
use crate::{
    model::{PARTITIONS_PER_TOPIC_MAX, TopicNameError},
    store::Remedy,
    topic_config::ConfigError,
};

/// Why the controller does not do what it was asked.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error, serde::Serialize, serde::Deserialize)]
pub enum Error {
    /// INVALID_TOPIC_EXCEPTION.
    #[error(transparent)]
    InvalidName(#[from] TopicNameError),
    /// INVALID_TOPIC_EXCEPTION: `.` and `_` are one and the same in the names of metrics.
    #[error("topic {name:?} collides with {existing:?}: '.' and '_' count as the same")]
    NameCollides {
        /// The name.
        name: String,
        /// The topic that there is.
        existing: String,
    },
    /// TOPIC_ALREADY_EXISTS.
    #[error("topic {name:?} exists already")]
    TopicExists {
        /// The name.
        name: String,
    },
    /// UNKNOWN_TOPIC_OR_PARTITION, or UNKNOWN_TOPIC_ID when it was named by id.
    #[error("there is no topic {topic}")]
    UnknownTopic {
        /// How it was named.
        topic: TopicRef,
    },
    /// INVALID_PARTITIONS.
    #[error("a topic has from 1 to {PARTITIONS_PER_TOPIC_MAX} partitions, not {asked}")]
    InvalidPartitions {
        /// How many were asked for.
        asked: i32,
    },
    /// INVALID_PARTITIONS.
    #[error("topic {name:?} has {current} partitions; the count can only grow, not become {asked}")]
    PartitionsOnlyGrow {
        /// The topic.
        name: String,
        /// How many it has.
        current: u32,
        /// How many were asked for.
        asked: i32,
    },
    /// INVALID_REPLICATION_FACTOR.
    #[error("a replication factor is from 1 to 3, not {asked}; the store replicates by itself")]
    InvalidReplicationFactor {
        /// What was asked for.
        asked: i16,
    },
    /// INVALID_REPLICA_ASSIGNMENT, or INVALID_REQUEST where counts are given as well.
    #[error("the replica assignment makes no sense: {reason}")]
    InvalidAssignment {
        /// What is wrong.
        reason: Cow<'static, str>,
    },
    /// INVALID_CONFIG.
    #[error(transparent)]
    InvalidConfig(#[from] ConfigError),
    /// INVALID_REQUEST.
    #[error("topic {name:?} belongs to weir itself: it can't be deleted, its partitions stay")]
    InternalTopic {
        /// The topic.
        name: String,
    },
    /// NOT_CONTROLLER.
    #[error("this node is not the controller; ask {}", leader.map_or("again in a while".to_owned(), |node| format!("node {node}")))]
    NotController {
        /// Who is, as far as is known.
        leader: Option<NodeId>,
    },
    /// INVALID_REPLICA_ASSIGNMENT.
    #[error("node {node} is no broker that partitions can be given to")]
    NoSuchBroker {
        /// The node.
        node: NodeId,
    },
    /// INVALID_REQUEST.
    #[error("there is no node {node}")]
    NoSuchNode {
        /// The node.
        node: NodeId,
    },
    /// UNKNOWN_TOPIC_OR_PARTITION.
    #[error("the topic has no partition {number}")]
    UnknownPartition {
        /// Its number.
        number: u32,
    },
    /// BROKER_NOT_AVAILABLE: retry.
    #[error("no broker is alive to take partitions; try again")]
    NoBrokers,
    /// A retriable error: the name is free in a moment.
    #[error("topic {name:?} is just being deleted; try again")]
    BeingDeleted {
        /// The topic.
        name: String,
    },
    /// A retriable error, unless [`Error::remedy`] says otherwise.
    #[error(transparent)]
    Metadata(#[from] crate::Error),
}

impl Error {
    /// Retry, fix or stop.
    pub fn remedy(&self) -> Remedy {
        match self {
            Error::NotController { .. } | Error::NoBrokers | Error::BeingDeleted { .. } => {
                Remedy::Retry
            }
            Error::Metadata(error) => error.remedy(),
            _ => Remedy::Fix,
        }
    }

    pub(super) fn unknown(name: &str) -> Self {
        Error::UnknownTopic { topic: TopicRef::Name(name.to_owned()) }
    }
}

impl From<crate::store::StoreError> for Error {
    fn from(error: crate::store::StoreError) -> Self {
        Error::Metadata(error.into())
    }
}
