use std::{sync::Mutex, time::Duration};

use async_trait::async_trait;
use futures::{StreamExt, TryFutureExt, stream};
use tokio::time::timeout;
use weir_meta::{SESSION_TTL, model::Session, store::Memory};
use weir_segment_store::{
    ObjectName,
    journal::{Error, Sealed, Slots, Writer},
    testing::{Fate, FaultyObjects, Request},
};

use super::*;

const NODE: NodeId = NodeId(1);
/// How far a session is read while it goes on, and where it ends.
const UPTO: Slot = Slot(3);
const END: Slot = Slot(6);

/// A log of empty slots up to [`END`], which remembers what was read of it. Whoever reads ahead finds those below
/// [`UPTO`], and waits for more.
#[derive(Default)]
struct FakeLog {
    read: Mutex<Vec<(Slot, Slot)>>,
    /// Where the session is ended, and its first slots go, just when it is read.
    ended_in: Option<Metadata>,
}

#[async_trait]
impl Journal for FakeLog {
    async fn open(&self, _: SessionId) -> Result<Box<dyn Writer>, Error> {
        unreachable!("nobody writes");
    }

    async fn seal(&self, _: SessionId, _: Slot) -> Result<Sealed, Error> {
        Ok(Sealed { end: END, slots: Vec::new() })
    }

    async fn read(
        &self,
        session: SessionId,
        from: Slot,
        below: Slot,
    ) -> Result<Option<Vec<StoredSlot>>, Error> {
        self.read.lock().unwrap().push((from, below));
        if let Some(metadata) = &self.ended_in {
            metadata.seal(session, Seal { at: END, detail: None }).await.unwrap();
            return Ok(None);
        }
        let empty = |slot| {
            let object = ObjectName::WalSlot { session, slot };
            StoredSlot { slot, object, origin: 0, chunks: Vec::new() }
        };
        Ok(Some((from.0..below.0).map(Slot).map(empty).collect()))
    }

    fn look_ahead(&self, session: SessionId, from: Slot, below: Slot) -> Slots<'_> {
        let slots = self.read(session, from, UPTO.min(below)).map_ok(Option::unwrap);
        let slots = slots.map_ok(|slots| stream::iter(slots.into_iter().map(Ok)));
        slots.try_flatten_stream().chain(stream::pending()).boxed()
    }

    async fn trim(
        &self,
        _: SessionId,
        _: Slot,
        _: &(dyn for<'a> Fn(&'a ObjectName) -> bool + Sync),
    ) -> Result<(), Error> {
        unreachable!("nobody trims");
    }

    async fn sessions(&self) -> Result<Vec<SessionId>, Error> {
        unreachable!("nobody asks");
    }
}

/// A session that has not been ended.
async fn going_on(metadata: &Metadata) -> SessionId {
    let session = metadata.allocate_session(NODE).await.unwrap();
    let shown = Session { node: NODE, rpc: None, zone: None };
    metadata.register_session(session, &shown, SESSION_TTL).await.unwrap();
    session
}

fn no_store() -> Store {
    Store::new(Arc::new(FaultyObjects::new(|_: Request, _: &str| Fate::Done)), None)
}

#[tokio::test]
async fn a_session_that_is_ended_while_it_is_read_is_read_to_its_end() {
    let metadata = Metadata::new(Arc::new(Memory::new()));
    let session = going_on(&metadata).await;
    let journal = FakeLog { ended_in: Some(metadata.clone()), ..FakeLog::default() };
    let journal = Arc::new(journal);
    let mut sessions = Sessions::new(metadata, no_store(), journal, Right::Of(NODE));
    // One partition was released below that slot; others may need all there is.
    sessions.read(session, Some(UPTO)).await.unwrap();
    assert_eq!(sessions.all()[&session].end, END);
    assert!(sessions.confirm().await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn what_was_read_ahead_of_a_session_is_not_read_again_though_reading_was_cut_short() {
    let metadata = Metadata::new(Arc::new(Memory::new()));
    let session = going_on(&metadata).await;
    let journal = Arc::new(FakeLog::default());
    let mut sessions = Sessions::new(metadata, no_store(), journal.clone(), Right::Of(NODE));
    assert!(timeout(Duration::from_secs(1), sessions.warm_up(session)).await.is_err());
    sessions.read(session, Some(END)).await.unwrap();
    assert_eq!(*journal.read.lock().unwrap(), [(Slot(1), UPTO), (UPTO, END)]);
    assert_eq!(sessions.all()[&session].end, END);
    assert!(sessions.confirm().await.unwrap());
}
