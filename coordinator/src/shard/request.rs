//! What a shard is asked, and how each question is refused.

use tokio::sync::oneshot;

use crate::{
    group::{
        Described, Error, GroupId, Identity, Join, JoinAnswer, JoinRefused, Leaving, Sync, Synced,
    },
    groups::Listed,
    records::{Committed, OffsetKey},
};

/// Where an answer goes. Whoever asked may be gone.
pub(crate) type Answer<T> = oneshot::Sender<Result<T, Error>>;

/// A question to a shard.
pub(crate) enum Request {
    /// Only: load, if that is not done.
    Load,
    /// A member joins.
    Join(GroupId, Join, oneshot::Sender<JoinAnswer>),
    /// A member asks for its assignment.
    Sync(GroupId, Sync, Answer<Synced>),
    /// A member lives.
    Heartbeat(GroupId, Identity, Answer<()>),
    /// Members leave: one result each.
    Leave(GroupId, Vec<Leaving>, Answer<Vec<Result<(), Error>>>),
    /// Offsets are to be kept.
    Commit(GroupId, Identity, Vec<(OffsetKey, Committed)>, Answer<()>),
    /// What is kept of these; one answer a key.
    Fetch(GroupId, Vec<OffsetKey>, Answer<Vec<Option<Committed>>>),
    /// All that is kept.
    FetchAll(GroupId, Answer<Vec<(OffsetKey, Committed)>>),
    /// What these groups look like; one answer a group, `None` if it is not there.
    Describe(Vec<GroupId>, Answer<Vec<Option<Described>>>),
    /// Which groups there are.
    List(Answer<Vec<Listed>>),
    /// A group is to be deleted.
    Delete(GroupId, Answer<()>),
}

impl Request {
    /// Sends the question back.
    pub(crate) fn refuse(self, error: Error) {
        // Whoever asked may be gone.
        let _ = match self {
            Self::Load => true,
            Self::Join(_, _, to) => to.send(Err(JoinRefused { error, member: None })).is_ok(),
            Self::Sync(_, _, to) => to.send(Err(error)).is_ok(),
            // As Kafka does: a member that is told of the loading would leave its group for it.
            Self::Heartbeat(_, _, to) if error == Error::Loading => to.send(Ok(())).is_ok(),
            Self::Heartbeat(_, _, to) => to.send(Err(error)).is_ok(),
            Self::Leave(_, _, to) => to.send(Err(error)).is_ok(),
            Self::Commit(_, _, _, to) => to.send(Err(error)).is_ok(),
            Self::Fetch(_, _, to) => to.send(Err(error)).is_ok(),
            Self::FetchAll(_, to) => to.send(Err(error)).is_ok(),
            Self::Describe(_, to) => to.send(Err(error)).is_ok(),
            Self::List(to) => to.send(Err(error)).is_ok(),
            Self::Delete(_, to) => to.send(Err(error)).is_ok(),
        };
    }
}
