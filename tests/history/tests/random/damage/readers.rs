//! Lies about what consumers got.

use weir_history::{Client, Entry, Event, History, Order, Place, Seen};

use crate::chance::Chance;

/// Puts an event before another; who had asked before that one still has.
fn insert(history: &mut History, at: usize, entry: Entry) {
    history.log.insert(at, entry);
    for later in &mut history.log[at + 1..] {
        if let Some(asked) = asked(&mut later.event) {
            asked.0 += u64::from(asked.0 > at as u64);
        }
    }
}

fn asked(event: &mut Event) -> Option<&mut Order> {
    match event {
        Event::Resumed { asked, .. }
        | Event::OffsetRead { asked, .. }
        | Event::EdgeSeen { asked, .. } => Some(asked),
        _ => None,
    }
}

/// All polls: where in the log, by whom, of what.
fn polls(history: &History) -> Vec<(usize, Client, Seen)> {
    let entries = history.log.iter().enumerate();
    let polls = entries.filter_map(|(at, entry)| match entry.event {
        Event::Polled(seen) => Some((at, entry.client, seen)),
        _ => None,
    });
    polls.collect()
}

pub(super) fn poll_again(history: &mut History, chance: &mut Chance) -> Option<()> {
    let (at, ..) = chance.pick(&polls(history))?;
    let entry = history.log[at];
    insert(history, at + 1, entry);
    Some(())
}

pub(super) fn skip_a_poll(history: &mut History, chance: &mut Chance) -> Option<()> {
    let all = polls(history);
    let next = |at: usize, client: Client, place: Place| {
        let mut later = history.log[at + 1..].iter().filter(|it| it.client == client);
        later.find_map(|entry| match entry.event {
            Event::Polled(seen) if seen.place.partition == place.partition => Some(true),
            Event::Sought(to) | Event::Reset(to) | Event::Resumed { place: to, .. } => {
                (to.partition == place.partition).then_some(false)
            }
            _ => None,
        })
    };
    let edges = &history.end.as_ref()?.partitions;
    let in_the_middle = all.into_iter().filter(|(at, client, seen)| {
        let stays = seen.place.offset >= edges[seen.place.partition as usize].log_start;
        stays && next(*at, *client, seen.place) == Some(true)
    });
    let (at, _, seen) = chance.pick(&in_the_middle.collect::<Vec<_>>())?;
    // It says that it is here, and goes on behind.
    history.log[at].event = Event::Sought(seen.place);
    Some(())
}

pub(super) fn poll_another(history: &mut History, chance: &mut Chance) -> Option<()> {
    let edges = &history.end.as_ref()?.partitions;
    let stays = |seen: Seen| seen.place.offset >= edges[seen.place.partition as usize].log_start;
    let mut all = polls(history);
    all.retain(|(.., seen)| stays(*seen));
    let (at, _, one) = chance.pick(&all)?;
    let (.., other) = chance.pick(&all)?;
    let seen = Seen { place: one.place, value: other.value };
    history.log[at].event = Event::Polled(seen);
    (one.value != other.value).then_some(())
}
