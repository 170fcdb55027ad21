//! The members of an etcd, and which of them is asked.
//!
//! A process asks one member until that fails it, and then goes on to the next. Requests that are spread
//! over all members would wait, one in three of them, for one that hangs.

use std::{
    future::Future,
    hash::{BuildHasher, RandomState},
    mem,
    pin::pin,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use etcd_client::{Client, ConnectOptions, GetOptions};
use tokio::{
    sync::OnceCell,
    time::{Instant, sleep, timeout},
};
use weir_runtime::watch;

use super::error::Failed;

/// A member that has answered nothing for so long is asked for a sign of life …
const QUIET: Duration = Duration::from_millis(300);
/// … which it gives from its memory, so long as it lives, even while no leader is elected.
const SIGN_WITHIN: Duration = Duration::from_millis(300);

/// The members, one of which is asked.
pub(super) struct Members {
    members: Vec<Member>,
    options: ConnectOptions,
    turn: watch::Sender<Turn>,
    /// Nobody has answered since it was last said that one is left.
    told: AtomicBool,
}

/// Counts how often another member was gone on to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Turn(usize);

struct Member {
    endpoint: String,
    client: OnceCell<Client>,
    /// When it answered last, whatever that was.
    answered: Mutex<Option<Instant>>,
    /// Held by who asks it for a sign of life: one is enough for all who wait.
    sign: tokio::sync::Mutex<()>,
}

impl Member {
    fn new(endpoint: &str) -> Self {
        let (client, sign) = (OnceCell::new(), tokio::sync::Mutex::default());
        Self { endpoint: endpoint.to_owned(), client, answered: Mutex::default(), sign }
    }

    fn has_answered(&self) {
        *self.answered.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Whether it has answered nothing for so long that it is to be asked for a sign of life.
    fn is_quiet(&self) -> bool {
        let answered = *self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        answered.is_none_or(|at| at.elapsed() >= QUIET)
    }
}

/// A request. When it ends, a member that has failed it is left.
struct Asked<'a> {
    members: &'a Members,
    turn: Turn,
    at: Instant,
    /// Unknown when nobody waits for an answer any more.
    has_failed: Option<bool>,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        let quiet = || self.at.elapsed() >= QUIET && self.members.member(self.turn).is_quiet();
        if self.has_failed.unwrap_or_else(quiet) {
            self.members.leave(self.turn);
        }
    }
}

impl Members {
    /// The members at `endpoints`, of which a random one is asked first.
    pub(super) fn new(endpoints: &[String], options: ConnectOptions) -> Self {
        let first = RandomState::new().hash_one(endpoints) % endpoints.len().max(1) as u64;
        let turn = watch::Sender::new(Turn(usize::try_from(first).unwrap_or(0)));
        Self {
            members: endpoints.iter().map(|it| Member::new(it)).collect(),
            options,
            turn,
            told: AtomicBool::new(false),
        }
    }

    /// Whose turn it is.
    pub(super) fn turn(&self) -> Turn {
        *self.turn.borrow()
    }

    fn member(&self, turn: Turn) -> &Member {
        &self.members[turn.0 % self.members.len()]
    }

    /// A client of the member whose turn it is.
    async fn client(&self, turn: Turn) -> Result<Client, Failed> {
        let member = self.member(turn);
        let connecting = Client::connect([&member.endpoint], Some(self.options.clone()));
        let client = member.client.get_or_try_init(|| connecting).await?;
        Ok(client.clone())
    }

    /// Goes on to the next member, unless that has been done since `turn`.
    pub(super) fn leave(&self, turn: Turn) {
        let next = Turn(turn.0.wrapping_add(1));
        let left = |now: &mut Turn| *now == turn && mem::replace(now, next) == turn;
        if self.turn.send_if_modified(left) {
            let (member, next) = (&self.member(turn).endpoint, &self.member(next).endpoint);
            // Once, and not again and again while none of them answers.
            if self.told.swap(true, Ordering::Relaxed) {
                tracing::debug!(member, next, "this member of etcd fails too");
            } else {
                tracing::info!(member, next, "a member of etcd fails; going on to the next");
            }
        }
    }

    /// Comes to its end when the turn is another's.
    pub(super) async fn left(&self, turn: Turn) {
        // The sender is `self`: it does not close.
        let _ = self.turn.subscribe().wait_for(|now| *now != turn).await;
    }

    /// Asks one member, once. Whether it has done what it was asked is unknown if no answer comes.
    pub(super) async fn ask<T, F>(
        &self,
        within: Duration,
        request: impl FnOnce(Client) -> F,
    ) -> Result<T, Failed>
    where
        F: Future<Output = Result<T, Failed>>,
    {
        let (turn, at) = (self.turn(), Instant::now());
        let mut asked = Asked { members: self, turn, at, has_failed: None };
        let answer = timeout(within, self.answer(turn, request)).await;
        let answer = answer.unwrap_or(Err(Failed::no_answer(within)));
        asked.has_failed = Some(answer.as_ref().is_err_and(Failed::may_be_repeated));
        answer
    }

    /// Waits for an answer so long as there are signs of life.
    async fn answer<T, F>(&self, turn: Turn, request: impl FnOnce(Client) -> F) -> Result<T, Failed>
    where
        F: Future<Output = Result<T, Failed>>,
    {
        let asking = pin!(async { request(self.client(turn).await?).await });
        let answer = tokio::select! {
            biased;
            answer = asking => answer,
            () = self.no_sign(turn) => return Err(Failed::no_answer(QUIET + SIGN_WITHIN)),
        };
        if !answer.as_ref().is_err_and(Failed::may_be_repeated) {
            self.member(turn).has_answered();
            self.told.store(false, Ordering::Relaxed);
        }
        answer
    }

    /// Comes to its end if the member gives no sign of life.
    async fn no_sign(&self, turn: Turn) {
        let member = self.member(turn);
        loop {
            sleep(QUIET).await;
            let _alone = member.sign.lock().await;
            if !member.is_quiet() {
                continue;
            }
            let sign = async {
                let client = self.client(turn).await?;
                let read = GetOptions::new().with_serializable();
                client.kv_client().get("\0", Some(read)).await.map_err(Failed::from)
            };
            match timeout(SIGN_WITHIN, sign).await {
                Ok(Ok(_)) => member.has_answered(),
                _ => return,
            }
        }
    }
}
