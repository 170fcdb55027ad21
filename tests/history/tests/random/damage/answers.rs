//! Lies about committed offsets and the ends of logs.

use weir_history::{Client, Edge, Entry, Event, Group, History, Order, Place, Seen};

use super::{acked, end};
use crate::chance::Chance;

/// Offsets in the end that were only ever sent upwards and were read in the end, so that going back is
/// nobody's wish, and no commit that arrives late.
fn settled(history: &mut History, chance: &mut Chance) -> Option<usize> {
    let offsets = end(history).offsets.clone();
    let only_up = |at: &usize| {
        let (group, place) = offsets[*at];
        let below = Place { offset: place.offset - 1, ..place };
        let on_their_way = history.log.iter().fold(0, |count, it| match it.event {
            Event::OffsetSent { group: it, place, .. } if (it, place) == (group, below) => {
                count + 1
            }
            Event::OffsetAcked { group: it, place } if (it, place) == (group, below) => count - 1,
            _ => count,
        });
        let sent = history.log.iter().filter_map(|it| match it.event {
            Event::OffsetSent { group: it, place: sent, .. } => {
                (it == group && sent.partition == place.partition).then_some(sent.offset)
            }
            _ => None,
        });
        place.offset > 0 && sent.is_sorted() && on_their_way == 0
    };
    let at = chance.pick(&(0..offsets.len()).filter(only_up).collect::<Vec<_>>())?;
    let (group, place) = offsets[at];
    read_offset(history, group, place);
    Some(at)
}

fn read_offset(history: &mut History, group: Group, place: Place) {
    let asked = Order(history.log.len() as u64);
    let event = Event::OffsetRead { group, place, asked };
    history.log.push(Entry { client: Client(0), event });
}

pub(super) fn lower_commit(history: &mut History, chance: &mut Chance) -> Option<()> {
    let at = settled(history, chance)?;
    let (group, place) = end(history).offsets[at];
    read_offset(history, group, Place { offset: place.offset - 1, ..place });
    Some(())
}

pub(super) fn lower_last_commit(history: &mut History, chance: &mut Chance) -> Option<()> {
    let at = settled(history, chance)?;
    end(history).offsets[at].1.offset -= 1;
    Some(())
}

pub(super) fn lower_end(history: &mut History, chance: &mut Chance) -> Option<()> {
    let Seen { place, .. } = chance.pick(&acked(history))?;
    let asked = Order(history.log.len() as u64);
    let event = Event::EdgeSeen { edge: Edge::End, place, epoch: 99, asked };
    history.log.push(Entry { client: Client(0), event });
    Some(())
}
