//! Telling fences from slots that hold no records. Both are small; what such an object is must be read
//! once. Fences are remembered: there is about one a session.

use std::collections::BTreeSet;

use futures::{StreamExt, TryStreamExt, stream};
use weir_runtime::planted::{Bug, is_planted};
use weir_segment_store::{
    ObjectName, Store, StoreError,
    journal::object::{is_kept, may_be_kept},
};

use super::candidates::Unnamed;

/// The fences that were met.
#[derive(Default)]
pub(super) struct Fences(BTreeSet<ObjectName>);

impl Fences {
    /// Takes out of `due` what must never be deleted, and what is gone already. What can't be understood is spared, this
    /// time.
    pub(super) async fn spare(
        &mut self,
        store: &Store,
        due: Vec<ObjectName>,
        unnamed: &Unnamed,
        requests: usize,
    ) -> Result<Vec<ObjectName>, StoreError> {
        let is_small = |name: &ObjectName| {
            let bytes = unnamed.get(name).copied().unwrap_or_default();
            may_be_kept(*name, bytes)
        };
        let (small, mut doomed): (Vec<_>, Vec<_>) = due.into_iter().partition(is_small);
        let look = |name| async move {
            match is_kept(store, name).await {
                Ok(kept) => Ok(kept.map(|kept| (name, kept))),
                Err(StoreError::NotFound(_)) => Ok(None),
                Err(error) => Err(error),
            }
        };
        let unknown = small.into_iter().filter(|name| !self.0.contains(name));
        let looks: Vec<_> = unknown.map(look).collect();
        let mut looks = stream::iter(looks).buffer_unordered(requests);
        while let Some(found) = looks.try_next().await? {
            match found {
                Some((name, true)) if is_planted(Bug::FenceDeleted) => doomed.push(name),
                Some((name, true)) => drop(self.0.insert(name)),
                Some((name, false)) => doomed.push(name),
                // It has gone, or could not be understood this time.
                None => {}
            }
        }
        Ok(doomed)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    };

    use weir_ids::{SessionId, Slot};
    use weir_segment_store::testing::{Fate, FaultyObjects, Request, body};

    use super::*;

    #[tokio::test]
    async fn what_was_read_wrong_is_no_fence_for_ever() {
        let rots = AtomicBool::new(true);
        let objects = FaultyObjects::new(move |request: Request, _: &str| match request {
            Request::Get if rots.swap(false, Ordering::Relaxed) => Fate::Rots(3),
            _ => Fate::Done,
        });
        let store = Store::new(Arc::new(objects), None);
        let (session, slot) = (SessionId(1), Slot(7));
        let (name, empty) = (ObjectName::WalSlot { session, slot }, body(session, slot, vec![]));
        store.create(name, &empty.parts).await.unwrap();
        let unnamed = Unnamed::from([(name, empty.len)]);
        let mut fences = Fences::default();
        let mut spare = async || fences.spare(&store, vec![name], &unnamed, 1).await.unwrap();
        assert_eq!(spare().await, []);
        assert_eq!(spare().await, [name]);
    }
}
