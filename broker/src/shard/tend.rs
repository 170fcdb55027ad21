//! What keeps in order what partitions refer to: folds, pages, log compaction, retention.

use std::ops::Bound;

use tokio::sync::oneshot;
use weir_ids::{Timestamp, TopicPartition};

use super::{Gone, LogStart, Message, Shard, ShardHandle};
use crate::{
    compaction::Dirty,
    fold::{Due, DuePage, FoldSettings, Folded, Paged, Wanted},
    partition::{Expired, Partition},
};

/// What is asked of a shard, and told.
pub(super) enum Tend {
    Expired(Timestamp, oneshot::Sender<Vec<Expired>>),
    StartAt(Vec<LogStart>),
    Due(FoldSettings, Wanted, Option<TopicPartition>, oneshot::Sender<Vec<Due>>),
    Folded(Vec<Folded>, oneshot::Sender<Vec<bool>>),
    Dirty(Option<TopicPartition>, u64, Timestamp, oneshot::Sender<Option<Dirty>>),
    DuePages(usize, usize, oneshot::Sender<Vec<DuePage>>),
    Paged(Vec<Paged>, oneshot::Sender<Vec<TopicPartition>>),
}

impl ShardHandle {
    /// What may have to go of its partitions by their topics' rules, `now`.
    ///
    /// # Errors
    /// When the shard has ended.
    pub(crate) async fn expired(&self, now: Timestamp) -> Result<Vec<Expired>, Gone> {
        let (answer, answered) = oneshot::channel();
        self.send(Message::Tend(Tend::Expired(now, answer)));
        answered.await.map_err(|_| Gone)
    }

    /// A checkpoint has been published that says that logs begin here.
    pub(crate) fn start_at(&self, starts: Vec<LogStart>) {
        self.send(Message::Tend(Tend::StartAt(starts)));
    }

    /// What its partitions behind `after` have that is wanted, in their order, until that is enough for one object.
    ///
    /// # Errors
    /// When the shard has ended.
    pub(crate) async fn due(
        &self,
        settings: FoldSettings,
        wanted: Wanted,
        after: Option<TopicPartition>,
    ) -> Result<Vec<Due>, Gone> {
        let (answer, answered) = oneshot::channel();
        self.send(Message::Tend(Tend::Due(settings, wanted, after, answer)));
        answered.await.map_err(|_| Gone)
    }

    /// The first of its partitions behind `after` that is worth a pass of log compaction: less than `least_bytes` waits for
    /// a while. `None` for `after` begins a round.
    ///
    /// # Errors
    /// When the shard has ended.
    pub(crate) async fn dirty(
        &self,
        after: Option<TopicPartition>,
        least_bytes: u64,
        now: Timestamp,
    ) -> Result<Option<Dirty>, Gone> {
        let (answer, answered) = oneshot::channel();
        self.send(Message::Tend(Tend::Dirty(after, least_bytes, now, answer)));
        answered.await.map_err(|_| Gone)
    }

    /// These have been folded. Returns for each whether the partition refers to what was made of it from now on.
    ///
    /// # Errors
    /// When the shard has ended.
    pub(crate) async fn folded(&self, folded: Vec<Folded>) -> Result<Vec<bool>, Gone> {
        let (answer, answered) = oneshot::channel();
        self.send(Message::Tend(Tend::Folded(folded, answer)));
        answered.await.map_err(|_| Gone)
    }

    /// What new pages of so many entries are to list of its partitions; `most` pages of different partitions.
    ///
    /// # Errors
    /// When the shard has ended.
    pub(crate) async fn due_pages(
        &self,
        entries: usize,
        most: usize,
    ) -> Result<Vec<DuePage>, Gone> {
        let (answer, answered) = oneshot::channel();
        self.send(Message::Tend(Tend::DuePages(entries, most, answer)));
        answered.await.map_err(|_| Gone)
    }

    /// These pages are written. Returns the partitions that refer to them from now on.
    ///
    /// # Errors
    /// When the shard has ended.
    pub(crate) async fn paged(&self, paged: Vec<Paged>) -> Result<Vec<TopicPartition>, Gone> {
        let (answer, answered) = oneshot::channel();
        self.send(Message::Tend(Tend::Paged(paged, answer)));
        answered.await.map_err(|_| Gone)
    }
}

impl Shard {
    pub(super) fn handle_tend(&mut self, tend: Tend) {
        match tend {
            Tend::Expired(now, answer) => drop(answer.send(self.expired(now))),
            Tend::StartAt(starts) => self.handle_start_at(starts),
            Tend::Due(settings, wanted, after, answer) => {
                let _ = answer.send(self.due(settings, &wanted, after));
            }
            Tend::Dirty(after, least_bytes, now, answer) => {
                let _ = answer.send(self.dirty(after, least_bytes, now));
            }
            Tend::Folded(folded, answer) => drop(answer.send(self.handle_folded(folded))),
            Tend::DuePages(entries, most, answer) => {
                let _ = answer.send(self.due_pages(entries, most));
            }
            Tend::Paged(paged, answer) => drop(answer.send(self.handle_paged(paged))),
        }
    }

    fn expired(&self, now: Timestamp) -> Vec<Expired> {
        self.partitions.values().filter_map(|partition| partition.expired(now)).collect()
    }

    fn handle_start_at(&mut self, starts: Vec<LogStart>) {
        for LogStart { partition, epoch, offset } in starts {
            let found = self.partitions.get_mut(&partition);
            if let Some(found) = found.filter(|found| found.epoch() == epoch) {
                found.start_at(offset);
            }
        }
    }

    fn due(
        &self,
        settings: FoldSettings,
        wanted: &Wanted,
        after: Option<TopicPartition>,
    ) -> Vec<Due> {
        let behind = after.map_or(Bound::Unbounded, Bound::Excluded);
        let partitions = self.partitions.range((behind, Bound::Unbounded));
        let mut bytes = 0;
        let dues = partitions.filter_map(|(_, partition)| partition.due(&settings.rule, wanted));
        dues.take_while(|due| {
            let fits = bytes < settings.object_bytes;
            bytes += due.bytes();
            fits
        })
        .collect()
    }

    fn dirty(
        &mut self,
        after: Option<TopicPartition>,
        least_bytes: u64,
        now: Timestamp,
    ) -> Option<Dirty> {
        if after.is_none() {
            self.partitions.values_mut().for_each(Partition::end_compaction);
        }
        let behind = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut partitions = self.partitions.range_mut((behind, Bound::Unbounded));
        partitions.find_map(|(_, partition)| partition.dirty(least_bytes, now))
    }

    fn handle_folded(&mut self, folded: Vec<Folded>) -> Vec<bool> {
        let replace = |folded: Folded| {
            let found = self.partitions.get_mut(&folded.due.partition);
            found.is_some_and(|partition| partition.folded(folded))
        };
        folded.into_iter().map(replace).collect()
    }

    fn due_pages(&self, entries: usize, most: usize) -> Vec<DuePage> {
        let due = self.partitions.values().filter_map(|partition| partition.due_page(entries));
        due.take(most).collect()
    }

    fn handle_paged(&mut self, paged: Vec<Paged>) -> Vec<TopicPartition> {
        let page_off = |paged: Paged| {
            let id = paged.due.page.partition;
            self.partitions.get_mut(&id)?.paged(&paged).then_some(id)
        };
        paged.into_iter().filter_map(page_off).collect()
    }
}
