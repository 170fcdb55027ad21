//! What a controller can be asked, and what it answers.

use serde::{Deserialize, Serialize};
use weir_ids::{NodeId, SessionId, TopicId};

use super::{
    AlterConfigs, CreatePartitions, CreateTopic, CreatedTopic, DeletedTopic, Error, LoadReport,
    TopicRef,
};
use crate::store::StoreError;

/// What the controller is asked; see [`Controller`](super::Controller).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Question {
    /// Create a topic.
    CreateTopic(CreateTopic),
    /// Delete one.
    DeleteTopic(TopicRef),
    /// Raise its partition count.
    CreatePartitions(CreatePartitions),
    /// Change its configs.
    AlterConfigs(AlterConfigs),
    /// A session's broker can't be reached.
    ReportBroken(SessionId),
    /// What a broker has to do.
    ReportLoad(LoadReport),
    /// Give partitions to other nodes.
    MovePartitions(MovePartitions),
    /// Take everything from a node, or let it have something again.
    Drain(Drain),
}

/// What it answers, if it is no error.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Reply {
    /// A topic was created, or could be.
    Created(CreatedTopic),
    /// A topic was deleted.
    Deleted(DeletedTopic),
    /// What was asked for is done, or recorded to be done.
    Done,
}

impl Reply {
    pub(super) fn created(self) -> Result<CreatedTopic, Error> {
        match self {
            Reply::Created(created) => Ok(created),
            other => Err(other.strange()),
        }
    }

    pub(super) fn deleted(self) -> Result<DeletedTopic, Error> {
        match self {
            Reply::Deleted(deleted) => Ok(deleted),
            other => Err(other.strange()),
        }
    }

    pub(super) fn done(self) -> Result<(), Error> {
        match self {
            Reply::Done => Ok(()),
            other => Err(other.strange()),
        }
    }

    /// An answer to another question: what became of this one is not known.
    fn strange(self) -> Error {
        let reason = format!("the controller answers another question: {self:?}");
        StoreError::Unclear { reason }.into()
    }
}

/// Partitions that are to have another node.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct MovePartitions {
    /// Of which topic.
    pub topic: TopicId,
    /// Which of it.
    pub partitions: Vec<u32>,
    /// Where to.
    pub to: NodeId,
}

/// Whether a node is to have partitions, groups and clients.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Drain {
    /// Which.
    pub node: NodeId,
    /// `true`: it is to have none. This lasts, also when the node is restarted.
    pub drain: bool,
}
