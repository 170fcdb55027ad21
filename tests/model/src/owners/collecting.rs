//! Garbage collection by mark and sweep, and the trim of sealed sessions that nobody needs.
//!
//! A round: list what may go if nobody refers to it; read all logs and the published chains at one
//! revision; ask every session that was live at the start; sweep what nobody named. (The collector sweeps
//! only what two rounds have found, see `tests.rs`; exploring that takes more than a machine has, so the
//! scopes explore what is stricter and enough in them: one round.) What may go is decided
//! at the start, not when it goes: references move meanwhile from a chain into the memory of whoever
//! recovers from it, behind the collector's back.

use super::{
    Bug, Event, Out, Owners, Step,
    bridge::{claim, session},
    state::{CHECKPOINTS, PARTITIONS, Place, Reading, Role, Round, SESSIONS, SLOTS, State, WalKey},
};

pub(super) fn all(model: &Owners, state: &State, out: &mut Out) {
    match state.round {
        Round::Idle => begin(model, state, out),
        Round::Marking { listed, marked, missing, chains } => {
            let early = model.bug != Some(Bug::ReportsBeforeChains) && !chains;
            if !early {
                report(model, state, (listed, marked, missing, chains), out);
            }
            let late = model.bug == Some(Bug::ReportsBeforeChains) && missing != 0;
            if !chains && !late {
                read_chains(model, state, (listed, marked, missing), out);
            }
            if chains && missing == 0 {
                let victims = listed & !marked;
                let swept = state.with(|next| next.round = Round::Sweeping { victims });
                out.push(Step::Marked, swept);
            }
        }
        Round::Sweeping { victims } => sweep(model, state, victims, out),
    }
    for of in 0..model.sessions {
        trim_sealed(model, state, of, out);
    }
}

fn begin(model: &Owners, state: &State, out: &mut Out) {
    if state.rounds == model.rounds {
        return;
    }
    let live = (0..model.sessions).filter(|of| state.is_live(*of));
    let by_age = model.bug == Some(Bug::SweepByAge);
    let missing = if by_age { 0 } else { live.map(|of| 1 << of).sum() };
    let late = model.bug == Some(Bug::SweepableDecidedLate);
    let listed = state.objects & if late { u64::MAX } else { sweepable(model, state) };
    if listed == 0 {
        return;
    }
    let begun = state.with(|next| {
        next.rounds += 1;
        next.round = Round::Marking { listed, marked: 0, missing, chains: false };
    });
    out.push(Step::RoundBegins, begun);
}

/// What a session reports: what it owns or covers, what it has read to recover, and what its last
/// checkpoint and the unanswered ones name.
fn memory(model: &Owners, state: &State, by: usize) -> u64 {
    let session = &state.sessions[by];
    let mut marked = 0;
    for (of, held) in session.held.iter().enumerate() {
        let places = held.listing.places.iter().filter(|place| **place != Place::NONE);
        marked |= places.fold(0, |all, place| all | place.bit());
        let Role::Recovering(recovery) = held.role else { continue };
        if model.bug == Some(Bug::RecoveryNotReported) {
            continue;
        }
        // Of the session that is being read, only what was read: the rest may go, and is read again.
        let reads = state.reads(of, &recovery);
        for (number, read) in reads.iter().enumerate() {
            let from = usize::from(read.part.session);
            let reading = number + 1 == reads.len();
            if !reading || recovery.reading == Reading::Slots {
                marked |= state.named_by(from, read.published, of);
            }
            let slots = if reading { 0..0 } else { 1..state.end_of(read.part) };
            marked |= slots.fold(0, |all, slot| all | Place::slot(from, slot).bit());
        }
    }
    for number in state.chain_numbers(by, session.known) {
        marked |= Place::checkpoint(by, number).bit() | Place::sorted(by, number).bit();
    }
    for number in session.known..=session.attempted {
        marked |= Place::checkpoint(by, number).bit() | Place::sorted(by, number).bit();
        if model.bug != Some(Bug::UnansweredNotReported) {
            marked |= (0..PARTITIONS).fold(0, |all, of| all | state.named_by(by, number, of));
        }
    }
    marked
}

impl State {
    /// The objects that a chain names for a partition.
    pub(super) fn named_by(&self, session: usize, published: u8, of: usize) -> u64 {
        let listed = self.listed(session, published);
        let listing = listed.and_then(|listed| listed.partitions[of]).unwrap_or_default();
        let places = listing.places.iter().filter(|place| **place != Place::NONE);
        places.fold(0, |all, place| all | place.bit())
    }
}

fn report(
    model: &Owners,
    state: &State,
    (listed, marked, missing, chains): (u64, u64, u8, bool),
    out: &mut Out,
) {
    for by in (0..model.sessions).filter(|by| missing & (1 << by) != 0) {
        let reported = state.with(|next| {
            next.round = Round::Marking {
                listed,
                marked: marked | memory(model, state, by),
                missing: missing & !(1 << by),
                chains,
            };
        });
        out.push(Step::Report(by), reported);
    }
}

fn read_chains(
    model: &Owners,
    state: &State,
    (listed, mut marked, missing): (u64, u64, u8),
    out: &mut Out,
) {
    for of in 0..PARTITIONS {
        let log = state.logs[of].log();
        let adopted = claim(state.owner_adopted(of));
        for by in (0..model.sessions).filter(|by| log.needs(session(*by), adopted)) {
            let published = state.wals[by].published;
            if model.bug != Some(Bug::ChainsNotMarked) {
                marked |= state.named_by(by, published, of);
            }
            for number in state.chain_numbers(by, published) {
                marked |= Place::checkpoint(by, number).bit();
            }
            let unread = state.wals[by].covers..=state.written[by];
            marked |= unread.fold(0, |all, slot| all | Place::slot(by, slot).bit());
        }
    }
    let read = state.with(|next| {
        next.round = Round::Marking { listed, marked, missing, chains: true };
    });
    out.push(Step::ReadChains, read);
}

fn sweep(model: &Owners, state: &State, mut victims: u64, out: &mut Out) {
    if model.bug == Some(Bug::SweepableDecidedLate) {
        victims &= sweepable(model, state);
    }
    let found = if model.at_once { 0 } else { victims };
    if !model.at_once {
        victims &= state.found;
    }
    let slots =
        (0..SESSIONS).flat_map(|of| (1..SLOTS as u8).map(move |slot| Place::slot(of, slot)));
    let slots = slots.fold(0, |all, slot| all | slot.bit());
    let swept = victims & state.objects;
    if swept & slots != 0 {
        out.saw(Event::SlotSwept as usize);
    }
    if swept & !slots != 0 {
        out.saw(Event::ObjectSwept as usize);
    }
    let swept = state.with(|next| {
        next.round = Round::Idle;
        next.found = found;
        next.objects &= !swept;
    });
    out.push(Step::Swept, swept);
}

/// What may go if nobody refers to it: slots below the trim; of what checkpoints wrote, that of sealed
/// sessions, and of live ones up to the published checkpoint, for any later one may still be published.
fn sweepable(model: &Owners, state: &State) -> u64 {
    let mut places = 0;
    for (of, wal) in state.wals.iter().enumerate() {
        for slot in 1..wal.trim {
            places |= Place::slot(of, slot).bit();
        }
        let settled = wal.sealed > 0 || model.bug == Some(Bug::SweepByAge);
        let through = if settled { CHECKPOINTS as u8 - 1 } else { wal.published };
        for number in 1..=through {
            places |= Place::sorted(of, number).bit() | Place::checkpoint(of, number).bit();
        }
    }
    places
}

/// No log needs a sealed session any more: its void and unread slots may go.
fn trim_sealed(model: &Owners, state: &State, of: usize, out: &mut Out) {
    let wal = &state.wals[of];
    let needed = (0..PARTITIONS).any(|partition| {
        let adopted = claim(state.owner_adopted(partition));
        state.logs[partition].log().needs(session(of), adopted)
    });
    if wal.sealed == 0 || wal.trim == wal.sealed || needed || model.rounds == 0 {
        return;
    }
    let Ok(moved) = wal.wal().with_sealed_trim(weir_ids::Slot(u64::from(wal.sealed))) else {
        return;
    };
    out.saw(Event::SealedForgotten as usize);
    let trimmed = state.with(|next| next.set_wal(of, WalKey::of(&moved)));
    out.push(Step::TrimSealed(of), trimmed);
}
