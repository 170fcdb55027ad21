//! What every [`MetaStore`] must do, as a suite that each implementation runs.
//!
//! The checks make no assumption about what else the store holds: each keeps to its own prefix,
//! cleared first, and looks at revisions relative to each other. They panic when one fails.

#![allow(clippy::unwrap_used, reason = "a check that fails should panic")]

mod entries;
mod leases;
mod watches;

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use super::{Entry, Key, MetaStore, Revision, StoreError, Txn, TxnOutcome, list};

/// How long a check waits for what must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A store, and the part of it that belongs to one check.
#[derive(Clone)]
pub(crate) struct Ground {
    pub(crate) store: Arc<dyn MetaStore>,
    prefix: String,
}

type Check = fn(Ground) -> Pin<Box<dyn Future<Output = ()> + Send>>;

/// Names a check and makes a plain function of it.
macro_rules! checks {
    ($($module:ident :: $name:ident),* $(,)?) => {
        [$((stringify!($name), (|ground| Box::pin($module::$name(ground))) as Check)),*]
    };
}

/// Runs the whole suite, one check after another.
///
/// # Panics
/// When a check fails.
pub async fn run(store: Arc<dyn MetaStore>) {
    let checks = checks![
        entries::put_and_get,
        entries::versions_count_writes_since_the_key_appeared,
        entries::revision_grows_by_one_with_each_writing_transaction,
        entries::compares_decide_all_or_nothing,
        entries::one_of_many_claimants_wins,
        entries::limits_are_errors_and_change_nothing,
        entries::pages_come_in_order_and_show_one_revision,
        entries::a_prefix_has_no_neighbours,
        entries::a_revision_to_come_is_an_error,
        watches::changes_arrive_in_order_from_a_past_revision,
        watches::changes_of_one_revision_arrive_together,
        watches::a_watch_waits_for_what_is_to_come,
        watches::listing_then_watching_misses_nothing,
        watches::a_dropped_wait_loses_nothing,
        leases::keys_go_with_their_lease,
        leases::a_lease_kept_alive_lasts,
        leases::a_revoked_lease_takes_its_keys_in_one_revision,
        leases::the_last_write_decides_the_lease,
        leases::an_ended_lease_is_an_error,
    ];
    for (name, check) in checks {
        let ground = Ground { store: Arc::clone(&store), prefix: format!("conformance/{name}/") };
        ground.clear().await;
        check(ground).await;
    }
}

/// Checks what a caller meets whose revision is gone. How history is cut differs, so the caller
/// cuts it: every revision up to `gone` must be compacted.
///
/// # Panics
/// When the check fails.
pub async fn compacted(store: Arc<dyn MetaStore>, gone: Revision) {
    watches::a_compacted_revision_sends_to_the_list(store, gone).await;
}

impl Ground {
    /// The key `name` of this check.
    pub(crate) fn key(&self, name: &str) -> Key {
        format!("{}{name}", self.prefix).into()
    }

    pub(crate) async fn clear(&self) {
        for entry in self.list().await {
            self.commit(Txn::new().delete(entry.key)).await;
        }
    }

    pub(crate) async fn list(&self) -> Vec<Entry> {
        list(&*self.store, &self.prefix).await.unwrap().0
    }

    pub(crate) async fn get(&self, name: &str) -> Option<Entry> {
        self.store.get(&self.key(name)).await.unwrap()
    }

    pub(crate) async fn put(&self, name: &str, value: &'static str) -> Revision {
        self.commit(Txn::new().put(self.key(name), value)).await
    }

    /// Runs a transaction that must commit.
    pub(crate) async fn commit(&self, txn: Txn) -> Revision {
        match self.store.txn(txn).await.unwrap() {
            TxnOutcome::Committed { revision } => revision,
            TxnOutcome::Rejected { revision } => panic!("rejected at revision {revision}"),
        }
    }

    pub(crate) async fn refused(&self, txn: Txn) -> StoreError {
        self.store.txn(txn).await.expect_err("it must be refused")
    }

    /// Waits until `name` is gone.
    pub(crate) async fn until_gone(&self, name: &str) {
        let gone = async {
            while self.get(name).await.is_some() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        within(gone).await;
    }
}

/// What `future` gives, or a panic when that takes too long.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("it takes too long")
}
