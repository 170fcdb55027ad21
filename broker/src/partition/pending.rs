//! Appends that wait for durability, in the order of their offsets.

use std::collections::VecDeque;

use weir_ids::{LeaderEpoch, Offset, Timestamp};

use crate::client::{AppendError, Appended, Resolver};

/// An answer that is due.
pub(crate) struct Answered(Resolver, Result<Appended, AppendError>);

impl Answered {
    pub(crate) fn new(resolver: Resolver, result: Result<Appended, AppendError>) -> Self {
        Self(resolver, result)
    }

    /// Hands it to whoever waits.
    pub(crate) fn send(self) {
        self.0.resolve(self.1);
    }
}

#[derive(Default)]
pub(super) struct PendingAnswers {
    /// By last offset; duplicates lie beside their originals.
    waiting: VecDeque<Waiting>,
}

pub(super) struct Waiting {
    pub(super) base: Offset,
    pub(super) last: Offset,
    pub(super) log_append_time: Option<Timestamp>,
    pub(super) resolver: Resolver,
}

impl PendingAnswers {
    pub(super) fn push(&mut self, waiting: Waiting) {
        let place = match self.waiting.back() {
            Some(back) if back.last > waiting.last => {
                self.waiting.partition_point(|other| other.last <= waiting.last)
            }
            _ => self.waiting.len(),
        };
        self.waiting.insert(place, waiting);
    }

    /// The answers to all that lies below `durable`.
    pub(super) fn due(
        &mut self,
        durable: Offset,
        log_start: Offset,
        epoch: LeaderEpoch,
    ) -> Vec<Answered> {
        let mut due = Vec::new();
        while self.waiting.front().is_some_and(|front| front.last < durable) {
            let Some(front) = self.waiting.pop_front() else { break };
            let Waiting { base, last, log_append_time, resolver } = front;
            let appended = Appended { base, last, log_append_time, log_start, epoch };
            due.push(Answered::new(resolver, Ok(appended)));
        }
        due
    }

    pub(super) fn fail(&mut self, error: &AppendError) -> Vec<Answered> {
        let waiting = self.waiting.drain(..);
        waiting.map(|waiting| Answered::new(waiting.resolver, Err(error.clone()))).collect()
    }
}
