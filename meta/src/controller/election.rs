//! Being elected controller: every change compares the revision of the term.

use tokio::time::Instant;
use weir_runtime::Stop;

use super::{error::Error, link::Link, local::Inner};
pub use crate::election::ELECTION_TTL;
pub(super) use crate::election::Term;
use crate::{
    cas::Unclear,
    election::{SIGN_PAUSE, Sign, Standing},
    model::Leadership,
    store::{Compare, Revision, Txn},
};

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
    let signs = |sign: Sign| match sign {
        Sign::Elected => drop(inner.link.send_replace(new_link())),
        Sign::Arrived { sent } => inner.link.send_modify(|link| link.arrived(sent)),
        Sign::Failed => inner.link.send_modify(|link| link.failed(Instant::now())),
    };
    let (store, key, node) = (inner.store(), Leadership::key(), inner.node);
    Standing { store, key, node, term: &inner.term, signs: &signs }.run(stop).await;
}

/// The link of one who has just heard from the store.
pub(super) fn new_link() -> Link {
    // A sign is given, and answered, within twice the pause between two.
    Link::new(Instant::now(), SIGN_PAUSE * 2)
}
