//! Deleting topics.
//!
//! 1. *Mark*: one transaction sets the topic's state to *deleting*, removes its assignment and notes
//!    the deletion (`deletions/{id}`). From then on no claim of its partitions can succeed (a claim
//!    requires the assignment), and views no longer show it.
//! 2. *Free the name*: the epochs of its logs can't grow any more; the highest becomes the floor
//!    for the next topic of that name, whose state is now *gone*. Here the client gets its answer.
//! 3. *Owners drop*: a broker whose view no longer shows the topic stops serving its partitions and
//!    confirms by setting their logs to *dropped*.
//! 4. *Remove*: the driver removes each log that nobody can write any more: dropped, released,
//!    never claimed, or of a session whose WAL is sealed; and at last the note of the deletion.
//!
//! An elected controller goes on wherever an earlier one stopped.

use std::collections::BTreeMap;

use weir_ids::{SessionId, TopicId};

use super::{DeletedTopic, Error, TopicRef, election::Term, local::Inner, partitions};
use crate::{
    cas::{ATTEMPTS_MAX, Unclear},
    model::{Assignment, Deletion, Log, LogState, Owner, Record, Topic, TopicState},
    store::{Compare, Txn, list},
};

impl Inner {
    pub(super) async fn delete_topic(&self, wanted: TopicRef) -> Result<DeletedTopic, Error> {
        let term = self.term()?;
        let name = match &wanted {
            TopicRef::Name(name) => name.clone(),
            TopicRef::Id(id) => {
                let known = self.view.with(|now| now.topic_by_id(*id).map(|t| t.name.to_string()));
                known.ok_or_else(|| Error::UnknownTopic { topic: wanted.clone() })?
            }
        };
        let deleted = self.delete_named(term, &name, &wanted).await;
        // Also after a failure: whatever has been marked is to be finished.
        self.nudge.notify_one();
        let id = deleted?;
        self.forget_loads();
        tracing::info!(%name, %id, "topic deleted");
        Ok(DeletedTopic { name, id })
    }

    async fn delete_named(
        &self,
        term: Term,
        name: &str,
        wanted: &TopicRef,
    ) -> Result<TopicId, Error> {
        let _alone = self.lock_name(name).await;
        let id = self.mark(term, name, wanted).await?;
        self.free_name(term, name, id).await?;
        Ok(id)
    }

    async fn mark(&self, term: Term, name: &str, wanted: &TopicRef) -> Result<TopicId, Error> {
        let (key, mut unclear) = (Topic::key(name), Unclear::default());
        let mut marked = None;
        for _ in 0..ATTEMPTS_MAX {
            let found = self.metadata.topic(name).await.map_err(|error| unclear.or(error))?;
            let ours = found.as_ref().map(|found| (found.value.id, found.value.state));
            if marked.is_some_and(|id| ours == Some((id, TopicState::Deleting))) {
                return marked.ok_or_else(|| Error::unknown(name));
            }
            let unknown = || Error::UnknownTopic { topic: wanted.clone() };
            let found = found.filter(|found| found.value.is_live()).ok_or_else(unknown)?;
            let id = found.value.id;
            if matches!(wanted, TopicRef::Id(wanted) if *wanted != id) {
                return Err(unknown());
            }
            if found.value.internal {
                return Err(Error::InternalTopic { name: name.to_owned() });
            }
            let topic = Topic { state: TopicState::Deleting, ..found.value };
            let deletion = Deletion { name: name.to_owned() };
            let txn = Txn::new()
                .when(Compare::unchanged(key.clone(), found.revision))
                .put(key.clone(), topic.encode())
                .put(Deletion::key(id), deletion.encode())
                .delete(Assignment::key(id));
            if self.commit(term, &mut unclear, txn).await?.is_some() {
                return Ok(id);
            }
            marked = Some(id);
        }
        Err(unclear.or(crate::Error::Contended { key }).into())
    }

    /// Lets the name of a topic that is marked be used again. The caller keeps other changes of the
    /// topic out.
    pub(super) async fn free_name(&self, term: Term, name: &str, id: TopicId) -> Result<(), Error> {
        let (key, mut unclear) = (Topic::key(name), Unclear::default());
        for _ in 0..ATTEMPTS_MAX {
            let found = self.metadata.topic(name).await.map_err(|error| unclear.or(error))?;
            let marked =
                found.filter(|f| f.value.id == id && f.value.state == TopicState::Deleting);
            let Some(found) = marked else { return Ok(()) };
            let (logs, _) = list(self.store(), &Log::prefix(id)).await?;
            let logs: Result<Vec<Log>, _> = logs.iter().map(Log::decode).collect();
            let used = partitions::highest_epoch(&logs.map_err(crate::Error::from)?);
            let topic = Topic {
                state: TopicState::Gone,
                highest_epoch: found.value.highest_epoch.max(used),
                configs: Default::default(),
                ..found.value
            };
            let same = Compare::unchanged(key.clone(), found.revision);
            let txn = Txn::new().when(same).put(key.clone(), topic.encode());
            if self.commit(term, &mut unclear, txn).await?.is_some() {
                return Ok(());
            }
        }
        Err(unclear.or(crate::Error::Contended { key }).into())
    }

    /// Whether nobody can write `log` any more, given that nobody can claim it. `sealed` remembers
    /// which sessions have been looked up.
    pub(super) async fn is_dropped(
        &self,
        log: &Log,
        sealed: &mut BTreeMap<SessionId, bool>,
    ) -> Result<bool, Error> {
        let owner = match log.state {
            LogState::Dropped | LogState::Released { .. } => return Ok(true),
            LogState::Open => log.owner,
        };
        let Some(Owner { session, .. }) = owner else { return Ok(true) };
        if let Some(known) = sealed.get(&session) {
            return Ok(*known);
        }
        let wal = self.metadata.wal(session).await?;
        let is_sealed = wal.is_none_or(|wal| wal.value.sealed.is_some());
        sealed.insert(session, is_sealed);
        Ok(is_sealed)
    }

    /// Removes what is left of a deleted topic, as far as its owners have let go. `false`:
    /// something is left.
    pub(super) async fn remove(
        &self,
        term: Term,
        id: TopicId,
        deletion: &Deletion,
    ) -> Result<bool, Error> {
        {
            let _alone = self.lock_name(&deletion.name).await;
            self.free_name(term, &deletion.name, id).await?;
        }
        if !self.remove_logs(term, id, None).await? {
            return Ok(false);
        }
        let done = Txn::new().delete(Deletion::key(id));
        Ok(self.commit(term, &mut Unclear::default(), done).await?.is_some())
    }
}
