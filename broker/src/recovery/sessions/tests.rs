use async_trait::async_trait;
use weir_meta::{SESSION_TTL, model::Session, store::Memory};
use weir_segment_store::{
    journal::{Error, Sealed, Writer},
    testing::{Fate, FaultyObjects, Request},
};

use super::*;

const NODE: NodeId = NodeId(1);
/// How far the session was read while it went on, and where it ends.
const UPTO: Slot = Slot(3);
const END: Slot = Slot(6);

/// The log of a session that is ended, and whose first slots go, just when it is read.
struct Ending(Metadata);

#[async_trait]
impl Journal for Ending {
    async fn open(&self, _: SessionId) -> Result<Box<dyn Writer>, Error> {
        unreachable!("nobody writes");
    }

    async fn seal(&self, _: SessionId, _: Slot) -> Result<Sealed, Error> {
        Ok(Sealed { end: END, slots: Vec::new() })
    }

    async fn read(
        &self,
        session: SessionId,
        _: Slot,
        _: Slot,
    ) -> Result<Option<Vec<StoredSlot>>, Error> {
        self.0.seal(session, Seal { at: END, detail: None }).await.unwrap();
        Ok(None)
    }

    async fn trim(
        &self,
        _: SessionId,
        _: Slot,
        _: &(dyn for<'a> Fn(&'a weir_segment_store::ObjectName) -> bool + Sync),
    ) -> Result<(), Error> {
        unreachable!("nobody trims");
    }

    async fn sessions(&self) -> Result<Vec<SessionId>, Error> {
        unreachable!("nobody asks");
    }
}

#[tokio::test]
async fn a_session_that_is_ended_while_it_is_read_is_read_to_its_end() {
    let metadata = Metadata::new(Arc::new(Memory::new()));
    let session = metadata.allocate_session(NODE).await.unwrap();
    let shown = Session { node: NODE, rpc: None, zone: None };
    metadata.register_session(session, &shown, SESSION_TTL).await.unwrap();
    let journal = Arc::new(Ending(metadata.clone()));
    let store = Store::new(Arc::new(FaultyObjects::new(|_: Request, _: &str| Fate::Done)), None);
    let mut sessions = Sessions::new(metadata, store, journal, Right::Of(NODE));
    // One partition was released below that slot; others may need all there is.
    sessions.read(session, Some(UPTO)).await.unwrap();
    assert_eq!(sessions.all()[&session].end, END);
    assert!(sessions.confirm().await.unwrap());
}
