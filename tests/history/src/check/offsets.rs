//! Committed offsets of groups: never back, never one that nobody sent or that was aborted.

use std::collections::{BTreeMap, HashMap};

use super::floor::Floor;
use crate::facts::Facts;
use crate::{Event, Group, Order, Place, Source, Transaction, Verdict, Violation};

type Key = (Group, i32);

pub(super) fn check(facts: &Facts<'_>, verdict: &mut Verdict) {
    let mut groups = Groups { facts, offsets: HashMap::new(), in_transactions: BTreeMap::new() };
    for (by, event) in facts.history.events() {
        match event {
            Event::OffsetSent { group, place, transaction } => {
                groups.sent(group, place, transaction, by);
            }
            Event::OffsetAcked { group, place } => groups.at(group, place).acked(place.offset, by),
            Event::Committed(transaction) => groups.committed(transaction, by),
            Event::OffsetRead { group, place, asked } | Event::Resumed { group, place, asked } => {
                groups.read(group, place, asked, by, verdict);
            }
            _ => {}
        }
    }
    groups.check_end(verdict);
}

/// A group's committed offset in a partition.
#[derive(Debug, Default)]
struct Offset {
    /// What it must not lie below.
    floor: Floor,
    /// The offset that was sent last. A lower one after it is meant to go back.
    last: Option<i64>,
    /// An offset that is meant to go back and not yet acknowledged: it may hold from now on.
    back_to: Option<i64>,
    /// All that was sent, and with which transaction; those sent alone count first.
    sent: HashMap<i64, Option<Transaction>>,
    /// Sent alone, and how often without an answer: each of those may still be on its way.
    on_their_way: HashMap<i64, u32>,
    /// When it was sent last.
    sent_at: HashMap<i64, Source>,
    /// When one was seen to have arrived late. It may have overtaken what had been sent by then.
    arrived_late: Option<Source>,
}

impl Offset {
    fn sent(&mut self, offset: i64, transaction: Option<Transaction>, by: Source) {
        let before = self.sent.entry(offset).or_insert(transaction);
        if before.is_some() {
            *before = transaction;
        }
        self.sent_at.insert(offset, by);
        if transaction.is_none() {
            *self.on_their_way.entry(offset).or_default() += 1;
        }
        if self.last.replace(offset).is_some_and(|last| offset < last) {
            self.back_to = Some(offset);
            if self.floor.now().is_some_and(|(now, _)| offset < now) {
                self.floor.set(offset, by);
            }
        }
    }

    fn acked(&mut self, offset: i64, by: Source) {
        self.back_to = self.back_to.filter(|back_to| *back_to != offset);
        self.arrives(offset);
        if !self.may_be_overtaken(offset) {
            self.known(offset, by);
        }
    }

    /// Whether one that arrived late may have come behind this one, whose answer took longer.
    fn may_be_overtaken(&self, offset: i64) -> bool {
        let at = |source: &Source| match source {
            Source::Run { at, .. } => Some(*at),
            Source::End | Source::EndCommitted => None,
        };
        let sent = self.sent_at.get(&offset).and_then(at);
        sent.zip(self.arrived_late.as_ref().and_then(at)).is_some_and(|(sent, late)| sent < late)
    }

    /// Whether what was asked for then may tell what was before one arrived late.
    fn may_be_older(&self, asked: Order) -> bool {
        matches!(self.arrived_late, Some(Source::Run { at, .. }) if asked <= at)
    }

    /// Whether something that was sent without an answer accounts for this offset.
    fn arrives(&mut self, offset: i64) -> bool {
        let Some(copies) = self.on_their_way.get_mut(&offset).filter(|copies| **copies > 0) else {
            return false;
        };
        *copies -= 1;
        true
    }

    /// What is above `now` although it was known, unless a commit has arrived late.
    fn lost(
        &mut self,
        now: i64,
        bound: Option<(i64, Source)>,
        by: Source,
    ) -> Option<(i64, Source)> {
        let lost = bound.filter(|(was, _)| now < *was)?;
        if self.arrives(now) {
            self.floor.set(now, by);
            self.arrived_late = Some(by);
            return None;
        }
        Some(lost)
    }

    /// The offset was this. What is meant to go back may take over at any time.
    fn known(&mut self, offset: i64, by: Source) {
        self.floor.raise(self.back_to.map_or(offset, |back_to| back_to.min(offset)), by);
    }
}

struct Groups<'a> {
    facts: &'a Facts<'a>,
    offsets: HashMap<Key, Offset>,
    /// Offsets that hold once their transaction is committed.
    in_transactions: BTreeMap<Transaction, Vec<(Group, Place)>>,
}

impl Groups<'_> {
    fn at(&mut self, group: Group, place: Place) -> &mut Offset {
        self.offsets.entry((group, place.partition)).or_default()
    }

    fn sent(&mut self, group: Group, place: Place, transaction: Option<Transaction>, by: Source) {
        self.at(group, place).sent(place.offset, transaction, by);
        if let Some(transaction) = transaction {
            self.in_transactions.entry(transaction).or_default().push((group, place));
        }
    }

    fn committed(&mut self, transaction: Transaction, by: Source) {
        for (group, place) in self.in_transactions.remove(&transaction).unwrap_or_default() {
            self.at(group, place).acked(place.offset, by);
        }
    }

    fn read(&mut self, group: Group, now: Place, asked: Order, by: Source, verdict: &mut Verdict) {
        let offset = self.at(group, now);
        let bound = offset.floor.since(asked);
        if let Some((was, known)) = offset.lost(now.offset, bound, by) {
            verdict.add(Violation::OffsetWentBack { group, now, by, was, known });
        }
        if now.offset >= 0 {
            if !offset.may_be_older(asked) {
                offset.known(now.offset, by);
            }
            self.check_sent(group, now, by, verdict);
        }
    }

    /// Where commits were recorded, an offset is one of them.
    fn check_sent(&self, group: Group, place: Place, by: Source, verdict: &mut Verdict) {
        let offset = self.offsets.get(&(group, place.partition)).filter(|it| !it.sent.is_empty());
        let Some(offset) = offset else { return };
        match offset.sent.get(&place.offset) {
            None => verdict.add(Violation::OffsetInvented { group, place, by }),
            Some(Some(transaction))
                if self.facts.transactions.outcome(*transaction).is_visible() == Some(false) =>
            {
                let transaction = *transaction;
                verdict.add(Violation::OffsetOfAborted { group, place, by, transaction });
            }
            Some(_) => {}
        }
    }

    /// In the end unclear transactions are clear: their offsets hold if their records show.
    fn check_end(&mut self, verdict: &mut Verdict) {
        let Some(end) = &self.facts.history.end else { return };
        for (transaction, places) in std::mem::take(&mut self.in_transactions) {
            let outcome = self.facts.transactions.outcome(transaction);
            let (Some(true), Some(by)) = (outcome.is_visible(), outcome.asked) else { continue };
            for (group, place) in places {
                let offset = self.at(group, place);
                if offset.last == Some(place.offset) {
                    offset.known(place.offset, by);
                }
            }
        }
        let by = Source::End;
        for (group, now) in end.offsets.iter().copied() {
            let offset = self.at(group, now);
            let bound = offset.floor.now();
            if let Some((was, known)) = offset.lost(now.offset, bound, by) {
                verdict.add(Violation::OffsetWentBack { group, now, by, was, known });
            }
            if now.offset >= 0 {
                self.check_sent(group, now, by, verdict);
            }
        }
    }
}
