//! Lies about transactions.

use weir_history::{Client, Entry, Event, History, Isolation, Seen, Transaction, Value};

use super::end;
use crate::chance::Chance;

/// Records in the end, below the stable offset, of transactions that never asked to commit.
fn aborted(history: &History) -> Vec<Seen> {
    let asked: Vec<Transaction> = history
        .log
        .iter()
        .filter_map(|it| match it.event {
            Event::Committing(transaction) => Some(transaction),
            _ => None,
        })
        .collect();
    let doomed = history.log.iter().filter_map(|it| match it.event {
        Event::Sent { value, transaction: Some(it), .. } => (!asked.contains(&it)).then_some(value),
        _ => None,
    });
    let doomed: Vec<Value> = doomed.collect();
    let end = history.end.iter();
    let read = end.flat_map(|end| end.read.iter().map(move |it| (end, *it)));
    let below = read
        .filter(|(end, it)| it.place.offset < end.partitions[it.place.partition as usize].stable);
    below.map(|(_, it)| it).filter(|it| doomed.contains(&it.value)).collect()
}

pub(super) fn show_aborted(history: &mut History, chance: &mut Chance) -> Option<()> {
    let shown = chance.pick(&aborted(history))?;
    let read = end(history).read_committed.as_mut()?;
    let at = read.partition_point(|it| it.place < shown.place);
    read.insert(at, shown);
    Some(())
}

pub(super) fn poll_aborted(history: &mut History, chance: &mut Chance) -> Option<()> {
    let seen = chance.pick(&aborted(history))?;
    let reader = history.clients.iter().position(|it| *it == Isolation::ReadCommitted)?;
    let client = Client(u16::try_from(reader).ok()?);
    let events = [Event::Sought(seen.place), Event::Polled(seen)];
    history.log.extend(events.map(|event| Entry { client, event }));
    Some(())
}

pub(super) fn cut(history: &mut History, chance: &mut Chance) -> Option<()> {
    let committed: Vec<Transaction> = history
        .log
        .iter()
        .filter_map(|it| match it.event {
            Event::Committed(transaction) => Some(transaction),
            _ => None,
        })
        .collect();
    let within = history.log.iter().filter_map(|it| match it.event {
        Event::Sent { value, transaction: Some(it), .. } => {
            committed.contains(&it).then_some(value)
        }
        _ => None,
    });
    let within: Vec<Value> = within.collect();
    let read = end(history).read_committed.as_mut()?;
    let shown: Vec<Seen> = read.iter().copied().filter(|it| within.contains(&it.value)).collect();
    let hidden = chance.pick(&shown)?;
    read.retain(|it| *it != hidden);
    Some(())
}
