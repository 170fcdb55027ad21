//! Backups: all metadata that outlive the processes, as of one revision, as lines of JSON.
//!
//! ```text
//! {"weir_metadata":1,"revision":812}
//! {"key":"cluster","value":"{\"v\":1,…}"}
//! …
//! {"entries":57}
//! ```
//!
//! What is leased is left out: who registered will do so again. A session's id is a revision, and revisions
//! begin anew in the store that a backup is read into; so from then on ids lie above the backup's revision
//! ([`SessionAllocation::above`]).
//!
//! A backup is as old as it is. Whether the object store has gone on since is for the brokers to find out,
//! which refuse to start then.

use std::{
    collections::BTreeMap,
    io::{self, BufRead, Write},
};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use weir_ids::NodeId;

use crate::{
    model::{Cluster, Import, ModelError, Record, SessionAllocation},
    store::{
        Compare, Entry, Key, MetaStore, Range, Revision, StoreError, TXN_BYTES_MAX, TXN_OPS_MAX,
        Txn,
    },
};

/// The format that is written, and the newest that is read.
const FORMAT: u32 = 1;
/// Room that a transaction leaves for keys and what is around them.
const TXN_BYTES: usize = TXN_BYTES_MAX / 2;

/// What a backup holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Summary {
    /// The revision of the metadata that it was made of.
    pub revision: Revision,
    /// How many entries.
    pub entries: usize,
}

/// Why a backup can't be made or read.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The metadata can't be read or changed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What the metadata hold can't be read.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The file can't be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is no backup, or not a whole one.
    #[error("line {line} of the backup: {what}; nothing was imported")]
    Malformed {
        /// Where.
        line: usize,
        /// What is wrong.
        what: String,
    },
    /// A newer Weir wrote it.
    #[error(
        "the backup has format {found}, this version of weir knows up to {FORMAT}; use the newer version"
    )]
    NewerFormat {
        /// Its format.
        found: u32,
    },
    /// There is something already.
    #[error("the metadata hold {key} already; import into empty metadata")]
    NotEmpty {
        /// What.
        key: Key,
    },
    /// A node was quicker.
    #[error("a cluster was founded meanwhile; stop all nodes, empty the metadata and import again")]
    Founded,
}

#[derive(Serialize, Deserialize)]
struct Head {
    weir_metadata: u32,
    revision: Revision,
}

#[derive(Serialize, Deserialize)]
struct Line {
    key: Key,
    value: String,
}

#[derive(Serialize, Deserialize)]
struct Tail {
    entries: usize,
}

/// Everything that a backup holds.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Contents {
    /// The revision of the metadata that it was made of.
    pub revision: Revision,
    /// The entries.
    pub entries: BTreeMap<Key, Bytes>,
}

/// Writes a backup of `store`.
///
/// # Errors
/// [`BackupError`]; also when so much was changed meanwhile that the revision is gone: then try again.
pub async fn export(
    store: &dyn MetaStore,
    out: &mut (dyn Write + Send),
) -> Result<Summary, BackupError> {
    export_some(store, out, |_| true).await
}

/// Writes a backup of what is `wanted` of `store`.
///
/// # Errors
/// As for [`export`].
pub async fn export_some(
    store: &dyn MetaStore,
    out: &mut (dyn Write + Send),
    wanted: impl Fn(&Key) -> bool,
) -> Result<Summary, BackupError> {
    let mut page = store.range(Range::prefix("")).await?;
    let (revision, mut entries) = (page.revision, 0);
    line(out, &Head { weir_metadata: FORMAT, revision })?;
    loop {
        let lasting = page.entries.iter().filter(|it| it.lease.is_none());
        for Entry { key, value, .. } in lasting.filter(|it| wanted(&it.key)) {
            let text = std::str::from_utf8(value).map_err(|error| ModelError::Damaged {
                key: key.to_string(),
                reason: error.to_string(),
            })?;
            line(out, &Line { key: key.clone(), value: text.to_owned() })?;
            entries += 1;
        }
        match page.entries.last() {
            Some(last) if page.more => {
                let next = Range::prefix("").after(last.key.clone()).at(revision);
                page = store.range(next).await?;
            }
            _ => break,
        }
    }
    line(out, &Tail { entries })?;
    out.flush()?;
    Ok(Summary { revision, entries })
}

fn line(out: &mut (dyn Write + Send), value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    out.write_all(b"\n")
}

/// Reads a backup into `store`, which must be empty. One that was not finished may be begun again.
///
/// # Errors
/// [`BackupError`]. Nothing was changed unless the store failed.
pub async fn import(
    store: &dyn MetaStore,
    input: &mut dyn BufRead,
) -> Result<Summary, BackupError> {
    let Contents { revision, mut entries } = read(input)?;
    let summary = Summary { revision, entries: entries.len() };
    make_ids_go_on(&mut entries, revision)?;
    import_entries(store, entries).await?;
    Ok(summary)
}

/// Writes `entries` into `store`, which must be empty, the cluster's last: until then nobody founds one there. What was
/// not finished may be begun again.
///
/// # Errors
/// [`BackupError`]. Nothing was changed unless the store failed.
pub async fn import_entries(
    store: &dyn MetaStore,
    mut entries: BTreeMap<Key, Bytes>,
) -> Result<(), BackupError> {
    refuse_unless_empty(store).await?;
    store.txn(Txn::new().put(Import::key(), Import {}.encode())).await?;
    let cluster = entries.remove(&Cluster::key());
    let (mut txn, mut operations, mut bytes) = (Txn::new(), 0, 0);
    for (key, value) in entries {
        if operations == TXN_OPS_MAX || bytes + value.len() > TXN_BYTES {
            store.txn(std::mem::take(&mut txn)).await?;
            (operations, bytes) = (0, 0);
        }
        (operations, bytes) = (operations + 1, bytes + value.len());
        txn = txn.put(key, value);
    }
    store.txn(txn).await?;
    let last = Txn::new().when(Compare::absent(Cluster::key())).delete(Import::key());
    let last = cluster.into_iter().fold(last, |last, value| last.put(Cluster::key(), value));
    match store.txn(last).await?.is_committed() {
        true => Ok(()),
        false => Err(BackupError::Founded),
    }
}

/// Reads a backup.
///
/// # Errors
/// [`BackupError`] when it is none, or not a whole one.
pub fn read(input: &mut dyn BufRead) -> Result<Contents, BackupError> {
    let mut lines = input.lines().enumerate().map(|(number, text)| (number + 1, text));
    let malformed = |line, what: &str| BackupError::Malformed { line, what: what.to_owned() };
    let (_, head) = lines.next().ok_or_else(|| malformed(1, "it is empty"))?;
    let head: Head = serde_json::from_str(&head?)
        .map_err(|_| malformed(1, "it is no backup made by `weir meta export`"))?;
    if head.weir_metadata > FORMAT {
        return Err(BackupError::NewerFormat { found: head.weir_metadata });
    }
    let (mut entries, mut end) = (BTreeMap::new(), 1);
    for (number, text) in lines {
        let text = text?;
        end = number;
        if let Ok(Line { key, value }) = serde_json::from_str(&text) {
            entries.insert(key, Bytes::from(value));
            continue;
        }
        let tail: Tail =
            serde_json::from_str(&text).map_err(|error| malformed(number, &error.to_string()))?;
        if !entries.contains_key(&Cluster::key()) {
            return Err(malformed(number, "there is no cluster in it"));
        }
        if tail.entries != entries.len() {
            let what = format!("{} entries were written, {} are here", tail.entries, entries.len());
            return Err(malformed(number, &what));
        }
        return Ok(Contents { revision: head.revision, entries });
    }
    Err(malformed(end, "it ends here, without its last line: it is not whole"))
}

/// Session ids lie above all that there were.
fn make_ids_go_on(
    entries: &mut BTreeMap<Key, Bytes>,
    revision: Revision,
) -> Result<(), BackupError> {
    let key = SessionAllocation::key();
    let before = match entries.get(&key) {
        None => SessionAllocation { node: NodeId(0), above: 0 },
        Some(value) => SessionAllocation::decode_bytes(&key, value)?,
    };
    let after = SessionAllocation { above: before.above.saturating_add(revision.0), ..before };
    entries.insert(key, after.encode());
    Ok(())
}

async fn refuse_unless_empty(store: &dyn MetaStore) -> Result<(), BackupError> {
    if store.get(&Import::key()).await?.is_some() {
        return Ok(());
    }
    let page = store.range(Range::prefix("").limit(1)).await?;
    match page.entries.into_iter().next() {
        None => Ok(()),
        Some(entry) => Err(BackupError::NotEmpty { key: entry.key }),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use weir_ids::SessionId;

    use super::*;
    use crate::{ClusterError, Metadata, store::Memory};

    async fn saved(store: &Memory) -> (String, Summary) {
        let mut out = Vec::new();
        let summary = export(store, &mut out).await.unwrap();
        (String::from_utf8(out).unwrap(), summary)
    }

    async fn filled() -> (Memory, Metadata) {
        let store = Memory::new();
        let metadata = Metadata::new(Arc::new(store.clone()));
        metadata.join_cluster("c", "id").await.unwrap();
        for number in 0..2_500 {
            let txn =
                Txn::new().put(format!("logs/{number:05}"), format!("{{\"v\":1}} \"{number}\""));
            store.txn(txn).await.unwrap();
        }
        (store, metadata)
    }

    async fn all(store: &Memory) -> BTreeMap<Key, Bytes> {
        let (entries, _) = crate::store::list(store, "").await.unwrap();
        entries.into_iter().map(|entry| (entry.key, entry.value)).collect()
    }

    async fn refused(store: &Memory, text: &str) -> String {
        import(store, &mut text.as_bytes()).await.unwrap_err().to_string()
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_exported_is_imported_and_session_ids_go_on() {
        let (store, metadata) = filled().await;
        let before = metadata.allocate_session(NodeId(1)).await.unwrap();
        let lease = metadata.grant(std::time::Duration::from_secs(9)).await.unwrap();
        store.txn(Txn::new().put_leased("nodes/1", "x", lease)).await.unwrap();
        let (text, summary) = saved(&store).await;
        let other = Memory::new();
        assert_eq!(import(&other, &mut text.as_bytes()).await.unwrap(), summary);
        let (mut was, mut is) = (all(&store).await, all(&other).await);
        assert!(was.remove("nodes/1").is_some(), "it goes with its process");
        was.remove(&SessionAllocation::key());
        is.remove(&SessionAllocation::key());
        assert_eq!(is, was);
        let imported = Metadata::new(Arc::new(other.clone()));
        let after = imported.allocate_session(NodeId(2)).await.unwrap();
        assert!(after > before, "{after} is above {before}");
        // And once more: the two add up.
        let (text, _) = saved(&other).await;
        let third = Memory::new();
        import(&third, &mut text.as_bytes()).await.unwrap();
        let third = Metadata::new(Arc::new(third));
        let last: SessionId = third.allocate_session(NodeId(2)).await.unwrap();
        assert!(last > after, "{last} is above {after}");
    }

    #[tokio::test(start_paused = true)]
    async fn half_a_backup_is_refused_and_changes_nothing() {
        let (store, _) = filled().await;
        let (text, _) = saved(&store).await;
        let other = Memory::new();
        let half = &text[..text.len() / 2];
        assert!(refused(&other, half).await.contains("nothing was imported"));
        let lines: Vec<&str> = text.lines().collect();
        let without_end = lines[..lines.len() - 1].join("\n");
        assert!(refused(&other, &without_end).await.contains("not whole"));
        let gap = [&lines[..5], &lines[6..]].concat().join("\n");
        assert!(refused(&other, &gap).await.contains("2501 entries were written, 2500 are here"));
        let unfounded = [&lines[..1], &["{\"entries\":0}"]].concat().join("\n");
        assert!(refused(&other, &unfounded).await.contains("no cluster"));
        assert!(refused(&other, "").await.contains("empty"));
        assert!(refused(&other, "{\"a\":1}").await.contains("weir meta export"));
        let newer = text.replacen("\"weir_metadata\":1", "\"weir_metadata\":2", 1);
        assert!(refused(&other, &newer).await.contains("newer version"));
        assert!(all(&other).await.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_there_is_not_mixed_with_a_backup() {
        let (store, _) = filled().await;
        let (text, _) = saved(&store).await;
        assert!(refused(&store, &text).await.contains("hold cluster already"));
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_founds_a_cluster_beside_half_an_import_and_it_can_be_begun_again() {
        let (store, _) = filled().await;
        let (text, _) = saved(&store).await;
        let other = Memory::new();
        other.txn(Txn::new().put(Import::key(), Import {}.encode())).await.unwrap();
        let metadata = Metadata::new(Arc::new(other.clone()));
        let refused = metadata.join_cluster("c", "other").await;
        assert!(matches!(refused, Err(ClusterError::ImportUnfinished)), "{refused:?}");
        import(&other, &mut text.as_bytes()).await.unwrap();
        assert_eq!(metadata.join_cluster("c", "other").await.unwrap().id, "id");
    }
}
