//! The state machine behind [`Memory`](super::Memory) and [`Embedded`](super::Embedded).
//!
//! Owns what the keys hold now, and the leases. Pure: no I/O, no clock, no threads; `now` comes
//! with each command. Cloning costs nothing (persistent maps), so an owner applies commands to a
//! copy, makes the [`Change`]s durable, and only then publishes the copy.
//!
//! Invariants:
//! - the revision grows by exactly one with each command that writes or deletes a key, and with
//!   each lease that takes keys away; every change of one revision carries that revision;
//! - a key names a lease if and only if that lease lists the key;
//! - leases end in the order of their deadlines.

use std::{sync::Arc, time::Duration};

use imbl::{OrdMap, OrdSet};
use tokio::time::Instant;

use super::{
    Entry, Key, LeaseId, Op, PAGE_ENTRIES_MAX, Page, Range, Revision, StoreError, Txn, TxnOutcome,
};

/// What a store is asked to change.
#[derive(Clone, Debug)]
pub(super) enum Command {
    Txn(Txn),
    Grant {
        ttl: Duration,
    },
    KeepAlive {
        lease: LeaseId,
    },
    Revoke {
        lease: LeaseId,
    },
    /// Nothing but ending the leases that are due.
    Expire,
}

/// What it answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Answer {
    pub(super) outcome: TxnOutcome,
    /// The lease granted last: by this command, if it asked for one.
    pub(super) lease: LeaseId,
}

/// A difference that a command made: what has to be durable, and what history keeps.
#[derive(Clone, Debug)]
pub(super) enum Change {
    Put { entry: Arc<Entry>, before: Option<Arc<Entry>> },
    Delete { before: Arc<Entry>, revision: Revision },
    LeaseGranted { lease: LeaseId, ttl: Duration },
    LeaseEnded { lease: LeaseId },
}

#[derive(Clone)]
struct Lease {
    ttl: Duration,
    deadline: Instant,
    keys: OrdSet<Key>,
}

/// What the keys hold at one revision. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Machine {
    entries: OrdMap<Key, Arc<Entry>>,
    leases: OrdMap<LeaseId, Lease>,
    deadlines: OrdSet<(Instant, LeaseId)>,
    revision: Revision,
    /// The lease granted last; 0 before the first.
    last_lease: u64,
}

impl Machine {
    /// An empty machine that goes on from `revision` and `last_lease`.
    pub(super) fn resume(revision: Revision, last_lease: u64) -> Self {
        Self { revision, last_lease, ..Self::default() }
    }

    /// Takes back a lease that was stored; it has its whole time again from `now`.
    pub(super) fn restore_lease(&mut self, lease: LeaseId, ttl: Duration, now: Instant) {
        let deadline = now + ttl;
        self.deadlines.insert((deadline, lease));
        self.leases.insert(lease, Lease { ttl, deadline, keys: OrdSet::new() });
    }

    /// Takes back an entry that was stored. Leases come first.
    pub(super) fn restore_entry(&mut self, entry: Entry) -> Result<(), StoreError> {
        if let Some(lease) = entry.lease {
            let found = self.leases.get_mut(&lease);
            found.ok_or(StoreError::LeaseNotFound { lease })?.keys.insert(entry.key.clone());
        }
        self.entries.insert(entry.key.clone(), Arc::new(entry));
        Ok(())
    }

    pub(super) fn revision(&self) -> Revision {
        self.revision
    }

    pub(super) fn last_lease(&self) -> u64 {
        self.last_lease
    }

    /// When the next lease is due.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.get_min().map(|(deadline, _)| *deadline)
    }

    pub(super) fn get(&self, key: &str) -> Option<&Arc<Entry>> {
        self.entries.get(key)
    }

    /// A page as of now; `range.at` is the caller's business.
    pub(super) fn page(&self, range: &Range) -> Page {
        let mut found = self.entries_from(range).map(|entry| Entry::clone(entry));
        let entries: Vec<Entry> = found.by_ref().take(range.limit.min(PAGE_ENTRIES_MAX)).collect();
        Page { more: found.next().is_some(), entries, revision: self.revision }
    }

    /// The entries of `range` from its start, in order, without its limit.
    pub(super) fn entries_from<'a>(
        &'a self,
        range: &'a Range,
    ) -> impl Iterator<Item = &'a Arc<Entry>> {
        use std::ops::Bound;
        let start = match &range.after {
            Some(key) if key.as_str() >= range.prefix.as_str() => Bound::Excluded(key.as_str()),
            _ => Bound::Included(range.prefix.as_str()),
        };
        self.entries
            .range::<_, str>((start, Bound::Unbounded))
            .map(|(_, entry)| entry)
            .take_while(|entry| entry.key.as_str().starts_with(&range.prefix))
    }

    /// Carries out `command` at `now`; what it changed is added to `changes`, nothing if it fails.
    /// Leases that are due are the caller's business: [`Machine::expire`] comes first.
    pub(super) fn apply(
        &mut self,
        command: &Command,
        now: Instant,
        changes: &mut Vec<Change>,
    ) -> Result<Answer, StoreError> {
        let mut rejected = None;
        match command {
            Command::Txn(txn) => {
                rejected = Some(self.txn(txn, changes)?).filter(|o| !o.is_committed())
            }
            Command::Grant { ttl } => self.grant(*ttl, now, changes),
            Command::KeepAlive { lease } => self.keep_alive(*lease, now)?,
            Command::Revoke { lease } if self.leases.contains_key(lease) => {
                self.end_lease(*lease, changes);
            }
            Command::Revoke { lease } => return Err(StoreError::LeaseNotFound { lease: *lease }),
            Command::Expire => {}
        }
        let outcome = rejected.unwrap_or(TxnOutcome::Committed { revision: self.revision });
        Ok(Answer { outcome, lease: LeaseId(self.last_lease) })
    }

    fn txn(&mut self, txn: &Txn, changes: &mut Vec<Change>) -> Result<TxnOutcome, StoreError> {
        txn.check()?;
        let found = |key: &Key| self.get(key.as_str()).map_or(Revision::NONE, |e| e.mod_revision);
        if !txn.compares.iter().all(|compare| compare.holds(found(&compare.key))) {
            return Ok(TxnOutcome::Rejected { revision: self.revision });
        }
        let mut leases = txn.ops.iter().filter_map(|op| match op {
            Op::Put { lease, .. } => *lease,
            Op::Delete { .. } => None,
        });
        if let Some(lease) = leases.find(|lease| !self.leases.contains_key(lease)) {
            return Err(StoreError::LeaseNotFound { lease });
        }
        let (revision, already) = (self.revision.next(), changes.len());
        for op in &txn.ops {
            match op {
                Op::Put { key, value, lease } => {
                    self.put(key, value.clone(), *lease, revision, changes);
                }
                Op::Delete { key } => self.delete(key, revision, changes),
            }
        }
        if changes.len() > already {
            self.revision = revision;
        }
        Ok(TxnOutcome::Committed { revision: self.revision })
    }

    fn put(
        &mut self,
        key: &Key,
        value: bytes::Bytes,
        lease: Option<LeaseId>,
        revision: Revision,
        changes: &mut Vec<Change>,
    ) {
        let before = self.entries.get(key.as_str()).cloned();
        self.detach(key, before.as_deref());
        if let Some(lease) = lease.and_then(|lease| self.leases.get_mut(&lease)) {
            lease.keys.insert(key.clone());
        }
        let entry = Arc::new(Entry {
            key: key.clone(),
            value,
            create_revision: before.as_ref().map_or(revision, |entry| entry.create_revision),
            mod_revision: revision,
            version: before.as_ref().map_or(1, |entry| entry.version + 1),
            lease,
        });
        self.entries.insert(key.clone(), Arc::clone(&entry));
        changes.push(Change::Put { entry, before });
    }

    fn delete(&mut self, key: &Key, revision: Revision, changes: &mut Vec<Change>) {
        if let Some(before) = self.entries.remove(key.as_str()) {
            self.detach(key, Some(&before));
            changes.push(Change::Delete { before, revision });
        }
    }

    /// Takes `key` from the lease that it is attached to.
    fn detach(&mut self, key: &Key, entry: Option<&Entry>) {
        let lease = entry.and_then(|entry| entry.lease);
        if let Some(lease) = lease.and_then(|lease| self.leases.get_mut(&lease)) {
            lease.keys.remove(key);
        }
    }

    fn grant(&mut self, ttl: Duration, now: Instant, changes: &mut Vec<Change>) {
        self.last_lease += 1;
        let lease = LeaseId(self.last_lease);
        self.restore_lease(lease, ttl, now);
        changes.push(Change::LeaseGranted { lease, ttl });
    }

    fn keep_alive(&mut self, lease: LeaseId, now: Instant) -> Result<(), StoreError> {
        let found = self.leases.get_mut(&lease).ok_or(StoreError::LeaseNotFound { lease })?;
        let was = std::mem::replace(&mut found.deadline, now + found.ttl);
        let is = found.deadline;
        self.deadlines.remove(&(was, lease));
        self.deadlines.insert((is, lease));
        Ok(())
    }

    /// Ends the leases that are due at `now`.
    pub(super) fn expire(&mut self, now: Instant, changes: &mut Vec<Change>) {
        while let Some((deadline, lease)) = self.deadlines.get_min().copied() {
            if deadline > now {
                return;
            }
            self.end_lease(lease, changes);
        }
    }

    fn end_lease(&mut self, lease: LeaseId, changes: &mut Vec<Change>) {
        let Some(ended) = self.leases.remove(&lease) else { return };
        self.deadlines.remove(&(ended.deadline, lease));
        changes.push(Change::LeaseEnded { lease });
        if ended.keys.is_empty() {
            return;
        }
        self.revision = self.revision.next();
        for key in &ended.keys {
            if let Some(before) = self.entries.remove(key.as_str()) {
                changes.push(Change::Delete { before, revision: self.revision });
            }
        }
    }
}
