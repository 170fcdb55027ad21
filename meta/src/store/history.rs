//! What happened lately: feeds watches, and shows earlier revisions.
//!
//! Invariant: it holds every change of every revision above [`History::compacted`], in order, and
//! nothing of the revisions up to it. Bounded by count and bytes; the oldest revision goes first,
//! whole.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use super::{
    Batch, Entry, Event, Key, PAGE_ENTRIES_MAX, Page, Range, Revision, StoreError,
    WATCH_BATCH_EVENTS_MAX,
    machine::{Change, Machine},
};

/// How many changes are kept.
pub const HISTORY_EVENTS_MAX: usize = 20_000;

/// How many bytes of keys and values are kept with them.
pub const HISTORY_BYTES_MAX: usize = 8 << 20;

/// One change of one key.
struct Record {
    revision: Revision,
    key: Key,
    before: Option<Arc<Entry>>,
    after: Option<Arc<Entry>>,
}

impl Record {
    fn bytes(&self) -> usize {
        let value = |entry: &Option<Arc<Entry>>| entry.as_ref().map_or(0, |e| e.value.len());
        self.key.as_str().len() + value(&self.before) + value(&self.after)
    }

    fn event(&self) -> Event {
        match &self.after {
            Some(entry) => Event::Put(Entry::clone(entry)),
            None => Event::Delete { key: self.key.clone(), revision: self.revision },
        }
    }
}

/// The changes that are still known.
pub(super) struct History {
    records: VecDeque<Record>,
    bytes: usize,
    compacted: Revision,
}

impl History {
    /// A history that begins behind `revision`.
    pub(super) fn after(revision: Revision) -> Self {
        Self { records: VecDeque::new(), bytes: 0, compacted: revision }
    }

    /// Adds what a command changed.
    pub(super) fn extend(&mut self, changes: Vec<Change>) {
        for change in changes {
            let record = match change {
                Change::Put { entry, before } => Record {
                    revision: entry.mod_revision,
                    key: entry.key.clone(),
                    before,
                    after: Some(entry),
                },
                Change::Delete { before, revision } => {
                    Record { revision, key: before.key.clone(), before: Some(before), after: None }
                }
                Change::LeaseGranted { .. } | Change::LeaseEnded { .. } => continue,
            };
            self.bytes += record.bytes();
            self.records.push_back(record);
        }
        self.trim();
    }

    fn trim(&mut self) {
        while self.records.len() > HISTORY_EVENTS_MAX || self.bytes > HISTORY_BYTES_MAX {
            let Some(oldest) = self.records.front().map(|record| record.revision) else { return };
            while let Some(record) = self.records.pop_front_if(|r| r.revision == oldest) {
                self.bytes -= record.bytes();
            }
            self.compacted = oldest;
        }
    }

    /// The changes under `prefix` from `from` on, about a batch of them; `from` moves behind what
    /// was looked at.
    pub(super) fn since(
        &self,
        prefix: &str,
        from: &mut Revision,
    ) -> Result<Option<Batch>, StoreError> {
        if *from <= self.compacted {
            return Err(StoreError::Compacted { oldest: self.compacted.next() });
        }
        let start = self.records.partition_point(|record| record.revision < *from);
        let mut events = Vec::new();
        for record in self.records.range(start..) {
            if events.len() >= WATCH_BATCH_EVENTS_MAX && record.revision >= *from {
                break;
            }
            *from = record.revision.next();
            if record.key.as_str().starts_with(prefix) {
                events.push(record.event());
            }
        }
        let revision = events.last().map(Event::revision);
        Ok(revision.map(|revision| Batch { revision, events }))
    }

    /// The page of `range` as of revision `at`: today's with the later changes undone.
    pub(super) fn page_at(
        &self,
        at: Revision,
        range: &Range,
        today: &Machine,
    ) -> Result<Page, StoreError> {
        if at > today.revision() {
            return Err(StoreError::FutureRevision { asked: at, newest: today.revision() });
        }
        if at < self.compacted {
            return Err(StoreError::Compacted { oldest: self.compacted.next() });
        }
        let mut undone: BTreeMap<&str, Option<&Arc<Entry>>> = BTreeMap::new();
        let later = self.records.iter().rev().take_while(|record| record.revision > at);
        for record in later.filter(|record| in_range(record.key.as_str(), range)) {
            undone.insert(record.key.as_str(), record.before.as_ref());
        }
        let changed: Vec<&Arc<Entry>> = undone.values().copied().flatten().collect();
        let same = today.entries_from(range).filter(|e| !undone.contains_key(e.key.as_str()));
        let mut merged = merge(same, changed.into_iter());
        let entries: Vec<Entry> = merged
            .by_ref()
            .take(range.limit.min(PAGE_ENTRIES_MAX))
            .map(|entry| Entry::clone(entry))
            .collect();
        Ok(Page { more: merged.next().is_some(), entries, revision: at })
    }
}

fn in_range(key: &str, range: &Range) -> bool {
    key.starts_with(&range.prefix) && range.after.as_ref().is_none_or(|after| key > after.as_str())
}

/// Two runs of entries in key order, without a key in common, as one.
fn merge<'a>(
    left: impl Iterator<Item = &'a Arc<Entry>>,
    right: impl Iterator<Item = &'a Arc<Entry>>,
) -> impl Iterator<Item = &'a Arc<Entry>> {
    let (mut left, mut right) = (left.peekable(), right.peekable());
    std::iter::from_fn(move || match (left.peek(), right.peek()) {
        (Some(l), Some(r)) if r.key < l.key => right.next(),
        (Some(_), _) => left.next(),
        (None, _) => right.next(),
    })
}
