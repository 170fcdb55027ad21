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
    /// Takes out of `due` what must never be deleted, and what is gone already.
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
                Ok(kept) => Ok(Some((name, kept))),
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
                None => {}
            }
        }
        Ok(doomed)
    }
}
