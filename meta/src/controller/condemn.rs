//! Condemning sessions: looking WALs up, asking suspects, writing what was decided (`liveness`).

use std::collections::BTreeMap;

use tokio::time::{Instant, sleep_until, timeout};
use weir_ids::SessionId;

use super::{
    election::Term,
    error::Error,
    liveness::{ANSWERS_WITHIN, MISSING_AFTER, Suspect, Suspicion, TRUSTED_AFTER, Unsealed},
    local::Inner,
    probe::Probed,
};
use crate::{
    cas::{ATTEMPTS_MAX, Unclear},
    model::{Condemned, Record, Session, Wal},
    store::{Compare, Txn, list},
};

/// How many sessions are asked at once.
pub(super) const PROBES_AT_ONCE: usize = 64;

/// What came of asking a session.
pub(super) struct Asked {
    pub(super) suspect: Suspect,
    pub(super) probed: Probed,
    /// Whether it is to be condemned.
    pub(super) is_gone: bool,
}

impl Inner {
    /// The sessions whose WALs are not sealed.
    pub(super) async fn unsealed(&self) -> Result<BTreeMap<SessionId, Unsealed>, Error> {
        let (entries, _) = list(self.store(), Wal::PREFIX).await?;
        let mut unsealed = BTreeMap::new();
        for entry in &entries {
            let Some(id) = Wal::session(&entry.key) else { continue };
            match Wal::decode(entry) {
                Ok(wal) if wal.sealed.is_none() => {
                    let Wal { node, rpc, .. } = wal;
                    unsealed.insert(id, Unsealed { node, rpc, condemned: false });
                }
                Ok(_) => {}
                Err(error) => tracing::error!(%error, "a session can't be read and is left alone"),
            }
        }
        let (entries, _) = list(self.store(), Condemned::PREFIX).await?;
        for id in entries.iter().filter_map(|entry| Condemned::id(&entry.key)) {
            if let Some(wal) = unsealed.get_mut(&id) {
                wal.condemned = true;
            }
        }
        Ok(unsealed)
    }

    /// Asks `suspect`, and says whether it is to be condemned. That takes [`ANSWERS_WITHIN`], and longer if
    /// others are being asked or the metadata can't be reached.
    pub(super) async fn ask(&self, suspect: Suspect) -> Asked {
        let probed = self.probe(&suspect).await;
        let is_gone = suspect.is_gone(probed)
            && (probed == Probed::Refuses || self.is_missing_long_enough(&suspect).await);
        Asked { suspect, probed, is_gone }
    }

    /// Waits until `suspect` has been missing for long enough; then whether this controller's own link has
    /// been healthy all the time.
    async fn is_missing_long_enough(&self, suspect: &Suspect) -> bool {
        let Suspicion::Missing(since) = suspect.why else { return true };
        sleep_until(since + MISSING_AFTER).await;
        loop {
            let sent = Instant::now();
            let sign = timeout(ANSWERS_WITHIN, self.store().get(&Session::key(suspect.id))).await;
            match sign {
                Ok(Ok(_)) => {
                    self.link.send_modify(|link| link.arrived(sent));
                    return self.link.borrow().watched(since) >= MISSING_AFTER;
                }
                Ok(Err(_)) => {
                    self.link.send_modify(|link| link.failed(Instant::now()));
                    return false;
                }
                // Whether the link is to blame, the signs of being elected will tell.
                Err(_) if self.link.borrow().watched_for() >= TRUSTED_AFTER => {}
                Err(_) => return false,
            }
        }
    }

    async fn probe(&self, suspect: &Suspect) -> Probed {
        // Nobody closes it.
        let _one_of_many = self.probes.acquire().await;
        let Some(session) = suspect.session.clone().or_else(|| self.address(suspect)) else {
            return Probed::Silent;
        };
        let answer = timeout(ANSWERS_WITHIN, self.probe.probe(suspect.id, &session)).await;
        answer.unwrap_or(Probed::Silent)
    }

    /// Where a session should be whose registration this controller has never seen: where its node
    /// is, if that is registered.
    fn address(&self, suspect: &Suspect) -> Option<Session> {
        let id = suspect.node?;
        let node = self.view.with(|now| now.node(id).cloned())?;
        Some(Session { node: id, rpc: Some(node.rpc.clone()?), zone: node.zone.clone() })
    }

    /// Condemns `suspect` and takes its registration away. `false`: there is no reason to any more.
    pub(super) async fn condemn(&self, term: Term, suspect: &Suspect) -> Result<bool, Error> {
        let (id, mut unclear) = (suspect.id, Unclear::default());
        let (key, registered) = (Condemned::key(id), Session::key(id));
        for _ in 0..ATTEMPTS_MAX {
            let wal = self.metadata.wal(id).await.map_err(|error| unclear.or(error))?;
            let condemned = self.metadata.is_condemned(id).await;
            if condemned.map_err(|error| unclear.or(error))? {
                return Ok(true);
            }
            let Some(wal) = wal.filter(|wal| wal.value.sealed.is_none()) else { return Ok(false) };
            let mut txn = Txn::new().when(Compare::unchanged(Wal::key(id), wal.revision));
            if matches!(suspect.why, Suspicion::Missing(_)) {
                let entry = self.store().get(&registered).await;
                if entry.map_err(|error| unclear.or(error.into()))?.is_some() {
                    return Ok(false);
                }
                txn = txn.when(Compare::absent(registered.clone()));
            }
            let txn = txn.put(key.clone(), Condemned {}.encode()).delete(registered.clone());
            if self.commit(term, &mut unclear, txn).await?.is_some() {
                return Ok(true);
            }
        }
        Err(unclear.or(crate::Error::Contended { key }).into())
    }
}
