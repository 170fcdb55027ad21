//! Transactions in the end: whole or not at all, one outcome, nothing held up.

use std::collections::HashMap;

use crate::facts::{Facts, Found, Log};
use crate::{Place, Seen, Shown, Source, Transaction, Unseen, Value, Verdict, Violation};

pub(super) fn check(facts: &Facts<'_>, verdict: &mut Verdict) {
    for (transaction, outcome) in facts.transactions.iter() {
        if let (Some(committed), Some(aborted)) = (outcome.committed, outcome.aborted) {
            verdict.add(Violation::TwoOutcomes { transaction, committed, aborted });
        }
    }
    let (Some(end), Some(committed)) = (&facts.end, &facts.committed) else { return };
    let Some(read) = facts.history.end.as_ref().and_then(|end| end.read_committed.as_ref()) else {
        return;
    };
    let mut next: HashMap<i32, i64> = HashMap::new();
    for seen in read {
        let (seen, by) = (*seen, Source::EndCommitted);
        let due = next.insert(seen.place.partition, seen.place.offset + 1);
        if let Some(due) = due.filter(|due| seen.place.offset < *due) {
            verdict.add(Violation::WentBack { seen, due, by });
        }
        check_shown(facts, seen, verdict);
    }
    let shown = first_shown(facts, read);
    for (partition, log) in end.iter() {
        if let Some(view) = committed.get(partition) {
            check_whole(facts, partition, log, view, &shown, verdict);
            check_stable(facts, partition, log, verdict);
        }
    }
}

/// What shows is in the log, and may show.
fn check_shown(facts: &Facts<'_>, seen: Seen, verdict: &mut Verdict) {
    let by = Source::EndCommitted;
    match facts.find(seen) {
        Found::Value(value) if value != seen.value => {
            let values = [(seen.value, by), (value, Source::End)];
            verdict.add(Violation::TwoValues { place: seen.place, values });
        }
        Found::Nothing => verdict.add(Violation::Unsaid { seen, by }),
        _ => {}
    }
    if let Some((transaction, why)) = why_unseen(facts, seen.value) {
        verdict.add(Violation::AbortedRead { seen, by, transaction, why });
    }
}

fn why_unseen(facts: &Facts<'_>, value: Value) -> Option<(Transaction, Unseen)> {
    let transaction = facts.values.get(value)?.transaction?;
    facts.transactions.outcome(transaction).unseen().map(|why| (transaction, why))
}

/// For each transaction the first record that shows.
fn first_shown(facts: &Facts<'_>, read: &[Seen]) -> Vec<Option<Seen>> {
    let mut shown = Vec::new();
    for seen in read {
        let transaction = facts.values.get(seen.value).and_then(|fate| fate.transaction);
        if let Some(Transaction(number)) = transaction {
            let number = number as usize;
            if shown.len() <= number {
                shown.resize(number + 1, None);
            }
            shown[number].get_or_insert(*seen);
        }
    }
    shown
}

/// Each record below the stable offset shows, unless its transaction does not.
fn check_whole(
    facts: &Facts<'_>,
    partition: i32,
    log: &Log,
    view: &Log,
    shown: &[Option<Seen>],
    verdict: &mut Verdict,
) {
    let mut view = view.from(i64::MIN).iter().peekable();
    let mut due = log.edges.log_start;
    for (offset, value) in log.from(due).iter().take_while(|(at, _)| *at < log.edges.stable) {
        while view.next_if(|(at, _)| at < offset).is_some() {}
        if view.peek().is_some_and(|(at, _)| at == offset) {
            due = offset + 1;
            continue;
        }
        let missing = Seen { place: Place { partition, offset: *offset }, value: *value };
        let Some(transaction) = facts.values.get(*value).and_then(|fate| fate.transaction) else {
            let (at, by) = (offset + 1, Source::EndCommitted);
            verdict.add(Violation::Skipped { missed: missing, due, at, by });
            continue;
        };
        let outcome = facts.transactions.outcome(transaction);
        let record = shown.get(transaction.0 as usize).copied().flatten().map(Shown::Record);
        if let Some(shown) = outcome.committed.map(Shown::Committed).or(record)
            && outcome.is_visible() == Some(true)
        {
            verdict.add(Violation::Torn { transaction, missing, shown });
        }
    }
}

/// The stable offset is the end, or the first record of a transaction that may be open.
fn check_stable(facts: &Facts<'_>, partition: i32, log: &Log, verdict: &mut Verdict) {
    let edges = log.edges;
    if edges.stable >= edges.end {
        return;
    }
    let holder = log.from(edges.stable).first().filter(|(at, _)| *at == edges.stable);
    let fate = holder.and_then(|(_, value)| facts.values.get(*value));
    let may_be_open = fate
        .and_then(|fate| fate.transaction)
        .is_some_and(|transaction| !facts.transactions.outcome(transaction).is_known());
    if !may_be_open {
        let stable = Place { partition, offset: edges.stable };
        verdict.add(Violation::Stuck { stable, end: edges.end });
    }
}
