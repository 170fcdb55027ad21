//! A store in etcd: the metadata of a cluster of several machines.
//!
//! Every request is one request of etcd's, bounded in time; several endpoints share them, and what one
//! does not answer is not sent to another by itself unless it only reads. Keys lie under a root of the
//! cluster's own, so that several clusters can share an etcd.
//!
//! What a write's error means is decided in `error`, on the safe side: only what etcd says before it
//! proposes a write counts as surely not applied.

mod address;
mod error;
mod watch;

use std::{future::Future, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use etcd_client::{Client, CompareOp, ConnectOptions, GetOptions, KeyValue, PutOptions, TxnOp};
use futures::stream;
use tokio::time::{Instant, sleep, timeout};

pub use address::{Address, AddressError};
pub use error::ConnectError;
use error::Failed;

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
    client: Client,
    /// What every key begins with.
    root: String,
}

impl Etcd {
    /// Connects, and waits for an answer for a while.
    ///
    /// # Errors
    /// A [`ConnectError`]: nobody answers, or not as an etcd that can be used.
    pub async fn connect(address: &Address) -> Result<Self, ConnectError> {
        let unusable = |error: etcd_client::Error| ConnectError::Unusable {
            endpoints: address.endpoints.join(", "),
            reason: error.to_string(),
        };
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
        let began = Instant::now();
        let mut said = false;
        loop {
            let connecting = timeout(WITHIN, Self::try_connect(address, options.clone()));
            let reason = match connecting.await {
                Ok(Ok((store, version))) => {
                    return check_version(&version).map(|()| store);
                }
                Ok(Err(etcd_client::Error::GRpcStatus(status))) if error::is_final(&status) => {
                    return Err(unusable(status.into()));
                }
                Ok(Err(
                    error
                    @ (etcd_client::Error::InvalidArgs(_) | etcd_client::Error::InvalidUri(_)),
                )) => {
                    return Err(unusable(error));
                }
                Ok(Err(error)) => error.to_string(),
                Err(_) => format!("no answer within {WITHIN:?}"),
            };
            let endpoints = address.endpoints.join(", ");
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

    /// A connection that has answered once, and what its end says its version is.
    async fn try_connect(
        address: &Address,
        options: ConnectOptions,
    ) -> Result<(Self, String), etcd_client::Error> {
        let mut client = Client::connect(&address.endpoints, Some(options)).await?;
        let version = client.status().await?.version().to_owned();
        // Says whether there is a leader, and whether we may read.
        let store = Self { client, root: address.root.clone() };
        store.client.kv_client().get(store.root.as_str(), None).await?;
        Ok((store, version))
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

    /// Asks until there is an answer, or the time is over. For what may be asked twice.
    async fn read<T, F>(&self, ask: impl Fn(Client) -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, Failed>>,
    {
        let until = Instant::now() + WITHIN;
        let mut why = None;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match timeout(left, ask(self.client.clone())).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(failed)) if failed.may_be_repeated() => why = Some(failed),
                Ok(Err(failed)) => return Err(failed.of_read()),
                Err(_) => {
                    let failed = why.unwrap_or(Failed::no_answer(WITHIN));
                    return Err(failed.of_read());
                }
            }
            sleep(PAUSE).await;
        }
    }

    /// Asks once.
    async fn write<T>(
        &self,
        ask: impl Future<Output = Result<T, etcd_client::Error>>,
    ) -> Result<T, Failed> {
        match timeout(WITHIN, ask).await {
            Ok(answer) => answer.map_err(Failed::from),
            Err(_) => Err(Failed::no_answer(WITHIN)),
        }
    }

    async fn page(&self, range: &Range, limit: usize) -> Result<Page, Failed> {
        let (start, end) = (self.first(range), behind(&format!("{}{}", self.root, range.prefix)));
        let mut options = GetOptions::new().with_limit(i64::try_from(limit).unwrap_or(i64::MAX));
        options = match end {
            Some(end) => options.with_range(end),
            None => options.with_from_key(),
        };
        if let Some(at) = range.at {
            options = options.with_revision(signed(at.0));
        }
        let mut kv = self.client.kv_client().max_decoding_message_size(ANSWER_BYTES_MAX);
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
            match self.read(|_| self.page(&range, limit)).await {
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
        let mut kv = self.client.kv_client();
        let answer = self.write(kv.txn(asked)).await.map_err(|failed| {
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
        let mut leases = self.client.lease_client();
        let granted = self.write(leases.grant(signed(seconds), None)).await;
        let granted = granted.map_err(|failed| failed.of_write(None))?;
        Ok(LeaseId(granted.id().unsigned_abs()))
    }

    async fn keep_alive(&self, lease: LeaseId) -> Result<(), StoreError> {
        let mut leases = self.client.lease_client();
        // It gives a stream that is not needed, once the lease has been kept alive.
        let kept = self.write(leases.keep_alive(signed(lease.0))).await;
        kept.map(drop).map_err(|failed| failed.of_write(Some(lease)))
    }

    async fn revoke(&self, lease: LeaseId) -> Result<(), StoreError> {
        let mut leases = self.client.lease_client();
        let revoked = self.write(leases.revoke(signed(lease.0))).await;
        revoked.map(drop).map_err(|failed| failed.of_write(Some(lease)))
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
