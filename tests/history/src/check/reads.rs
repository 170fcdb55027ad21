//! Consumers: every record that they may see, once and in order, and no other.

use std::collections::HashMap;

use crate::facts::{Facts, Fate};
use crate::{
    Client, Event, Isolation, Order, Place, Seen, Source, Transaction, Unseen, Value, Verdict,
    Violation,
};

pub(super) fn check(facts: &Facts<'_>, verdict: &mut Verdict) {
    let mut consumers = Consumers { facts, due: HashMap::new() };
    for (at, entry) in (0..).zip(&facts.history.log) {
        let (client, at) = (entry.client, Order(at));
        match entry.event {
            Event::Sought(place) | Event::Resumed { place, .. } => {
                consumers.due.insert((client, place.partition), place.offset);
            }
            Event::Reset(place) => consumers.reset(place, client, at, verdict),
            Event::Polled(seen) => consumers.polled(seen, client, at, verdict),
            _ => {}
        }
    }
}

/// Where each consumer is.
struct Consumers<'a> {
    facts: &'a Facts<'a>,
    /// The next offset that is due, once a consumer has begun a partition.
    due: HashMap<(Client, i32), i64>,
}

impl Consumers<'_> {
    /// Out of range are only offsets that the log does not reach, at the latest in the end.
    fn reset(&mut self, to: Place, client: Client, at: Order, verdict: &mut Verdict) {
        let due = self.due.insert((client, to.partition), to.offset);
        if let (Some(due), Some(edges)) = (due, self.facts.edges(to.partition))
            && (edges.log_start..=edges.end).contains(&due)
        {
            let by = Source::Run { client, at };
            verdict.add(Violation::NeedlessReset { to, due, by });
        }
    }

    fn polled(&mut self, seen: Seen, client: Client, at: Order, verdict: &mut Verdict) {
        let by = Source::Run { client, at };
        let offset = seen.place.offset;
        let isolation = self.facts.history.isolation(client);
        let due = self.due.insert((client, seen.place.partition), offset + 1).unwrap_or(offset);
        if offset < due {
            verdict.add(Violation::WentBack { seen, due, by });
        } else if let Some(missed) = self.first_missed(seen.place, due, isolation) {
            verdict.add(Violation::Skipped { missed, due, at: offset, by });
        }
        if isolation == Isolation::ReadCommitted
            && let Some((transaction, why)) = self.why_unseen(seen.value, at)
        {
            verdict.add(Violation::AbortedRead { seen, by, transaction, why });
        }
    }

    /// The first record from `due` on and before `at` that a consumer should have got.
    fn first_missed(&self, at: Place, due: i64, isolation: Isolation) -> Option<Seen> {
        let partition = at.partition;
        let passed = self.facts.end.as_ref()?.get(partition)?.from(due);
        let mut passed = passed.iter().take_while(|(offset, _)| *offset < at.offset);
        let missed = passed.find(|(_, value)| self.is_visible(*value, isolation));
        missed.map(|(offset, value)| Seen {
            place: Place { partition, offset: *offset },
            value: *value,
        })
    }

    fn is_visible(&self, value: Value, isolation: Isolation) -> bool {
        match self.transaction(value) {
            Some(transaction) if isolation == Isolation::ReadCommitted => {
                self.facts.transactions.outcome(transaction).is_visible() == Some(true)
            }
            _ => true,
        }
    }

    /// Why nobody may see a value when this event happens.
    fn why_unseen(&self, value: Value, at: Order) -> Option<(Transaction, Unseen)> {
        let transaction = self.transaction(value)?;
        let outcome = self.facts.transactions.outcome(transaction);
        let too_early = match outcome.asked {
            Some(source @ Source::Run { at: asked, .. }) if asked > at => {
                Some(Unseen::NotYet(source))
            }
            _ => None,
        };
        outcome.unseen().or(too_early).map(|why| (transaction, why))
    }

    fn transaction(&self, value: Value) -> Option<Transaction> {
        self.facts.values.get(value).and_then(|Fate { transaction, .. }| *transaction)
    }
}
