//! Checkpoints of a session: what they say, their publication, the trim.

use weir_meta::model::CheckpointPointer;

use super::{
    Bug, Event, Out, Owners, Step,
    bridge::claim,
    state::{
        CHECKPOINTS, Checkpoint, Line, Listing, PARTITIONS, Place, Publication, State, WalKey,
    },
};

pub(super) fn all(model: &Owners, state: &State, by: usize, out: &mut Out) {
    let session = &state.sessions[by];
    if session.awaits {
        answered(model, state, by, out);
        give_up(model, state, by, out);
    } else if session.last_claim > 0 && session.attempted < model.checkpoints {
        prepare(model, state, by, out);
    }
}

/// Writes a sorted object and a checkpoint, and sends the publication.
fn prepare(model: &Owners, state: &State, by: usize, out: &mut Out) {
    let session = &state.sessions[by];
    let number = session.attempted + 1;
    let known = state.checkpoints[by][usize::from(session.known)];
    // A delta stands on a checkpoint that is known to be published; after any doubt, a full one.
    let is_delta = session.known > 0 && session.known == session.attempted;
    let mut checkpoint = Checkpoint {
        full: if is_delta { known.full } else { number },
        covers: state.written[by] + 1,
        adopted: state.settled_through(by),
        lines: [Line::Nothing; PARTITIONS],
        gathered: [0; PARTITIONS],
    };
    let base = if is_delta { state.listed(by, session.known) } else { None };
    let from = known.covers.max(1);
    for of in 0..model.partitions {
        let listing =
            gather(session.held[of].listing, by, from, number, &mut checkpoint.gathered[of]);
        let listed = base.and_then(|base| base.partitions[of]);
        checkpoint.lines[of] = line(model, state, (by, of), listed, listing, from);
    }
    let news = checkpoint.covers > from
        || checkpoint.adopted > known.adopted
        || checkpoint.lines.iter().any(|line| *line != Line::Nothing);
    let free = state.publications[by].iter().position(|sent| sent.number == 0);
    let (true, Some(free)) = (news, free) else { return };
    if checkpoint.lines.contains(&Line::Gone) {
        out.saw(Event::Gone as usize);
    }
    if checkpoint.adopted < session.last_claim {
        out.saw(Event::AdoptionHasGap as usize);
    }
    let sent = state.with(|next| {
        next.checkpoints[by][usize::from(number)] = checkpoint;
        next.objects |= Place::checkpoint(by, number).bit();
        if checkpoint.gathered.iter().any(|mask| *mask != 0) {
            next.objects |= Place::sorted(by, number).bit();
        }
        next.publications[by][free] =
            Publication { number, covers: checkpoint.covers, adopted: checkpoint.adopted };
        next.sessions[by].attempted = number;
        next.sessions[by].awaits = true;
    });
    out.push(Step::Checkpoint(by, number, !is_delta), sent);
}

/// The listing with this session's slots from `from` on gathered into a sorted object.
fn gather(mut listing: Listing, by: usize, from: u8, number: u8, gathered: &mut u8) -> Listing {
    for offset in 0..listing.next {
        let place = &mut listing.places[usize::from(offset)];
        if place.session() == by && place.as_slot().is_some_and(|slot| slot >= from) {
            *place = Place::sorted(by, number);
            *gathered |= 1 << offset;
        }
    }
    listing
}

/// What the checkpoint says of a partition, given what the chain says (for a full one: nothing).
fn line(
    model: &Owners,
    state: &State,
    (by, of): (usize, usize),
    listed: Option<Listing>,
    listing: Listing,
    from: u8,
) -> Line {
    let slots = from..=state.written[by];
    let records = slots.map(|slot| state.slots[by][usize::from(slot)]);
    let records: Vec<_> = records.filter(|record| usize::from(record.partition) == of).collect();
    match listed {
        _ if listing.epoch == 0 && listed.is_some() => Line::Gone,
        _ if listing.epoch == 0 => Line::Nothing,
        Some(known) if known.epoch == listing.epoch => {
            if listing.next == known.next {
                return Line::Nothing;
            }
            let mut delta = listing;
            delta.places[..usize::from(known.next)].fill(Place::NONE);
            Line::Delta(delta)
        }
        _ => {
            let is_delta = state.sessions[by].known > 0;
            let touched = records.iter().any(|record| record.epoch == listing.epoch);
            if model.bug == Some(Bug::DeltaOmitsAdopted) && is_delta && !touched {
                return Line::Nothing;
            }
            let older = records.iter().any(|record| (1..listing.epoch).contains(&record.epoch));
            let doubled = model.bug == Some(Bug::DeltaMixesEpochs) && touched && older;
            Line::Whole(Listing { doubled, ..listing })
        }
    }
}

/// A publication arrives, perhaps long after it was given up: the decision is the metadata's.
pub(super) fn arrives(model: &Owners, state: &State, by: usize, out: &mut Out) {
    for (at, sent) in state.publications[by].iter().enumerate().filter(|(_, sent)| sent.number > 0)
    {
        let pointer = CheckpointPointer {
            object: String::new(),
            number: u64::from(sent.number),
            covers_below: weir_ids::Slot(u64::from(sent.covers)),
            adopted_through: claim(sent.adopted),
        };
        let wal = state.wals[by].wal();
        let mut decided = wal.with_checkpoint(&pointer);
        if decided.is_err() {
            let stale = state.is_live(by);
            out.saw(if stale { Event::StalePublication } else { Event::PublishedTooLate } as usize);
        }
        if model.bug == Some(Bug::OnlySessionCompared) && state.is_live(by) {
            decided = Ok(weir_meta::model::Wal { checkpoint: Some(pointer), ..wal });
        }
        let arrived = state.with(|next| {
            next.publications[by][at] = Publication::default();
            next.publications[by].sort_unstable_by_key(|sent| sent.number);
            if let Ok(wal) = decided {
                next.set_wal(by, WalKey::of(&wal));
            }
        });
        out.push(Step::PublicationArrives(by, sent.number), arrived);
    }
}

/// The session learns that its checkpoint is published, and trims.
fn answered(model: &Owners, state: &State, by: usize, out: &mut Out) {
    let number = state.sessions[by].attempted;
    if state.wals[by].published != number {
        return;
    }
    let answered = state.with(|next| {
        let checkpoint = state.checkpoints[by][usize::from(number)];
        let from = state.checkpoints[by][usize::from(state.sessions[by].known)].covers.max(1);
        let session = &mut next.sessions[by];
        session.known = number;
        session.awaits = false;
        for of in 0..PARTITIONS {
            let gathered = checkpoint.gathered[of];
            let listing = &mut session.held[of].listing;
            for (offset, place) in listing.places.iter_mut().enumerate() {
                let own = place.session() == by;
                let covered = |slot: u8| (from..checkpoint.covers).contains(&slot);
                if gathered & (1 << offset) != 0 && own && place.as_slot().is_some_and(covered) {
                    *place = Place::sorted(by, number);
                }
            }
        }
        let trim = weir_ids::Slot(u64::from(checkpoint.covers));
        if let Ok(wal) = next.wals[by].wal().with_trim(trim) {
            next.set_wal(by, WalKey::of(&wal));
        }
        if model.bug == Some(Bug::OwnerDeletesTrimmed) {
            let own = (1..checkpoint.covers).map(|slot| Place::slot(by, slot));
            let kept = |place: &Place| {
                next.sessions[by].held.iter().any(|held| held.listing.places.contains(place))
            };
            let gone = own.filter(|place| !kept(place)).fold(0, |all, place| all | place.bit());
            next.objects &= !gone;
        }
    });
    out.push(Step::PublicationAnswered(by, number), answered);
}

/// The publication is not answered: its fate is unclear from now on.
fn give_up(model: &Owners, state: &State, by: usize, out: &mut Out) {
    let number = state.sessions[by].attempted;
    if usize::from(number) + 1 >= CHECKPOINTS {
        return;
    }
    let given_up = state.with(|next| {
        next.sessions[by].awaits = false;
        if model.bug == Some(Bug::CheckpointNameReused) {
            next.sessions[by].attempted -= 1;
            next.objects &= !Place::checkpoint(by, number).bit();
        }
    });
    out.push(Step::PublicationGivenUp(by, number), given_up);
}
