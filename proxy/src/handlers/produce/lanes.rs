//! What a connection has appended to each partition and has not been told of, in order.
//!
//! A partition may move while a client has several appends under way. Those that its old owner surely
//! did not take are then sent again to the new one, and nothing may overtake them meanwhile. So a
//! *lane*, the appends of one connection to one partition, keeps them until they are answered, and:
//!
//! - every append carries the leader epoch that the proxy believes in. An owner that has rejected an
//!   append of an epoch never takes one of that epoch again, so behind a rejected append all others of its
//!   epoch are rejected too, however many are on their way;
//! - an append goes at once only if all before it in its lane went with the same epoch. Otherwise it stays
//!   here until those are settled;
//! - while no epoch is known, one append goes at a time;
//! - behind an append of an idempotent producer that was given up ([`broken`](super::broken)) nothing of that
//!   producer goes until it comes again.
//!
//! Lanes are per connection: the order of a client is kept, and no client waits for another. One task
//! works with them, so nobody waits for the lock. No I/O.

use std::{
    collections::BTreeMap,
    future::poll_fn,
    pin::Pin,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use weir_broker::client::{Append, AppendError, Appended, Receipt};
use weir_ids::{LeaderEpoch, NodeId, TopicPartition};

use super::broken::{Broken, Numbered};

/// See the module.
#[derive(Default)]
pub(crate) struct Lanes(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    entries: BTreeMap<Ticket, Entry>,
    last: u64,
    broken: Broken,
}

/// An append, and its place among those of its lane.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Ticket {
    pub(super) partition: TopicPartition,
    number: u64,
}

struct Entry {
    append: Append,
    at: At,
    /// Who was tried last.
    tried: Option<NodeId>,
    /// The partition's epoch, if that one knew another than we.
    current: Option<LeaderEpoch>,
}

/// Where an append is.
enum At {
    /// Nobody has taken it.
    Here,
    /// It is being handed over.
    Leaving,
    /// A broker has it.
    Away(Receipt),
    /// It is answered, though not yet to the client.
    Answered(Result<Appended, AppendError>),
}

/// What became of an append.
pub(super) enum Told {
    /// Its answer, and whose it is.
    Finally(Result<Appended, AppendError>, Option<NodeId>),
    /// It was surely not taken, or can be recognised if it was: it may be sent again.
    Again(Attempt),
}

/// An attempt that came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Attempt {
    /// Who was tried, if anybody.
    pub(super) owner: Option<NodeId>,
    /// The epoch that was believed in.
    pub(super) epoch: Option<LeaderEpoch>,
    /// The epoch that it should have been.
    pub(super) current: Option<LeaderEpoch>,
}

impl Ticket {
    fn lane(partition: TopicPartition) -> std::ops::RangeInclusive<Self> {
        Self { partition, number: 0 }..=Self { partition, number: u64::MAX }
    }

    fn and_behind(self) -> std::ops::RangeInclusive<Self> {
        self..=Self { number: u64::MAX, ..self }
    }
}

impl Entry {
    /// Whether it may be followed by an append that believes in `epoch`.
    fn may_be_followed(&self, epoch: LeaderEpoch) -> bool {
        match &self.at {
            At::Here => false,
            At::Leaving | At::Away(_) => self.append.epoch == Some(epoch),
            At::Answered(_) => true,
        }
    }

    /// Takes in an answer.
    fn answered(&mut self, result: Result<Appended, AppendError>) {
        self.current = match &result {
            Err(AppendError::WrongEpoch { current, .. }) => Some(*current),
            _ => None,
        };
        self.at = match &result {
            Err(AppendError::NotOwner(_) | AppendError::WrongEpoch { .. }) => At::Here,
            // It is recognised if it is there (KIP-98).
            Err(AppendError::Unclear(_)) if Numbered::of(&self.append).is_some() => At::Here,
            _ => At::Answered(result),
        };
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let At::Away(receipt) = &mut self.at {
            let result = std::task::ready!(Pin::new(receipt).poll(cx));
            self.answered(result);
        }
        Poll::Ready(())
    }
}

impl Lanes {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many appends are not answered.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.lock().entries.len()
    }

    /// Puts an append at the end of its lane. `epoch` is the one that its partition is believed to have.
    /// The append is returned if it is to be handed to `owner` now.
    pub(super) fn enter(
        &self,
        append: Append,
        owner: NodeId,
        epoch: LeaderEpoch,
    ) -> (Ticket, Option<Append>) {
        let mut inner = self.lock();
        inner.last += 1;
        let ticket = Ticket { partition: append.partition, number: inner.last };
        if inner.broken.holds_back(&append) {
            inner.entries.insert(ticket, Entry::held_back(append));
            return (ticket, None);
        }
        let mut lane = inner.entries.range(Ticket::lane(ticket.partition));
        let epoch = (epoch != LeaderEpoch::NONE).then_some(epoch);
        let goes = match epoch {
            Some(epoch) => lane.all(|(_, before)| before.may_be_followed(epoch)),
            None => lane.next().is_none(),
        };
        let mut entry = Entry { append, at: At::Here, tried: None, current: None };
        let gone = goes.then(|| entry.leave(owner, epoch));
        inner.entries.insert(ticket, entry);
        (ticket, gone)
    }

    /// A broker has taken an append, or none has.
    pub(super) fn handed(&self, ticket: Ticket, receipt: Option<Receipt>) {
        if let Some(entry) = self.lock().entries.get_mut(&ticket) {
            entry.at = receipt.map_or(At::Here, At::Away);
        }
    }

    /// Those at the front of a lane that nobody has taken, to be handed to `owner` now.
    pub(super) fn leave(
        &self,
        partition: TopicPartition,
        owner: NodeId,
        epoch: LeaderEpoch,
    ) -> Vec<(Ticket, Append)> {
        let epoch = (epoch != LeaderEpoch::NONE).then_some(epoch);
        let mut inner = self.lock();
        let Inner { entries, broken, .. } = &mut *inner;
        let lane = entries.range_mut(Ticket::lane(partition));
        let waiting = lane
            .skip_while(|(_, entry)| matches!(entry.at, At::Answered(_)))
            .take_while(|(_, entry)| matches!(entry.at, At::Here))
            .filter_map(|(ticket, entry)| {
                if broken.holds_back(&entry.append) {
                    entry.hold_back();
                    return None;
                }
                Some((ticket, entry))
            });
        let most = if epoch.is_some() { usize::MAX } else { 1 };
        waiting.take(most).map(|(ticket, entry)| (*ticket, entry.leave(owner, epoch))).collect()
    }

    /// Waits for what becomes of an append.
    pub(super) async fn told(&self, ticket: Ticket) -> Told {
        poll_fn(|cx| {
            let mut inner = self.lock();
            let Some(entry) = inner.entries.get_mut(&ticket) else {
                let given_up = AppendError::Unclear(ticket.partition);
                return Poll::Ready(Told::Finally(Err(given_up), None));
            };
            std::task::ready!(entry.poll(cx));
            match &entry.at {
                At::Answered(result) => {
                    let (result, owner) = (result.clone(), entry.tried);
                    inner.entries.remove(&ticket);
                    Poll::Ready(Told::Finally(result, owner))
                }
                _ => {
                    let Entry { append, tried: owner, current, .. } = entry;
                    let attempt = Attempt { owner: *owner, epoch: append.epoch, current: *current };
                    Poll::Ready(Told::Again(attempt))
                }
            }
        })
        .await
    }

    /// Waits until all in a lane that a broker has are answered.
    pub(super) async fn settle(&self, partition: TopicPartition) {
        poll_fn(|cx| {
            let mut inner = self.lock();
            let lane = inner.entries.range_mut(Ticket::lane(partition));
            // All of them, so that each can wake this one.
            let pending = lane.filter(|(_, entry)| entry.at.is_away());
            match pending.map(|(_, entry)| entry.poll(cx)).filter(Poll::is_pending).count() {
                0 => Poll::Ready(()),
                _ => Poll::Pending,
            }
        })
        .await;
    }

    /// Whether the first of a lane could go.
    pub(super) fn is_waiting(&self, partition: TopicPartition) -> bool {
        let inner = self.lock();
        let first = inner.entries.range(Ticket::lane(partition)).next();
        first.is_some_and(|(_, entry)| matches!(entry.at, At::Here))
    }

    /// Gives an append up. Whether a broker has it, and may yet take it.
    pub(super) fn give_up(&self, ticket: Ticket) -> bool {
        let mut inner = self.lock();
        let Inner { entries, broken, .. } = &mut *inner;
        let Some(given_up) = entries.remove(&ticket) else { return false };
        let unclear = match given_up.at {
            At::Here => false,
            At::Leaving | At::Away(_) => true,
            At::Answered(_) => return true,
        };
        broken.note(&given_up.append);
        for (_, entry) in entries.range_mut(ticket.and_behind()) {
            if matches!(entry.at, At::Here) && broken.holds_back(&entry.append) {
                entry.hold_back();
            }
        }
        unclear
    }
}

impl Entry {
    /// One that comes too late or too early.
    fn held_back(append: Append) -> Self {
        let mut entry = Self { append, at: At::Here, tried: None, current: None };
        entry.hold_back();
        entry
    }

    /// Its producer sends it again, after the one that was given up.
    fn hold_back(&mut self) {
        self.at = At::Answered(Err(AppendError::NotOwner(self.append.partition)));
    }

    fn leave(&mut self, owner: NodeId, epoch: Option<LeaderEpoch>) -> Append {
        self.append.epoch = epoch;
        self.at = At::Leaving;
        self.tried = Some(owner);
        self.append.clone()
    }
}

impl At {
    fn is_away(&self) -> bool {
        matches!(self, At::Away(_))
    }
}
