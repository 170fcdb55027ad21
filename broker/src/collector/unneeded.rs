//! What nobody needs, found out without asking anybody: for those who look at a cluster from outside.

use std::collections::BTreeSet;

use weir_segment_store::{
    ObjectName, Store, StoreError,
    journal::{Error, Journal},
};

use super::{candidates::candidates, fences::Fences, files::Files};
use crate::recovery::Census;

/// Why that can't be found out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UnneededError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Journal(#[from] Error),
}

/// Of `listed`, which was listed before `census` was taken, what may go if `needed` is all that is needed.
///
/// # Errors
/// When objects can't be read.
pub(crate) async fn unneeded(
    store: &Store,
    journal: &dyn Journal,
    listed: &[(ObjectName, u64)],
    census: &Census,
    needed: &BTreeSet<ObjectName>,
    requests: usize,
) -> Result<Vec<ObjectName>, UnneededError> {
    let files = Files::of(listed, &census.wals);
    let mut unnamed = candidates(listed.iter().copied(), &census.wals);
    unnamed.retain(|name, _| !needed.contains(name));
    let due = unnamed.keys().copied().collect();
    let due = files.spare(journal, due, requests).await?;
    Ok(Fences::default().spare(store, due, &unnamed, requests).await?)
}
