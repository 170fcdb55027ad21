//! The one writer of a session: several slots in flight, answered in order.

use std::sync::Arc;

use futures::future::BoxFuture;
use tokio::sync::oneshot;
use weir_ids::{SessionId, Slot};
use weir_runtime::{
    planted::{Bug, is_planted},
    watch,
};

use super::{
    ObjectJournal, corrupt, name,
    put::{Body, Failure, Landing},
};
use crate::{
    journal::{Error, Writer, Written},
    object::{self, Kind},
};

/// After so many failures in a row of one slot, whoever waits for it is told.
const TROUBLE_AFTER: u32 = 4;

/// See the module.
pub(super) struct ObjectWriter {
    journal: Arc<ObjectJournal>,
    session: SessionId,
    /// The slot before the next: whether it and all before it landed.
    before: Option<oneshot::Receiver<Result<(), Error>>>,
    trouble: Arc<watch::Sender<Option<String>>>,
}

impl ObjectWriter {
    pub(super) fn new(journal: Arc<ObjectJournal>, session: SessionId) -> Self {
        Self { journal, session, before: None, trouble: Arc::new(watch::Sender::new(None)) }
    }
}

impl Writer for ObjectWriter {
    fn append(
        &mut self,
        slot: Slot,
        body: object::Body,
    ) -> BoxFuture<'static, Result<Written, Error>> {
        let (done, landed) = oneshot::channel();
        let before = self.before.replace(landed);
        let (journal, session) = (Arc::clone(&self.journal), self.session);
        let trouble = Arc::clone(&self.trouble);
        Box::pin(async move {
            let chunks = body.chunks.clone();
            let put = put_slot(&journal, session, slot, Body::new(body), &trouble).await;
            // Whatever became of this slot, it counts only if all before it do.
            let before = match before {
                Some(_) if is_planted(Bug::GapAcknowledged) => Ok(()),
                Some(before) => before.await.unwrap_or_else(|_| Err(given_up(session))),
                None => Ok(()),
            };
            let result = before.and(put);
            let _ = done.send(result.clone());
            result?;
            Ok(Written { slot, object: name(session, slot), origin: 0, chunks })
        })
    }

    fn trouble(&self) -> watch::Receiver<Option<String>> {
        self.trouble.subscribe()
    }
}

/// Puts a slot until it has landed or the session is over.
async fn put_slot(
    journal: &ObjectJournal,
    session: SessionId,
    slot: Slot,
    body: Body,
    trouble: &watch::Sender<Option<String>>,
) -> Result<(), Error> {
    let failing = |Failure { failures, error }: Failure<'_>| {
        if failures == TROUBLE_AFTER {
            tracing::warn!(%error, "the store does not take the write-ahead log; trying again");
            trouble.send_replace(Some(error.to_string()));
        }
    };
    match journal.put(&body, None, failing).await? {
        Landing::Landed => {
            trouble.send_if_modified(|what| what.take().is_some());
            Ok(())
        }
        Landing::Taken(header) if header.kind == Kind::Fence => Err(Error::Fenced(session)),
        Landing::Taken(_) => {
            let what = "somebody else writes the log of this session".to_owned();
            Err(corrupt(name(session, slot), what))
        }
    }
}

fn given_up(session: SessionId) -> Error {
    Error::Unavailable { what: format!("the log of session {session} was given up") }
}
