//! Compare-and-swap on the revisions of keys: the only place where it is written.
//!
//! The rule for all of it: read, decide, write if nothing that was read has changed; when it has,
//! or when the answer is unclear, read again and decide again. A decision must therefore know its
//! own effect when it meets it. A write whose fate is unclear can land later only if its compares
//! still hold, and then it is what we decided.

use async_trait::async_trait;

use crate::{
    Error,
    model::Record,
    store::{Compare, Key, MetaStore, Revision, StoreError, TXN_OPS_MAX, Txn, TxnOutcome},
};

/// How often a change is tried against others who change the same.
pub(crate) const ATTEMPTS_MAX: usize = 32;

/// From which attempt on a batch is split, so that one contended key does not hold up the others.
const SPLIT_FROM_ATTEMPT: usize = 2;

/// A value and the revision to compare.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found<T> {
    /// The value.
    pub value: T,
    /// When it was written.
    pub revision: Revision,
}

/// What to do with a key.
pub(crate) enum Step<T, R> {
    /// Write this value, then answer.
    Put(T, R),
    /// It is as it should be: answer.
    Keep(R),
}

/// Reads the value under `key`.
pub(crate) async fn read<T: Record>(
    store: &dyn MetaStore,
    key: &Key,
) -> Result<Option<Found<T>>, Error> {
    let Some(entry) = store.get(key).await? else { return Ok(None) };
    Ok(Some(Found { value: T::decode(&entry)?, revision: entry.mod_revision }))
}

/// The compare that holds as long as nobody has changed `key` since it was read as `found`.
pub(crate) fn unchanged<T>(key: Key, found: Option<&Found<T>>) -> Compare {
    Compare::unchanged(key, found.map_or(Revision::NONE, |found| found.revision))
}

/// Changes the value under one key as `decide` says.
pub(crate) async fn update<T: Record, R, E: From<Error>>(
    store: &dyn MetaStore,
    key: &Key,
    decide: impl Fn(Option<&T>) -> Result<Step<T, R>, E>,
) -> Result<R, E> {
    let mut unclear = Unclear::default();
    for _ in 0..ATTEMPTS_MAX {
        let found = read::<T>(store, key).await.map_err(|error| unclear.or(error))?;
        let (value, answer) = match decide(found.as_ref().map(|found| &found.value))? {
            Step::Put(value, answer) => (value, answer),
            Step::Keep(answer) => return Ok(answer),
        };
        let compare = unchanged(key.clone(), found.as_ref());
        let txn = Txn::new().when(compare).put(key.clone(), value.encode());
        if unclear.commit(store, txn).await?.is_some() {
            return Ok(answer);
        }
    }
    Err(unclear.or(Error::Contended { key: key.clone() }).into())
}

/// Remembers that a write of this change may have been applied.
#[derive(Default)]
pub(crate) struct Unclear(Option<StoreError>);

impl Unclear {
    /// The error to give up with: an unclear write weighs more than what came later.
    pub(crate) fn or(&self, error: Error) -> Error {
        self.0.clone().map_or(error, Error::Store)
    }

    /// The unclear write, if there was one.
    pub(crate) fn error(&self) -> Option<Error> {
        self.0.clone().map(Error::Store)
    }

    /// Whether the last write was unclear; forgets it, for a caller that repeats that very write.
    pub(crate) fn take(&mut self) -> bool {
        self.0.take().is_some()
    }

    /// Runs `txn`. `None`: read and decide again.
    pub(crate) async fn commit(
        &mut self,
        store: &dyn MetaStore,
        txn: Txn,
    ) -> Result<Option<Revision>, Error> {
        match store.txn(txn).await {
            Ok(TxnOutcome::Committed { revision }) => Ok(Some(revision)),
            Ok(TxnOutcome::Rejected { .. }) => Ok(None),
            Err(error @ StoreError::Unclear { .. }) => {
                self.0 = Some(error);
                Ok(None)
            }
            Err(error) => Err(self.or(error.into())),
        }
    }
}

/// Room in a transaction for what all its items rest on.
const SHARED_COMPARES: usize = 8;

/// What a round over some items comes to.
pub(crate) struct Round<R> {
    /// Commits all of it. Without operations: there is nothing to write.
    pub(crate) txn: Txn,
    /// What to answer then, item by item.
    pub(crate) results: Vec<R>,
}

/// A change of many keys, decided item by item, written in as few transactions as fit.
#[async_trait]
pub(crate) trait Plan: Sync {
    type Item: Clone + Sync;
    type Result: Send;

    /// Reads what is needed and decides about `items`.
    async fn round(&self, items: &[Self::Item]) -> Result<Round<Self::Result>, Error>;

    /// The answer for an item that could not be decided or written.
    fn failed(&self, error: Error) -> Self::Result;
}

/// Carries out `plan` for `items`; the results are in their order. Items share a transaction as
/// far as they fit; a transaction that meets a conflict twice is split.
pub(crate) async fn rounds<P: Plan>(
    store: &dyn MetaStore,
    plan: &P,
    items: &[P::Item],
) -> Vec<P::Result> {
    let mut results = Vec::with_capacity(items.len());
    // Runs still to do, the next one last.
    let mut todo: Vec<&[P::Item]> = items.chunks(TXN_OPS_MAX - SHARED_COMPARES).rev().collect();
    while let Some(items) = todo.pop() {
        match run(store, plan, items).await {
            Ok(some) => results.extend(some),
            Err(Stuck::TooMuch) => {
                let (first, second) = items.split_at(items.len() / 2);
                todo.extend([second, first]);
            }
            Err(Stuck::Failed(error)) => {
                results.extend(items.iter().map(|_| plan.failed(error.clone())));
            }
        }
    }
    results
}

enum Stuck {
    /// Half of it may work.
    TooMuch,
    Failed(Error),
}

async fn run<P: Plan>(
    store: &dyn MetaStore,
    plan: &P,
    items: &[P::Item],
) -> Result<Vec<P::Result>, Stuck> {
    let mut unclear = Unclear::default();
    let mut contended = Key::from("");
    for attempt in 0..ATTEMPTS_MAX {
        if attempt >= SPLIT_FROM_ATTEMPT && items.len() > 1 {
            return Err(Stuck::TooMuch);
        }
        let round = plan.round(items).await.map_err(|error| Stuck::Failed(unclear.or(error)))?;
        let Some(first) = round.txn.ops.first() else { return Ok(round.results) };
        contended = first.key().clone();
        match round.txn.check() {
            Err(StoreError::TooManyOperations { .. } | StoreError::TooLarge { .. })
                if items.len() > 1 =>
            {
                return Err(Stuck::TooMuch);
            }
            _ => {}
        }
        match unclear.commit(store, round.txn).await {
            Ok(Some(_)) => return Ok(round.results),
            Ok(None) => {}
            Err(error) => return Err(Stuck::Failed(error)),
        }
    }
    Err(Stuck::Failed(unclear.or(Error::Contended { key: contended })))
}
