//! Requests whose answers come later, by token.
//!
//! Bounded by what brings them about: two a member, and one a write in the queue.

use std::collections::BTreeMap;

use tokio::sync::oneshot;

use super::request::Answer;
use crate::{
    group::{Error, JoinAnswer, JoinRefused, Synced, Token},
    groups::Reply,
};

/// Who waits for what.
#[derive(Default)]
pub(super) struct Waiters {
    joins: BTreeMap<Token, oneshot::Sender<JoinAnswer>>,
    syncs: BTreeMap<Token, Answer<Synced>>,
    leaves: BTreeMap<Token, Answer<Vec<Result<(), Error>>>>,
    done: BTreeMap<Token, Answer<()>>,
    tokens: u64,
}

impl Waiters {
    fn token(&mut self) -> Token {
        self.tokens += 1;
        Token(self.tokens)
    }

    pub(super) fn join(&mut self, answer: oneshot::Sender<JoinAnswer>) -> Token {
        let token = self.token();
        self.joins.insert(token, answer);
        token
    }

    pub(super) fn sync(&mut self, answer: Answer<Synced>) -> Token {
        let token = self.token();
        self.syncs.insert(token, answer);
        token
    }

    pub(super) fn leave(&mut self, answer: Answer<Vec<Result<(), Error>>>) -> Token {
        let token = self.token();
        self.leaves.insert(token, answer);
        token
    }

    pub(super) fn done(&mut self, answer: Answer<()>) -> Token {
        let token = self.token();
        self.done.insert(token, answer);
        token
    }

    /// Passes an answer on.
    pub(super) fn reply(&mut self, reply: Reply) {
        match reply {
            Reply::Join(token, answer) => send(self.joins.remove(&token), answer),
            Reply::Sync(token, answer) => send(self.syncs.remove(&token), answer),
            Reply::Leave(token, answer) => send(self.leaves.remove(&token), answer),
            Reply::Done(token, answer) => send(self.done.remove(&token), answer),
        }
    }

    /// Sends everybody away.
    pub(super) fn refuse_all(&mut self, error: Error) {
        let refused = || JoinRefused { error, member: None };
        std::mem::take(&mut self.joins).into_values().for_each(|to| send(Some(to), Err(refused())));
        std::mem::take(&mut self.syncs).into_values().for_each(|to| send(Some(to), Err(error)));
        std::mem::take(&mut self.leaves).into_values().for_each(|to| send(Some(to), Err(error)));
        std::mem::take(&mut self.done).into_values().for_each(|to| send(Some(to), Err(error)));
    }
}

/// Whoever asked may be gone.
fn send<T>(to: Option<oneshot::Sender<T>>, answer: T) {
    if let Some(to) = to {
        let _ = to.send(answer);
    }
}
