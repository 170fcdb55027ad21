//! Transactions: compares, then writes, all or nothing.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::{Key, LeaseId, Revision, StoreError};

/// How many operations, and how many compares, fit in a transaction: etcd's default limit.
pub const TXN_OPS_MAX: usize = 128;

/// How many bytes of keys and values fit in a transaction: below etcd's 1.5 MiB a request.
pub const TXN_BYTES_MAX: usize = 1_400_000;

/// What must hold for a transaction to write.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Compare {
    /// Of which key.
    pub key: Key,
    /// What.
    pub condition: Condition,
}

/// A condition on one key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Condition {
    /// Last written at this revision; [`Revision::NONE`]: absent.
    ModRevision(Revision),
    /// There is such a key.
    Present,
}

impl Compare {
    /// `key` was last written at `revision`, or is absent if that is [`Revision::NONE`].
    pub fn unchanged(key: impl Into<Key>, revision: Revision) -> Self {
        Self { key: key.into(), condition: Condition::ModRevision(revision) }
    }

    /// There is no `key`.
    pub fn absent(key: impl Into<Key>) -> Self {
        Self::unchanged(key, Revision::NONE)
    }

    /// There is a `key`.
    pub fn present(key: impl Into<Key>) -> Self {
        Self { key: key.into(), condition: Condition::Present }
    }

    /// Whether it holds for a key last written at `found` ([`Revision::NONE`]: absent).
    pub fn holds(&self, found: Revision) -> bool {
        match self.condition {
            Condition::ModRevision(wanted) => found == wanted,
            Condition::Present => found != Revision::NONE,
        }
    }
}

/// One write.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Op {
    /// Writes a key. Without a lease, it leaves the one that it was attached to.
    Put {
        /// The key.
        key: Key,
        /// Its new value.
        value: Bytes,
        /// The lease to attach it to.
        lease: Option<LeaseId>,
    },
    /// Deletes a key, if it is there.
    Delete {
        /// The key.
        key: Key,
    },
}

impl Op {
    /// The key that it writes.
    pub fn key(&self) -> &Key {
        match self {
            Op::Put { key, .. } | Op::Delete { key } => key,
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Op::Put { key, value, .. } => key.as_str().len() + value.len(),
            Op::Delete { key } => key.as_str().len(),
        }
    }
}

/// Compares and the writes that depend on them.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
#[must_use = "a transaction does nothing until it is given to a store"]
pub struct Txn {
    /// What must hold.
    pub compares: Vec<Compare>,
    /// What is then written.
    pub ops: Vec<Op>,
}

impl Txn {
    /// A transaction that does nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes only if `compare` holds too.
    pub fn when(mut self, compare: Compare) -> Self {
        self.compares.push(compare);
        self
    }

    /// Also writes `key`.
    pub fn put(mut self, key: impl Into<Key>, value: impl Into<Bytes>) -> Self {
        self.ops.push(Op::Put { key: key.into(), value: value.into(), lease: None });
        self
    }

    /// Also writes `key`, which goes with `lease`.
    pub fn put_leased(
        mut self,
        key: impl Into<Key>,
        value: impl Into<Bytes>,
        lease: LeaseId,
    ) -> Self {
        self.ops.push(Op::Put { key: key.into(), value: value.into(), lease: Some(lease) });
        self
    }

    /// Also deletes `key`.
    pub fn delete(mut self, key: impl Into<Key>) -> Self {
        self.ops.push(Op::Delete { key: key.into() });
        self
    }

    /// Checks what every store limits. An implementation calls it before anything else.
    ///
    /// # Errors
    /// [`StoreError::TooManyOperations`], [`StoreError::TooLarge`], [`StoreError::DuplicateKey`].
    pub fn check(&self) -> Result<(), StoreError> {
        let count = self.compares.len().max(self.ops.len());
        if count > TXN_OPS_MAX {
            return Err(StoreError::TooManyOperations { count, max: TXN_OPS_MAX });
        }
        let compared: usize = self.compares.iter().map(|compare| compare.key.as_str().len()).sum();
        let bytes = compared + self.ops.iter().map(Op::bytes).sum::<usize>();
        if bytes > TXN_BYTES_MAX {
            return Err(StoreError::TooLarge { bytes, max: TXN_BYTES_MAX });
        }
        let mut written = BTreeSet::new();
        match self.ops.iter().find(|op| !written.insert(op.key())) {
            Some(twice) => Err(StoreError::DuplicateKey { key: twice.key().clone() }),
            None => Ok(()),
        }
    }
}

/// What became of a transaction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TxnOutcome {
    /// Every compare held, and it wrote.
    Committed {
        /// The revision of what it wrote; the store's revision if nothing changed.
        revision: Revision,
    },
    /// A compare did not hold: nothing was written.
    Rejected {
        /// The store's revision at that time.
        revision: Revision,
    },
}

impl TxnOutcome {
    /// Whether it wrote.
    pub fn is_committed(self) -> bool {
        matches!(self, TxnOutcome::Committed { .. })
    }

    /// The revision at which it was judged.
    pub fn revision(self) -> Revision {
        match self {
            TxnOutcome::Committed { revision } | TxnOutcome::Rejected { revision } => revision,
        }
    }
}
