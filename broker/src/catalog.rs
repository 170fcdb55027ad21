//! Copies of what topics are called, kept in the store beside their records: with them the store alone suffices to bring
//! a cluster back ([`crate::fsck`]).
//!
//! Whoever is elected to collect garbage keeps them too. One is written whenever a topic has changed, and only then: a
//! cluster in which nothing changes writes nothing. Who may write a partition, and what is in it, is not in a copy: logs
//! and checkpoints tell that by themselves, and newer.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use weir_meta::{
    Error as MetaError, Metadata,
    backup::{self, BackupError, Contents},
    model::{
        Assignment, Cluster, Deletion, Drained, ModelError, NextNodeId, NextProducerId, Record,
        SessionAllocation, Topic,
    },
    store::{Key, Revision, StoreError as MetaStoreError},
};
use weir_segment_store::{Store, StoreError};

/// How long changes are gathered before they are copied, at least.
const PAUSE: Duration = Duration::from_millis(200);
/// And that many times as long as a copy takes: many topics may be created one by one.
const SHARE: u32 = 10;

/// How many copies stay.
const KEPT: usize = 3;

/// Why nothing is copied.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// The metadata can't be read.
    #[error(transparent)]
    Metadata(#[from] MetaError),
    /// A copy can't be made, or is none.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// The store can't be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<ModelError> for CatalogError {
    fn from(error: ModelError) -> Self {
        Self::Metadata(error.into())
    }
}

/// Copies what has changed, for ever.
pub async fn keep(metadata: Metadata, store: Store) {
    let mut troubled = false;
    loop {
        let begun = Instant::now();
        let copied = copy(&metadata, &store).await;
        let pause = PAUSE.max(begun.elapsed() * SHARE);
        match copied {
            Ok(revision) => {
                troubled = false;
                if let Err(error) = changed(&metadata, revision).await {
                    tracing::debug!(%error, "what topics are called is read anew");
                }
            }
            Err(error) if troubled => {
                tracing::debug!(%error, "what topics are called is still not copied");
            }
            Err(error) => {
                tracing::warn!(%error, "what topics are called is not copied to the store; trying on");
                troubled = true;
            }
        }
        sleep(pause).await;
    }
}

/// Waits until a topic has changed since `revision`.
async fn changed(metadata: &Metadata, revision: Revision) -> Result<(), MetaStoreError> {
    let mut watch = metadata.store().watch(Topic::PREFIX, Revision(revision.0 + 1));
    loop {
        if !watch.next().await?.events.is_empty() {
            return Ok(());
        }
    }
}

/// Writes a copy, unless the newest one says the same. Returns as of which revision that is.
///
/// # Errors
/// [`CatalogError`].
pub async fn copy(metadata: &Metadata, store: &Store) -> Result<Revision, CatalogError> {
    let mut text = Vec::new();
    backup::export_some(metadata.store(), &mut text, is_copied).await?;
    let now = backup::read(&mut &text[..])?;
    let number = number(&now)?;
    let mut numbers = store.catalogs().await?;
    if let Some(newest) = numbers.last() {
        // One that can't be read is no reason not to write the next.
        let before = read(store, *newest).await.ok();
        if before.is_some_and(|before| before.entries == now.entries) {
            return Ok(now.revision);
        }
    }
    store.write_catalog(number, text.into()).await?;
    numbers.truncate((numbers.len() + 1).saturating_sub(KEPT));
    for old in numbers {
        store.delete_catalog(old).await?;
    }
    Ok(now.revision)
}

/// The newest copy that can be read, and its number. `None`: there is none.
///
/// # Errors
/// When there are copies, and none can be read.
pub(crate) async fn newest(store: &Store) -> Result<Option<(u64, Contents)>, CatalogError> {
    let mut failed = None;
    for number in store.catalogs().await?.into_iter().rev() {
        match read(store, number).await {
            Ok(contents) => return Ok(Some((number, contents))),
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    failed.map_or(Ok(None), Err)
}

async fn read(store: &Store, number: u64) -> Result<Contents, CatalogError> {
    let text = store.catalog(number).await?;
    Ok(backup::read(&mut &text[..])?)
}

/// Grows with every change, also when revisions have begun anew.
fn number(contents: &Contents) -> Result<u64, ModelError> {
    let key = SessionAllocation::key();
    let above = match contents.entries.get(&key) {
        None => 0,
        Some(value) => SessionAllocation::decode_bytes(&key, value)?.above,
    };
    Ok(above.saturating_add(contents.revision.0))
}

/// Whether a key's value is no matter of partitions and sessions.
pub(crate) fn is_copied(key: &Key) -> bool {
    let single =
        [Cluster::key(), NextNodeId::key(), NextProducerId::key(), SessionAllocation::key()];
    let prefixes = [Topic::PREFIX, Assignment::PREFIX, Deletion::PREFIX, Drained::PREFIX];
    single.contains(key) || prefixes.iter().any(|prefix| key.as_str().starts_with(prefix))
}
