//! Whether a store really honours conditional creates (DESIGN §4, rule 7), found out before anything is
//! entrusted to it.
//!
//! Many creates race for each of a few names. Not more than one may win, and what is there afterwards must
//! be the winner's. A store that ignores the condition has several winners; one that looks first and writes
//! later has several now and then.

use std::time::Duration;

use futures::{StreamExt, future::join_all, stream};
use object_store::{
    Error, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, path::Path,
};
use tokio::time::{Instant, sleep};
use weir_runtime::Runtime;

/// How many creates race for a name, and for how many names.
const RIVALS: usize = 16;
const NAMES: usize = 50;
/// How many names are raced for at the same time.
const AT_ONCE: usize = 4;
/// Pause before a store is asked again, and at most as much more.
const PAUSE: Duration = Duration::from_secs(1);
/// What the names begin with; nothing else does.
const PREFIX: &str = "probe";

/// Why a store can't be relied on.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// Several creates of one name have succeeded.
    #[error(
        "{winners} of {RIVALS} conditional creates of {name} succeeded at the same time: this store does not \
         keep the condition, and records would be lost; use another store"
    )]
    SeveralWinners {
        /// How many.
        winners: usize,
        /// Of what.
        name: String,
    },
    /// What was created is not what is there.
    #[error(
        "{name} holds another body than the one that was created: this store does not keep the condition, and \
         records would be lost; use another store"
    )]
    Replaced {
        /// What.
        name: String,
    },
    /// It can't be found out.
    #[error("whether the store keeps the condition of creates can't be found out: {name}: {what}")]
    Unavailable {
        /// What was asked.
        name: String,
        /// What the store said.
        what: String,
        /// Whether it may say something else by itself in a while.
        may_heal: bool,
    },
}

impl ProbeError {
    /// Whether it is worth asking again.
    fn may_heal(&self) -> bool {
        matches!(self, Self::Unavailable { may_heal: true, .. })
    }
}

/// Whether a store that said so may say something else by itself in a while.
fn may_heal(error: &Error) -> bool {
    !matches!(
        error,
        Error::NotFound { .. }
            | Error::InvalidPath { .. }
            | Error::NotSupported { .. }
            | Error::NotImplemented { .. }
            | Error::PermissionDenied { .. }
            | Error::Unauthenticated { .. }
            | Error::UnknownConfigurationKey { .. }
    )
}

/// Finds out whether `store` honours conditional creates. What it can't say it is asked again, for as long as
/// `patience` lasts: many nodes may ask at once, for example after an outage. The names are of this call
/// alone, and are deleted in the end.
///
/// # Errors
/// [`ProbeError`].
pub async fn probe_condition(
    store: &dyn ObjectStore,
    runtime: &Runtime,
    patience: Duration,
) -> Result<(), ProbeError> {
    let deadline = Instant::now() + patience;
    loop {
        match probe_once(store, runtime.random_u64()).await {
            Err(error) if error.may_heal() && Instant::now() < deadline => {
                tracing::warn!(%error, "asking the store again");
                let share = runtime.random_u64() % PAUSE.as_millis() as u64;
                sleep(PAUSE + Duration::from_millis(share)).await;
            }
            probed => return probed,
        }
    }
}

async fn probe_once(store: &dyn ObjectStore, nonce: u64) -> Result<(), ProbeError> {
    let names: Vec<Path> =
        (0..NAMES).map(|n| Path::from(format!("{PREFIX}/{nonce:016x}/{n:02}"))).collect();
    let mut races = stream::iter(&names).map(|name| race(store, name)).buffer_unordered(AT_ONCE);
    let mut outcome = Ok(());
    while let Some(raced) = races.next().await {
        outcome = outcome.and(raced);
    }
    let gone = stream::iter(names.clone().into_iter().map(Ok)).boxed();
    // What can't be deleted is small, and harms nobody.
    let _ = store.delete_stream(gone).collect::<Vec<_>>().await;
    outcome
}

async fn race(store: &dyn ObjectStore, name: &Path) -> Result<(), ProbeError> {
    let creates = (0..RIVALS).map(|rival| async move {
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        store.put_opts(name, PutPayload::from(body(rival)), options).await
    });
    let (mut winners, mut unclear, mut failure) = (Vec::new(), Vec::new(), None);
    for (rival, created) in join_all(creates).await.into_iter().enumerate() {
        match created {
            Ok(_) => winners.push(rival),
            Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => {}
            Err(error) => {
                unclear.push(rival);
                failure = Some(error);
            }
        }
    }
    let text = || name.to_string();
    if winners.len() > 1 {
        return Err(ProbeError::SeveralWinners { winners: winners.len(), name: text() });
    }
    let unavailable = |error: Error| ProbeError::Unavailable {
        name: text(),
        what: error.to_string(),
        may_heal: may_heal(&error),
    };
    if let Some(error) = failure.filter(|_| unclear.len() == RIVALS) {
        return Err(unavailable(error));
    }
    let found = async { store.get(name).await?.bytes().await };
    let found = found.await.map_err(unavailable)?;
    // Without a winner, one whose answer was lost has won.
    let may_be: Vec<usize> = if winners.is_empty() { unclear } else { winners };
    match may_be.into_iter().any(|rival| body(rival) == found) {
        true => Ok(()),
        false => Err(ProbeError::Replaced { name: text() }),
    }
}

fn body(rival: usize) -> Vec<u8> {
    format!("probe {rival:02}").into_bytes()
}

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;

    use weir_runtime::{Seeded, SystemClock};

    use super::*;
    use crate::testing::{Fate, FaultyObjects, Request};

    async fn ask(store: &dyn ObjectStore, patience: Duration) -> Result<(), ProbeError> {
        probe_condition(store, &Runtime::new(SystemClock, Seeded::new(7)), patience).await
    }

    async fn probed(
        fate: impl Fn(usize) -> Fate + Send + Sync + 'static,
    ) -> Result<(), ProbeError> {
        probed_for(Duration::ZERO, fate).await
    }

    async fn probed_for(
        patience: Duration,
        fate: impl Fn(usize) -> Fate + Send + Sync + 'static,
    ) -> Result<(), ProbeError> {
        let count = std::sync::atomic::AtomicUsize::new(0);
        let objects = FaultyObjects::new(move |request: Request, _: &str| match request {
            Request::Put => fate(count.fetch_add(1, std::sync::atomic::Ordering::Relaxed)),
            _ => Fate::Done,
        });
        ask(&objects, patience).await
    }

    #[tokio::test(start_paused = true)]
    async fn stores_that_keep_the_condition_pass_and_nothing_stays() {
        let memory = InMemory::new();
        ask(&memory, Duration::ZERO).await.unwrap();
        assert_eq!(memory.list(None).collect::<Vec<_>>().await.len(), 0);
        let directory = tempfile::tempdir().unwrap();
        let local = object_store::local::LocalFileSystem::new_with_prefix(directory.path());
        ask(&local.unwrap(), Duration::ZERO).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_replaces_what_is_there_is_found_out() {
        let error = probed(|_| Fate::Overwrites).await.unwrap_err();
        assert!(matches!(error, ProbeError::SeveralWinners { .. }), "{error}");
        let error = probed(|n| if n % 97 == 13 { Fate::Overwrites } else { Fate::Done }).await;
        assert!(error.is_err(), "now and then is often enough");
    }

    #[tokio::test(start_paused = true)]
    async fn failures_are_no_proof_of_anything() {
        probed(|n| if n % 5 == 0 { Fate::FailsAfter } else { Fate::Done }).await.unwrap();
        probed(|n| if n % 5 == 0 { Fate::Fails } else { Fate::Done }).await.unwrap();
        let error = probed(|_| Fate::Fails).await.unwrap_err();
        assert!(matches!(error, ProbeError::Unavailable { .. }), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_fails_for_a_while_is_asked_again() {
        let at_first = |n| if n < 3 * NAMES * RIVALS { Fate::Fails } else { Fate::Done };
        assert!(probed_for(Duration::from_secs(1), at_first).await.is_err());
        probed_for(Duration::from_secs(60), at_first).await.unwrap();
        let patience = Duration::from_secs(3600);
        let error = probed_for(patience, |_| Fate::Overwrites).await.unwrap_err();
        assert!(matches!(error, ProbeError::SeveralWinners { .. }), "nothing heals that");
    }
}
