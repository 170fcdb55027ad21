//! Being elected: holding the `controller` key, and knowing under which revision.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use weir_runtime::Stop;

use super::{error::Error, link::Link, local::Inner};
use crate::{
    cas::{ATTEMPTS_MAX, Unclear},
    model::{Leadership, Record},
    store::{Compare, LeaseId, Revision, StoreError, Txn},
};

/// How long a controller stays elected without a sign of life.
pub const ELECTION_TTL: Duration = Duration::from_secs(6);

/// How often a sign of life is given within that time.
const SIGNS_PER_TTL: u32 = 3;

/// One time of being elected: what every change compares.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Term {
    /// When the key was written.
    pub(super) revision: Revision,
}

impl Inner {
    /// The current term.
    pub(super) fn term(&self) -> Result<Term, Error> {
        let term = *self.term.borrow();
        term.ok_or_else(|| Error::NotController { leader: self.known_leader() })
    }

    fn known_leader(&self) -> Option<weir_ids::NodeId> {
        // A view that names this node is behind.
        self.view.with(|now| now.controller()).filter(|leader| *leader != self.node)
    }

    /// Runs `txn` if this is still the controller of `term`. `None`: something that it compares has
    /// changed, or its fate is unclear; read again.
    pub(super) async fn commit(
        &self,
        term: Term,
        unclear: &mut Unclear,
        txn: Txn,
    ) -> Result<Option<Revision>, Error> {
        let elected = Compare::unchanged(Leadership::key(), term.revision);
        if let Some(revision) = unclear.commit(self.store(), txn.when(elected)).await? {
            return Ok(Some(revision));
        }
        let leadership = self.store().get(&Leadership::key()).await;
        let leadership = leadership.map_err(|error| unclear.or(error.into()))?;
        if leadership.is_some_and(|entry| entry.mod_revision == term.revision) {
            return Ok(None);
        }
        self.term.send_if_modified(|now| now.take_if(|now| *now == term).is_some());
        let replaced = || Error::NotController { leader: self.known_leader() };
        Err(unclear.error().map_or_else(replaced, Error::from))
    }
}

/// Stands for election again and again until `stop`; gives the office back then.
pub(super) async fn run(inner: &Inner, stop: Stop) {
    let pause = ELECTION_TTL / SIGNS_PER_TTL;
    loop {
        let stood = tokio::select! {
            biased;
            () = stop.requested() => return,
            stood = stand(inner) => stood,
        };
        match stood {
            Ok(Stood::Elected(term, lease)) => {
                tracing::info!(node = %inner.node, revision = %term.revision, "elected controller");
                inner.link.send_replace(new_link());
                inner.term.send_replace(Some(term));
                hold(inner, term, lease, &stop).await;
                inner.term.send_replace(None);
                if stop.is_requested() {
                    // If this does not arrive, the lease ends by itself.
                    let _ = timeout(pause, inner.store().revoke(lease)).await;
                    return;
                }
            }
            Ok(Stood::Taken { since }) => {
                // Wait until that ends, or look again after a while.
                let mut office = inner.store().watch(Leadership::key().as_str(), since.next());
                tokio::select! {
                    biased;
                    () = stop.requested() => return,
                    _ = timeout(ELECTION_TTL, office.next()) => {}
                }
            }
            Err(error) => {
                tracing::debug!(%error, "can't stand for election; trying again");
                tokio::select! {
                    biased;
                    () = stop.requested() => return,
                    () = sleep(pause) => {}
                }
            }
        }
    }
}

/// The link of one who has just heard from the store.
pub(super) fn new_link() -> Link {
    // A sign is given, and answered, within twice the pause between two.
    Link::new(Instant::now(), ELECTION_TTL / SIGNS_PER_TTL * 2)
}

/// What became of standing for election.
enum Stood {
    Elected(Term, LeaseId),
    /// Somebody else is elected.
    Taken {
        since: Revision,
    },
}

/// Tries to be elected. A key that an earlier process of this node left is taken over at once.
async fn stand(inner: &Inner) -> Result<Stood, crate::Error> {
    let key = Leadership::key();
    let (mut unclear, mut granted) = (Unclear::default(), None);
    for _ in 0..ATTEMPTS_MAX {
        let entry = inner.store().get(&key).await.map_err(|error| unclear.or(error.into()))?;
        if let Some(entry) = &entry {
            let since = entry.mod_revision;
            if let Some(lease) = granted.filter(|lease| entry.lease == Some(*lease)) {
                return Ok(Stood::Elected(Term { revision: since }, lease));
            }
            if Leadership::decode(entry)?.node != inner.node {
                return Ok(Stood::Taken { since });
            }
        }
        let lease = match granted {
            Some(lease) => lease,
            None => *granted.insert(inner.store().grant(ELECTION_TTL).await?),
        };
        let revision = entry.map_or(Revision::NONE, |entry| entry.mod_revision);
        let value = Leadership { node: inner.node }.encode();
        let txn = Txn::new().when(Compare::unchanged(key.clone(), revision)).put_leased(
            key.clone(),
            value,
            lease,
        );
        if let Some(revision) = unclear.commit(inner.store(), txn).await? {
            return Ok(Stood::Elected(Term { revision }, lease));
        }
    }
    Err(unclear.or(crate::Error::Contended { key }))
}

/// Keeps the office until `stop`, or until it is lost.
async fn hold(inner: &Inner, term: Term, lease: LeaseId, stop: &Stop) {
    let pause = ELECTION_TTL / SIGNS_PER_TTL;
    let mut lost = inner.term.subscribe();
    let mut seen = Instant::now();
    loop {
        tokio::select! {
            biased;
            () = stop.requested() => return,
            _ = lost.wait_for(|now| *now != Some(term)) => return,
            () = sleep(pause) => {}
        }
        let sent = Instant::now();
        match timeout(pause, inner.store().keep_alive(lease)).await {
            Ok(Ok(())) => {
                seen = Instant::now();
                inner.link.send_modify(|link| link.arrived(sent));
            }
            Ok(Err(StoreError::LeaseNotFound { .. })) => return,
            // No answer, or not now: the lease may still last.
            Ok(Err(_)) | Err(_) if seen.elapsed() < ELECTION_TTL => {
                inner.link.send_modify(|link| link.failed(Instant::now()));
            }
            Ok(Err(_)) | Err(_) => return,
        }
    }
}
