//! Being elected: holding a leased key, and knowing under which revision.
//!
//! Whoever creates the key holds the office until it is gone. The lease says who probably holds it;
//! a change that must be the holder's compares the revision of its [`Term`].

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use weir_ids::NodeId;
use weir_runtime::{Stop, watch};

use crate::{
    Error,
    cas::{ATTEMPTS_MAX, Unclear},
    model::{Leadership, Record},
    store::{Compare, Key, LeaseId, MetaStore, Revision, StoreError, Txn},
};

/// How long an office is held without a sign of life.
pub const ELECTION_TTL: Duration = Duration::from_secs(3);

/// How often a sign of life is given: thrice within that time.
pub(crate) const SIGN_PAUSE: Duration = Duration::from_secs(1);

/// One time of being elected.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Term {
    /// When the key was written: what a change compares.
    pub revision: Revision,
}

/// A node that stands for an office.
pub struct Standing<'a> {
    /// Where the office's key is.
    pub store: &'a dyn MetaStore,
    /// The office.
    pub key: Key,
    /// Who stands.
    pub node: NodeId,
    /// The term, while elected. Whoever finds out that it is over may take it away.
    pub term: &'a watch::Sender<Option<Term>>,
    /// Hears how the link to the store is.
    pub signs: &'a (dyn Fn(Sign) + Sync),
}

/// What a holder sees of its link to the store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sign {
    /// It was elected just now.
    Elected,
    /// A sign of life has arrived.
    Arrived {
        /// When it was sent.
        sent: Instant,
    },
    /// A sign of life has not arrived, or its answer has not.
    Failed,
}

/// What became of standing for election.
enum Stood {
    Elected(Term, LeaseId),
    /// Somebody else is elected.
    Taken {
        since: Revision,
    },
}

impl Standing<'_> {
    /// Stands for election again and again until `stop`; gives the office back then.
    pub async fn run(&self, stop: Stop) {
        let pause = SIGN_PAUSE;
        loop {
            let stood = tokio::select! {
                biased;
                () = stop.requested() => return,
                stood = self.stand() => stood,
            };
            match stood {
                Ok(Stood::Elected(term, lease)) => {
                    let (office, node, revision) = (&self.key, self.node, term.revision);
                    tracing::info!(%office, %node, %revision, "elected");
                    (self.signs)(Sign::Elected);
                    self.term.send_replace(Some(term));
                    self.hold(term, lease, &stop).await;
                    self.term.send_replace(None);
                    if stop.is_requested() {
                        // If this does not arrive, the lease ends by itself.
                        let _ = timeout(pause, self.store.revoke(lease)).await;
                        return;
                    }
                }
                Ok(Stood::Taken { since }) => {
                    // Wait until that ends, or look again after a while.
                    let mut office = self.store.watch(self.key.as_str(), since.next());
                    tokio::select! {
                        biased;
                        () = stop.requested() => return,
                        _ = timeout(ELECTION_TTL, office.next()) => {}
                    }
                }
                Err(error) => {
                    let office = &self.key;
                    tracing::debug!(%office, %error, "can't stand for election; trying again");
                    tokio::select! {
                        biased;
                        () = stop.requested() => return,
                        () = sleep(pause) => {}
                    }
                }
            }
        }
    }

    /// Tries to be elected. A key that an earlier process of this node left is taken over at once.
    async fn stand(&self) -> Result<Stood, Error> {
        let (mut unclear, mut granted) = (Unclear::default(), None);
        for _ in 0..ATTEMPTS_MAX {
            let entry =
                self.store.get(&self.key).await.map_err(|error| unclear.or(error.into()))?;
            if let Some(entry) = &entry {
                let since = entry.mod_revision;
                if let Some(lease) = granted.filter(|lease| entry.lease == Some(*lease)) {
                    return Ok(Stood::Elected(Term { revision: since }, lease));
                }
                if Leadership::decode(entry)?.node != self.node {
                    return Ok(Stood::Taken { since });
                }
            }
            let lease = match granted {
                Some(lease) => lease,
                None => *granted.insert(self.store.grant(ELECTION_TTL).await?),
            };
            let revision = entry.map_or(Revision::NONE, |entry| entry.mod_revision);
            let value = Leadership { node: self.node }.encode();
            let txn = Txn::new().when(Compare::unchanged(self.key.clone(), revision)).put_leased(
                self.key.clone(),
                value,
                lease,
            );
            if let Some(revision) = unclear.commit(self.store, txn).await? {
                return Ok(Stood::Elected(Term { revision }, lease));
            }
        }
        Err(unclear.or(Error::Contended { key: self.key.clone() }))
    }

    /// Keeps the office until `stop`, or until it is lost.
    async fn hold(&self, term: Term, lease: LeaseId, stop: &Stop) {
        let pause = SIGN_PAUSE;
        let mut lost = self.term.subscribe();
        let mut seen = Instant::now();
        loop {
            tokio::select! {
                biased;
                () = stop.requested() => return,
                _ = lost.wait_for(|now| *now != Some(term)) => return,
                () = sleep(pause) => {}
            }
            let sent = Instant::now();
            match timeout(pause, self.store.keep_alive(lease)).await {
                Ok(Ok(())) => {
                    seen = Instant::now();
                    (self.signs)(Sign::Arrived { sent });
                }
                Ok(Err(StoreError::LeaseNotFound { .. })) => return,
                // No answer, or not now: the lease may still last.
                Ok(Err(_)) | Err(_) if seen.elapsed() < ELECTION_TTL => (self.signs)(Sign::Failed),
                Ok(Err(_)) | Err(_) => return,
            }
        }
    }
}
