//! A store in etcd: the metadata of a cluster of several machines.
//!
//! Every request is one request of etcd's, bounded in time. One member is asked, and another once that
//! fails ([`members`]); what one does not answer is asked of another by itself only if it may be done
//! twice. Keys lie under a root of the cluster's own, so that several clusters can share an etcd.
//!
//! What a write's error means is decided in `error`, on the safe side: only what etcd says before it
//! proposes a write counts as surely not applied.

mod address;
mod error;
mod members;
mod watch;

use std::{future::Future, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use etcd_client::{Client, CompareOp, ConnectOptions, GetOptions, KeyValue, PutOptions, TxnOp};
use futures::stream;
use tokio::time::{Instant, sleep};

pub use address::{Address, AddressError};
pub use error::ConnectError;
use error::Failed;
use members::Members;

use super::{
    Compare, Condition, Entry, Key, LeaseId, MetaStore, Op, PAGE_ENTRIES_MAX, Page, Range,
    Revision, StoreError, Txn, TxnOutcome, Watch,
};

/// How long a request may take.
const WITHIN: Duration = Duration::from_secs(3);
/// How long a connection may take to be made.
const CONNECT_WITHIN: Duration = Duration::from_secs(1);
/// How long an etcd that does not answer is waited for when the process starts: one that starts with it
/// has to elect a leader first.
const PATIENCE: Duration = Duration::from_secs(30);
/// Pause before a read is tried again.
const PAUSE: Duration = Duration::from_millis(100);
/// A connection that is silent is asked for a sign of life so often, and given up when none comes. Etcd
/// drops clients that ask more often than every 5 s.
const PING_EVERY: Duration = Duration::from_secs(6);
const PING_WITHIN: Duration = Duration::from_secs(2);
/// The longest answer that is taken: pages are made shorter until they fit.
const ANSWER_BYTES_MAX: usize = 16 << 20;
/// The oldest etcd that is known to do what is needed.
const VERSION_MIN: (u32, u32) = (3, 4);

/// The store. Clones share its connections.
#[derive(Clone)]
pub struct Etcd {
    members: Arc<Members>,
    /// What every key begins with.
    root: String,
}

impl Etcd {
    /// Connects, and waits for an answer for a while.
    ///
    /// # Errors
    /// A [`ConnectError`]: nobody answers, or not as an etcd that can be used.
    pub async fn connect(address: &Address) -> Result<Self, ConnectError> {
        let mut options = ConnectOptions::new()
            .with_connect_timeout(CONNECT_WITHIN)
            .with_keep_alive(PING_EVERY, PING_WITHIN)
            .with_keep_alive_while_idle(true)
            .with_require_leader(true);
        if let Some((user, password)) = &address.user {
            options = options.with_user(user, password).with_auto_token_refresh(true);
        }
        if let Some(tls) = &address.tls {
            options = options.with_tls(tls.clone());
        }
        let members = Arc::new(Members::new(&address.endpoints, options));
        let store = Self { members, root: address.root.clone() };
        let began = Instant::now();
        let mut said = false;
        loop {
            let failed = match store.members.ask(WITHIN, |client| store.greet(client)).await {
                Ok(version) => return check_version(&version).map(|()| store),
                Err(failed) => failed,
            };
            let (endpoints, reason) = (address.endpoints.join(", "), failed.reason());
            if failed.is_final() {
                return Err(ConnectError::Unusable { endpoints, reason });
            }
            if began.elapsed() >= PATIENCE {
                return Err(ConnectError::Unreachable { endpoints, reason });
            }
            if !said {
                tracing::warn!(endpoints, reason, "etcd does not answer; trying on");
                said = true;
            }
            sleep(PAUSE * 5).await;
        }
    }

    /// What a member says its version is. Whether it has a leader, and whether we may read, is seen too.
    async fn greet(&self, mut client: Client) -> Result<String, Failed> {
        let version = client.status().await?.version().to_owned();
        client.kv_client().get(self.root.as_str(), None).await?;
        Ok(version)
    }

    fn stored(&self, key: &Key) -> Vec<u8> {
        format!("{}{key}", self.root).into_bytes()
    }

    fn entry(&self, kv: &KeyValue) -> Result<Entry, StoreError> {
        let revision = |number: i64| Revision(number.unsigned_abs());
        Ok(Entry {
            key: self.key(kv.key())?,
            value: Bytes::copy_from_slice(kv.value()),
            create_revision: revision(kv.create_revision()),
            mod_revision: revision(kv.mod_revision()),
            version: kv.version().unsigned_abs(),
            lease: lease(kv.lease()),
        })
    }

    fn key(&self, stored: &[u8]) -> Result<Key, StoreError> {
        let text = std::str::from_utf8(stored).ok().and_then(|key| key.strip_prefix(&*self.root));
        let text = text.ok_or_else(|| StoreError::Broken {
            place: "etcd".to_owned(),
            reason: format!("key {:?} is none of Weir's", String::from_utf8_lossy(stored)),
        })?;
        Ok(Key::from(text))
    }

    /// Asks one member after the other until there is an answer, or the time is over. For what may be
    /// done twice.
    async fn repeat<T, F>(&self, ask: impl Fn(Client) -> F) -> Result<T, Failed>
    where
        F: Future<Output = Result<T, Failed>>,
    {
        let until = Instant::now() + WITHIN;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let failed = match self.members.ask(left, &ask).await {
                Ok(answer) => return Ok(answer),
                Err(failed) => failed,
            };
            if !failed.may_be_repeated() || until <= Instant::now() + PAUSE {
                return Err(failed);
            }
            sleep(PAUSE).await;
        }
    }

    async fn read<T, F>(&self, ask: impl Fn(Client) -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, Failed>>,
    {
        self.repeat(ask).await.map_err(Failed::of_read)
    }

    async fn page(&self, client: Client, range: &Range, limit: usize) -> Result<Page, Failed> {
        let (start, end) = (self.first(range), behind(&format!("{}{}", self.root, range.prefix)));
        let mut options = GetOptions::new().with_limit(i64::try_from(limit).unwrap_or(i64::MAX));
        options = match end {
            Some(end) => options.with_range(end),
            None => options.with_from_key(),
        };
        if let Some(at) = range.at {
            options = options.with_revision(signed(at.0));
        }
        let mut kv = client.kv_client().max_decoding_message_size(ANSWER_BYTES_MAX);
        let answer = kv.get(start, Some(options)).await?;
        let now = answer.header().map_or(0, etcd_client::ResponseHeader::revision);
        let entries: Result<Vec<Entry>, StoreError> =
            answer.kvs().iter().map(|kv| self.entry(kv)).collect();
        Ok(Page {
            entries: entries?,
            more: answer.more(),
            revision: range.at.unwrap_or(Revision(now.unsigned_abs())),
        })
    }

    /// The first key of a range, as it is stored.
    fn first(&self, range: &Range) -> Vec<u8> {
        match &range.after {
            Some(after) if after.as_str() >= range.prefix.as_str() => {
                let mut first = self.stored(after);
                first.push(0);
                first
            }
            _ => format!("{}{}", self.root, range.prefix).into_bytes(),
        }
    }

    /// The store's revision.
    async fn revision(&self) -> Result<Revision, StoreError> {
        self.read(|client| async move {
            let answer = client.kv_client().get("\0", None).await?;
            let revision = answer.header().map_or(0, etcd_client::ResponseHeader::revision);
            Ok(Revision(revision.unsigned_abs()))
        })
        .await
    }

    fn compare(&self, compare: &Compare) -> etcd_client::Compare {
        let key = self.stored(&compare.key);
        match compare.condition {
            Condition::ModRevision(revision) => {
                etcd_client::Compare::mod_revision(key, CompareOp::Equal, signed(revision.0))
            }
            Condition::Present => etcd_client::Compare::mod_revision(key, CompareOp::Greater, 0),
        }
    }

    fn op(&self, op: &Op) -> TxnOp {
        let key = self.stored(op.key());
        match op {
            Op::Put { value, lease, .. } => {
                let lease = lease.map(|lease| PutOptions::new().with_lease(signed(lease.0)));
                TxnOp::put(key, value.as_ref(), lease)
            }
            Op::Delete { .. } => TxnOp::delete(key, None),
        }
    }
}

/// Etcd's numbers are signed, and never negative.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn lease(id: i64) -> Option<LeaseId> {
    (id != 0).then(|| LeaseId(id.unsigned_abs()))
}

/// The first key behind all that begin with `prefix`; `None` if there is none.
fn behind(prefix: &str) -> Option<Vec<u8>> {
    let mut end = prefix.as_bytes().to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return Some(end);
        }
    }
    None
}

fn check_version(version: &str) -> Result<(), ConnectError> {
    let mut parts = version.split('.').map(str::parse::<u32>);
    match (parts.next(), parts.next()) {
        (Some(Ok(major)), Some(Ok(minor))) if (major, minor) < VERSION_MIN => {
            Err(ConnectError::TooOld { version: version.to_owned(), min: VERSION_MIN })
        }
        _ => Ok(()),
    }
}

#[async_trait]
impl MetaStore for Etcd {
    async fn get(&self, key: &Key) -> Result<Option<Entry>, StoreError> {
        let stored = &self.stored(key);
        self.read(|client| async move {
            let answer = client.kv_client().get(stored.as_slice(), None).await?;
            Ok(answer.kvs().first().map(|kv| self.entry(kv)).transpose()?)
        })
        .await
    }

    async fn range(&self, range: Range) -> Result<Page, StoreError> {
        let mut limit = range.limit.min(PAGE_ENTRIES_MAX);
        loop {
            match self.read(|client| self.page(client, &range, limit)).await {
                Err(StoreError::TooLarge { .. }) if limit > 1 => limit = limit.div_ceil(4),
                Err(StoreError::FutureRevision { asked, .. }) => {
                    let newest = self.revision().await?;
                    return Err(StoreError::FutureRevision {
                        asked: range.at.unwrap_or(asked),
                        newest,
                    });
                }
                Err(StoreError::Compacted { .. }) => {
                    let oldest = range.at.unwrap_or_default().next();
                    return Err(StoreError::Compacted { oldest });
                }
                page => return page,
            }
        }
    }

    fn watch(&self, prefix: &str, from: Revision) -> Watch {
        let place = watch::Place::new(self.clone(), prefix, from.max(Revision(1)));
        Watch::new(stream::unfold(Some(place), |place| async move {
            let mut place = place?;
            match place.next().await {
                Ok(batch) => Some((Ok(batch), Some(place))),
                Err(error) => Some((Err(error), None)),
            }
        }))
    }

    async fn txn(&self, txn: Txn) -> Result<TxnOutcome, StoreError> {
        txn.check()?;
        let compares: Vec<_> = txn.compares.iter().map(|compare| self.compare(compare)).collect();
        let ops: Vec<_> = txn.ops.iter().map(|op| self.op(op)).collect();
        let asked = etcd_client::Txn::new().when(compares).and_then(ops);
        let answer =
            self.members.ask(WITHIN, async |client| Ok(client.kv_client().txn(asked).await?));
        let answer = answer.await.map_err(|failed| {
            let lease = txn.ops.iter().find_map(|op| match op {
                Op::Put { lease, .. } => *lease,
                Op::Delete { .. } => None,
            });
            failed.of_write(lease)
        })?;
        let revision = answer.header().map_or(0, etcd_client::ResponseHeader::revision);
        let revision = Revision(revision.unsigned_abs());
        Ok(match answer.succeeded() {
            true => TxnOutcome::Committed { revision },
            false => TxnOutcome::Rejected { revision },
        })
    }

    async fn grant(&self, ttl: Duration) -> Result<LeaseId, StoreError> {
        let seconds = ttl.as_secs() + u64::from(ttl.subsec_nanos() > 0);
        // One that is granted twice is not kept alive once.
        let grant = async |client: Client| {
            Ok(client.lease_client().grant(signed(seconds), None).await?.id().unsigned_abs())
        };
        self.repeat(grant).await.map(LeaseId).map_err(|failed| failed.of_write(None))
    }

    async fn keep_alive(&self, lease: LeaseId) -> Result<(), StoreError> {
        // It gives a stream that is not needed, once the lease has been kept alive.
        let keep = async |client: Client| {
            client.lease_client().keep_alive(signed(lease.0)).await?;
            Ok(())
        };
        self.repeat(keep).await.map_err(|failed| failed.of_write(Some(lease)))
    }

    async fn revoke(&self, lease: LeaseId) -> Result<(), StoreError> {
        let revoke = async |client: Client| {
            client.lease_client().revoke(signed(lease.0)).await?;
            Ok(())
        };
        let revoked = self.members.ask(WITHIN, revoke).await;
        revoked.map_err(|failed| failed.of_write(Some(lease)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_prefix() {
        assert_eq!(behind("weir/t/"), Some(b"weir/t0".to_vec()));
        assert_eq!(behind(""), None, "everything");
    }

    #[test]
    fn an_old_etcd_is_refused_and_an_unknown_version_is_not() {
        assert!(check_version("3.3.25").is_err());
        for version in ["3.4.0", "3.5.21", "4.0.0-alpha", "main", ""] {
            assert!(check_version(version).is_ok(), "{version}");
        }
    }
}
