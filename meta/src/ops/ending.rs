//! Who may end a session that is not its own, and forgetting the sessions that have ended.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use weir_ids::{ClaimNumber, NodeId, SessionId};

use crate::{
    Error, Metadata,
    cas::{self, Plan, Round, read},
    model::{Condemned, Log, Record, Wal},
    store::{Compare, MetaStore, Range, Txn, list},
};

impl Metadata {
    /// Whether others may end `session`.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn is_condemned(&self, session: SessionId) -> Result<bool, Error> {
        Ok(self.store().get(&Condemned::key(session)).await?.is_some())
    }

    /// Whether the broker on `node` whose session is `own` may end `session`: it is condemned, or
    /// an earlier one of that node, which runs one after the other.
    ///
    /// What may be ended is a matter of who is available. That nothing is lost when a live session
    /// is ended is the fence's business.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn may_end(
        &self,
        node: NodeId,
        own: SessionId,
        session: SessionId,
    ) -> Result<bool, Error> {
        let wal = self.wal(session).await?;
        let is_earlier = session < own && wal.is_some_and(|wal| wal.value.node == Some(node));
        Ok(is_earlier || self.is_condemned(session).await?)
    }

    /// Sessions before `own` that ran on `node` and that nobody has ended.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn unsealed_before(
        &self,
        node: NodeId,
        own: SessionId,
    ) -> Result<BTreeSet<SessionId>, Error> {
        let (entries, _) = list(self.store(), Wal::PREFIX).await?;
        let mut earlier = BTreeSet::new();
        for entry in &entries {
            let Some(session) = Wal::session(&entry.key).filter(|it| *it < own) else { continue };
            let wal = Wal::decode(entry)?;
            if wal.node == Some(node) && wal.sealed.is_none() {
                earlier.insert(session);
            }
        }
        Ok(earlier)
    }

    /// Forgets those of `sessions` that are sealed and that no partition's log needs: their `wals/`
    /// and `condemned/` keys go. What they left in the store must be gone by then, but for what can
    /// be told from its name to be a dead session's. Returns which are forgotten; others may be
    /// later.
    ///
    /// # Errors
    /// [`Error`]; some may have been forgotten then.
    pub async fn remove_wals(
        &self,
        sessions: &BTreeSet<SessionId>,
    ) -> Result<BTreeSet<SessionId>, Error> {
        let removable: Vec<SessionId> = self.unneeded(sessions).await?.into_iter().collect();
        let results = cas::rounds(self.store(), &Removal { store: self.store() }, &removable).await;
        let mut removed = BTreeSet::new();
        for (session, result) in removable.into_iter().zip(results) {
            if result? {
                removed.insert(session);
            }
        }
        Ok(removed)
    }

    /// Those of `sessions` that have ended and that no log needs.
    ///
    /// Once that is so it stays so, hence logs may be read one after the other: who has ended claims
    /// no more, and what an owner has adopted stays adopted. The WALs are read first, so that what
    /// they say of an owner still holds when its log is read.
    async fn unneeded(&self, sessions: &BTreeSet<SessionId>) -> Result<BTreeSet<SessionId>, Error> {
        let (entries, _) = list(self.store(), Wal::PREFIX).await?;
        let (mut adopted, mut unneeded) = (BTreeMap::new(), BTreeSet::new());
        for entry in &entries {
            let Some(session) = Wal::session(&entry.key) else { continue };
            let wal = Wal::decode(entry)?;
            adopted.insert(session, wal.adopted_through());
            if wal.sealed.is_some() && sessions.contains(&session) {
                unneeded.insert(session);
            }
        }
        let mut range = Range::prefix(Log::PREFIX);
        loop {
            let page = self.store().range(range).await?;
            for entry in &page.entries {
                let log = Log::decode(entry)?;
                let Some(owner) = log.owner else { continue };
                let adopted = adopted.get(&owner.session).copied().unwrap_or(ClaimNumber::NONE);
                let named = log.inherited.iter().map(|part| part.session).chain([owner.session]);
                for session in named.filter(|session| log.needs(*session, adopted)) {
                    unneeded.remove(&session);
                }
            }
            match page.entries.last() {
                Some(last) if page.more => {
                    range = Range::prefix(Log::PREFIX).after(last.key.clone());
                }
                _ => return Ok(unneeded),
            }
        }
    }
}

/// Removes sessions that nothing needs.
struct Removal<'a> {
    store: &'a dyn MetaStore,
}

#[async_trait]
impl Plan for Removal<'_> {
    type Item = SessionId;
    type Result = Result<bool, Error>;

    async fn round(&self, items: &[SessionId]) -> Result<Round<Self::Result>, Error> {
        let (mut txn, mut results) = (Txn::new(), Vec::with_capacity(items.len()));
        for session in items {
            let key = Wal::key(*session);
            if let Some(found) = read::<Wal>(self.store, &key).await? {
                let same = Compare::unchanged(key.clone(), found.revision);
                txn = txn.when(same).delete(key).delete(Condemned::key(*session));
            }
            results.push(Ok(true));
        }
        Ok(Round { txn, results })
    }

    fn failed(&self, error: Error) -> Self::Result {
        Err(error)
    }
}
