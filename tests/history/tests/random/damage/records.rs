//! Lies about what there is in the end.

use weir_history::{Delivery, Event, History, Place, Seen, Value};

use super::{acked, end};
use crate::chance::Chance;

pub(super) fn drop_acked(history: &mut History, chance: &mut Chance) -> Option<()> {
    let dropped = chance.pick(&acked(history))?;
    let end = end(history);
    end.read.retain(|it| *it != dropped);
    end.read_committed.as_mut()?.retain(|it| *it != dropped);
    Some(())
}

pub(super) fn drop_acked_and_close_up(history: &mut History, chance: &mut Chance) -> Option<()> {
    let mut once = acked(history);
    let read = end(history).read.clone();
    once.retain(|it| read.iter().filter(|other| other.value == it.value).count() == 1);
    let dropped = chance.pick(&once)?;
    let end = end(history);
    let partition = dropped.place.partition;
    let close_up = |place: &mut Place| {
        let lies_behind = place.partition == partition && place.offset > dropped.place.offset;
        place.offset -= i64::from(lies_behind);
    };
    for read in [&mut end.read, end.read_committed.as_mut()?] {
        read.retain(|it| *it != dropped);
        read.iter_mut().for_each(|it| close_up(&mut it.place));
    }
    end.controls.iter_mut().flatten().for_each(close_up);
    let edges = &mut end.partitions[partition as usize];
    edges.stable -= i64::from(edges.stable > dropped.place.offset);
    edges.end -= 1;
    Some(())
}

pub(super) fn swap(history: &mut History, chance: &mut Chance) -> Option<()> {
    let one = chance.pick(&acked(history))?;
    let mut others = end(history).read.clone();
    others.retain(|it| it.place.partition == one.place.partition && it.value != one.value);
    let other = chance.pick(&others)?;
    let end = end(history);
    for seen in end.read.iter_mut().chain(end.read_committed.iter_mut().flatten()) {
        if seen.place == one.place {
            seen.value = other.value;
        } else if seen.place == other.place {
            seen.value = one.value;
        }
    }
    Some(())
}

pub(super) fn repeat(history: &mut History, chance: &mut Chance) -> Option<()> {
    let is_once =
        |value: Value| history.writers[usize::from(value.writer)].delivery == Delivery::ExactlyOnce;
    let end = history.end.as_mut()?;
    let once: Vec<Seen> = end.read.iter().copied().filter(|it| is_once(it.value)).collect();
    let Seen { mut place, value } = chance.pick(&once)?;
    let edges = &mut end.partitions[place.partition as usize];
    place.offset = edges.end;
    edges.end += 1;
    end.read.push(Seen { place, value });
    Some(())
}

pub(super) fn raise_start(history: &mut History, chance: &mut Chance) -> Option<()> {
    let asked = history.log.iter().filter_map(|it| match it.event {
        Event::DeleteSent(below) => Some(below),
        _ => None,
    });
    let asked: Vec<Place> = asked.collect();
    let seen = chance.pick(&end(history).read)?;
    let explained = asked.iter().filter(|it| it.partition == seen.place.partition);
    let explained = explained.map(|it| it.offset).max().unwrap_or(0);
    end(history).partitions[seen.place.partition as usize].log_start = seen.place.offset + 1;
    (seen.place.offset + 1 > explained).then_some(())
}
