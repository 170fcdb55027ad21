//! Making the keys of new partitions.
//!
//! `logs/` keys come first, the topic's count and assignment last, so that whoever sees a partition
//! finds its log. What fits is one transaction. What does not is begun with a `creations/` key,
//! which every later transaction compares, and a single transaction requires to be absent: once it
//! has been touched by somebody who cleans up, nothing delayed can land any more, least of all on
//! the log of a partition that has been made anew and claimed since.

use std::collections::BTreeMap;

use futures::{StreamExt, TryStreamExt, stream};
use weir_ids::{LeaderEpoch, PartitionIndex, TopicId, TopicPartition};

use super::{election::Term, error::Error, local::Inner};
use crate::{
    cas::{ATTEMPTS_MAX, Unclear, read},
    model::{Assignment, Creation, Log, Record, Topic},
    store::{Compare, Key, Range, Revision, TXN_OPS_MAX, Txn},
};

/// How many partitions are made in one transaction with their topic: room is left for the keys and
/// compares beside them.
const PARTITIONS_AT_ONCE: u32 = 120;

/// How many transactions of a large topic are under way at once.
const TRANSACTIONS_AT_ONCE: usize = 8;

/// Partitions `from..topic.partitions` that are to be made.
pub(super) struct NewPartitions {
    pub(super) name: String,
    /// The topic as it is to be.
    pub(super) topic: Topic,
    /// Its assignment as it is to be.
    pub(super) assignment: Assignment,
    pub(super) from: u32,
    /// The revisions of topic and assignment as they are.
    pub(super) topic_revision: Revision,
    pub(super) assignment_revision: Revision,
}

impl NewPartitions {
    fn logs(&self, from: u32, to: u32) -> impl Iterator<Item = Key> + use<> {
        let topic = self.topic.id;
        (from..to).map(move |number| Log::key(TopicPartition::new(topic, PartitionIndex(number))))
    }

    /// The transaction that makes them visible.
    fn finish(&self) -> Txn {
        let (topic, assignment) = (Topic::key(&self.name), Assignment::key(self.topic.id));
        Txn::new()
            .when(Compare::unchanged(topic.clone(), self.topic_revision))
            .when(Compare::unchanged(assignment.clone(), self.assignment_revision))
            .put(topic, self.topic.encode())
            .put(assignment, self.assignment.encode())
    }

    /// A new partition's log: claimed first above every epoch that the topic's name has seen.
    fn log(&self) -> bytes::Bytes {
        Log::new(self.topic.highest_epoch).encode()
    }
}

impl Inner {
    /// Makes new partitions. `None`: the topic has changed meanwhile, or it is unclear; read again.
    pub(super) async fn make(
        &self,
        term: Term,
        unclear: &mut Unclear,
        new: &NewPartitions,
    ) -> Result<Option<Revision>, Error> {
        if new.topic.partitions - new.from <= PARTITIONS_AT_ONCE {
            let (log, finish) = (new.log(), new.finish());
            let logs = new.logs(new.from, new.topic.partitions);
            let alone = finish.when(Compare::absent(Creation::key(new.topic.id)));
            let txn = logs.fold(alone, |txn, key| txn.put(key, log.clone()));
            return self.commit(term, unclear, txn).await;
        }
        let made = self.make_stepwise(term, unclear, new).await;
        if !matches!(made, Ok(Some(_))) {
            self.nudge.notify_one();
        }
        made
    }

    async fn make_stepwise(
        &self,
        term: Term,
        unclear: &mut Unclear,
        new: &NewPartitions,
    ) -> Result<Option<Revision>, Error> {
        let Some(begun) = self.begin(term, new).await? else { return Ok(None) };
        let key = Creation::key(new.topic.id);
        let ours = Compare::unchanged(key.clone(), begun);
        let step = u32::try_from(TXN_OPS_MAX).unwrap_or(PARTITIONS_AT_ONCE);
        let steps = (new.from..new.topic.partitions).step_by(step as usize);
        let made: Vec<bool> = stream::iter(steps)
            .map(|from| {
                let to = new.topic.partitions.min(from + step);
                let txn = new
                    .logs(from, to)
                    .fold(Txn::new().when(ours.clone()), |txn, key| txn.put(key, new.log()));
                self.commit_surely(term, txn)
            })
            .buffered(TRANSACTIONS_AT_ONCE)
            .try_collect()
            .await?;
        if made.contains(&false) {
            return Ok(None);
        }
        self.commit(term, unclear, new.finish().when(ours).delete(key)).await
    }

    /// Writes what is about to be made; the revision of that key. `None`: read again.
    async fn begin(&self, term: Term, new: &NewPartitions) -> Result<Option<Revision>, Error> {
        let key = Creation::key(new.topic.id);
        let creation =
            Creation { name: new.name.clone(), from: new.from, to: new.topic.partitions };
        if let Some(found) = read::<Creation>(self.store(), &key).await? {
            // The same was begun before: its transactions do no harm to these.
            return Ok((found.value == creation).then_some(found.revision));
        }
        let txn = Txn::new()
            .when(Compare::unchanged(Topic::key(&new.name), new.topic_revision))
            .when(Compare::absent(key.clone()))
            .put(key, creation.encode());
        // Unclear: it is found the next time.
        self.commit(term, &mut Unclear::default(), txn).await
    }

    /// Commits a transaction that may be repeated, until it is clear what became of it.
    async fn commit_surely(&self, term: Term, txn: Txn) -> Result<bool, Error> {
        let mut unclear = Unclear::default();
        for _ in 0..ATTEMPTS_MAX {
            if self.commit(term, &mut unclear, txn.clone()).await?.is_some() {
                return Ok(true);
            }
            if !unclear.take() {
                return Ok(false);
            }
        }
        Ok(false)
    }

    /// Removes what an interrupted creation has made. The caller keeps other changes of the topic
    /// out. `false`: something is left to do.
    pub(super) async fn undo_creation(&self, term: Term, id: TopicId) -> Result<bool, Error> {
        let key = Creation::key(id);
        let Some(found) = read::<Creation>(self.store(), &key).await? else { return Ok(true) };
        let creation = found.value;
        // Touched, so that nothing delayed can land on it.
        let touch = Txn::new()
            .when(Compare::unchanged(key.clone(), found.revision))
            .put(key.clone(), creation.encode());
        let mut unclear = Unclear::default();
        let Some(touched) = self.commit(term, &mut unclear, touch).await? else {
            return Ok(false);
        };
        let topic = self.metadata.topic(&creation.name).await?;
        let counted = topic.filter(|topic| topic.value.id == id && topic.value.is_live());
        let from = counted.map_or(0, |topic| topic.value.partitions).max(creation.from);
        let first = (from > 0).then(|| TopicPartition::new(id, PartitionIndex(from - 1)));
        if !self.remove_logs(term, id, first.map(Log::key)).await? {
            return Ok(false);
        }
        let done = Txn::new().when(Compare::unchanged(key.clone(), touched)).delete(key);
        Ok(self.commit(term, &mut unclear, done).await?.is_some())
    }

    /// Removes the logs of `id` behind `after` that nobody can write any more; `false`: some are
    /// left.
    pub(super) async fn remove_logs(
        &self,
        term: Term,
        id: TopicId,
        mut after: Option<Key>,
    ) -> Result<bool, Error> {
        let (mut all, mut sealed) = (true, BTreeMap::new());
        loop {
            let mut range = Range::prefix(Log::prefix(id)).limit(TXN_OPS_MAX - 1);
            range.after = after.take();
            let page = self.store().range(range).await?;
            let mut txn = Txn::new();
            for entry in &page.entries {
                let log = Log::decode(entry).map_err(crate::Error::from)?;
                if self.is_dropped(&log, &mut sealed).await? {
                    let same = Compare::unchanged(entry.key.clone(), entry.mod_revision);
                    txn = txn.when(same).delete(entry.key.clone());
                } else {
                    all = false;
                }
            }
            if !txn.ops.is_empty() {
                all &= self.commit(term, &mut Unclear::default(), txn).await?.is_some();
            }
            match page.entries.last() {
                Some(last) if page.more => after = Some(last.key.clone()),
                _ => return Ok(all),
            }
        }
    }
}

/// The highest epoch of a page of logs.
pub(super) fn highest_epoch(logs: &[Log]) -> LeaderEpoch {
    logs.iter().map(|log| log.leader_epoch).max().unwrap_or(LeaderEpoch::NONE)
}
