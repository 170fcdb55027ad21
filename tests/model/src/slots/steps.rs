//! Everything that can happen next in the slot protocol's model.

use weir_ids::ClaimNumber;
use weir_meta::model::{CheckpointPointer, Seal, SealRefused, Wal};

use super::{
    Act, Bug, Event, Slots, Step,
    state::{Content, Create, Fencer, Phase, State, bit, slot},
};
use crate::checker::Steps;

type Out = Steps<State, Step>;

pub(super) fn all(model: &Slots, state: &State, out: &mut Out) {
    if !state.writer.fenced {
        writer(model, state, out);
        checkpointer(state, out);
    }
    late_creates(model, state, out);
    for number in 0..state.fencers.len() {
        fencer(model, state, number, out);
    }
    successor(state, out);
    collector(model, state, out);
}

impl State {
    fn with(&self, change: impl FnOnce(&mut State)) -> State {
        let mut next = self.clone();
        change(&mut next);
        next.fencers.sort_unstable();
        next
    }

    fn late_total(&self) -> u8 {
        self.late.iter().sum()
    }

    /// The writer gives up: what is on its way stays on its way, and may land.
    fn give_up(&mut self) {
        self.writer.fenced = true;
        for (create, late) in self.writer.creates.iter_mut().zip(&mut self.late) {
            *late += u8::from(*create == Create::Sent);
            *create = Create::Idle;
        }
    }

    /// Clients are told that these slots were surely not written.
    fn refuse_from(&mut self, at: u8) {
        self.refused |= (at..self.writer.next).map(bit).sum::<u16>() & !self.acked;
    }

    /// The recorded seal tells what is void: what lies at or above it.
    fn learn_seal(&mut self) {
        self.refuse_from(self.metadata.sealed);
        self.give_up();
    }

    /// The writer knows that a slot holds its data, and acknowledges what it may.
    fn know(&mut self, model: &Slots, at: u8, out: &mut Out) {
        self.writer.creates[usize::from(at)] = Create::Known;
        let before = self.acked;
        for slot in 1..self.writer.next {
            if self.writer.creates[usize::from(slot)] == Create::Known {
                self.acked |= bit(slot);
            } else if model.bug != Some(Bug::AckPastAHole) {
                break;
            }
        }
        if self.acked != before && self.metadata.sealed > 0 {
            out.saw(Event::AckedAfterSeal as usize);
        }
    }
}

/// The writer's creates: rules 1 to 3.
fn writer(model: &Slots, state: &State, out: &mut Out) {
    let next = state.writer.next;
    if next <= model.slots && next <= state.acked_through() + model.in_flight {
        let sent = state.with(|next_state| {
            next_state.writer.creates[usize::from(next)] = Create::Sent;
            next_state.writer.next += 1;
        });
        out.push(Step::Writer(Act::Submit, next), sent);
    }
    for at in 1..next {
        match state.writer.creates[usize::from(at)] {
            Create::Idle | Create::Known => {}
            Create::Sent => sent(model, state, at, out),
            Create::Made => {
                let known = state.with(|next| next.know(model, at, out));
                out.push(Step::Writer(Act::LearnMade, at), known);
                out.saw(Event::TimedOutLanded as usize);
                out.push(Step::Writer(Act::LoseAnswer, at), with_create(state, at, Create::Sent));
            }
            Create::Exists => exists(model, state, at, out),
        }
    }
}

fn with_create(state: &State, at: u8, create: Create) -> State {
    state.with(|next| next.writer.creates[usize::from(at)] = create)
}

fn sent(model: &Slots, state: &State, at: u8, out: &mut Out) {
    let step = |act| Step::Writer(act, at);
    if state.store[usize::from(at)] == Content::Absent {
        let made = state.with(|next| {
            next.store[usize::from(at)] = Content::Data;
            next.writer.creates[usize::from(at)] = Create::Made;
        });
        if at > 1 && state.store[usize::from(at) - 1] == Content::Absent {
            out.saw(Event::LandedAboveHole as usize);
        }
        out.push(step(Act::Create), made);
        out.saw(Event::ConflictWithoutCause as usize);
        out.push(step(Act::ConflictWithoutCause), with_create(state, at, Create::Exists));
    } else {
        out.push(step(Act::Create), with_create(state, at, Create::Exists));
    }
    if state.late_total() < model.late {
        let timed_out = state.with(|next| next.late[usize::from(at)] += 1);
        out.push(step(Act::TimeOut), timed_out);
    }
}

/// "Already exists" is not "fenced": the slot is read back.
fn exists(model: &Slots, state: &State, at: u8, out: &mut Out) {
    let step = |act| Step::Writer(act, at);
    // That the session has ended is all that a fence tells. What became of the slots in flight is
    // unclear: the fence may stand in a slot that was recovered, trimmed and deleted.
    let fenced = |void: bool| {
        state.with(|next| {
            if void {
                next.refuse_from(at);
            }
            next.give_up();
        })
    };
    match (model.bug, state.store[usize::from(at)]) {
        (Some(Bug::ConflictTakenForSuccess), _) => {
            let known = state.with(|next| next.know(model, at, out));
            out.push(step(Act::TakeForSuccess), known);
        }
        (Some(Bug::ConflictTakenForFenced), _) => out.push(step(Act::TakeForFenced), fenced(true)),
        (_, Content::Data) => {
            let known = state.with(|next| next.know(model, at, out));
            out.push(step(Act::ReadBackOwn), known);
        }
        (_, Content::Fence) => {
            if state.metadata.sealed > 0 {
                out.saw(Event::ZombieMetFence as usize);
            }
            let void = model.bug == Some(Bug::FenceTakenForVoid);
            out.push(step(Act::ReadBackFence), fenced(void));
        }
        (_, Content::Absent) => {
            out.push(step(Act::ReadBackNothing), with_create(state, at, Create::Sent));
        }
    }
}

/// The owner's checkpoints and trim.
fn checkpointer(state: &State, out: &mut Out) {
    let wal = state.metadata.wal();
    let below = state.acked_through() + 1;
    if below > state.metadata.covers {
        let pointer = CheckpointPointer {
            object: String::new(),
            number: u64::from(below),
            covers_below: slot(below),
            adopted_through: ClaimNumber::NONE,
        };
        match wal.with_checkpoint(&pointer) {
            Ok(wal) => {
                out.push(Step::Writer(Act::Publish, below), state.with(|next| next.set(&wal)));
            }
            Err(_) => {
                out.saw(Event::CheckpointRefused as usize);
                let sealed = Step::Writer(Act::LearnSealed, state.metadata.sealed);
                out.push(sealed, state.with(State::learn_seal));
            }
        }
    }
    if state.metadata.covers > state.metadata.trim {
        match wal.with_trim(slot(state.metadata.covers)) {
            Ok(wal) => {
                let step = Step::Writer(Act::Trim, state.metadata.covers);
                out.push(step, state.with(|next| next.set(&wal)));
            }
            Err(_) => {
                out.saw(Event::TrimRefused as usize);
                let sealed = Step::Writer(Act::LearnSealed, state.metadata.sealed);
                out.push(sealed, state.with(State::learn_seal));
            }
        }
    }
}

/// Creates that nobody waits for any more.
fn late_creates(model: &Slots, state: &State, out: &mut Out) {
    for at in (1..=model.slots).filter(|at| state.late[usize::from(*at)] > 0) {
        let content = state.store[usize::from(at)];
        match content {
            Content::Absent if at < state.metadata.trim => out.saw(Event::LandedInTrimmed as usize),
            Content::Absent => out.saw(Event::LandedLate as usize),
            Content::Fence => out.saw(Event::LateMetFence as usize),
            Content::Data => {}
        }
        let landed = state.with(|next| {
            next.late[usize::from(at)] -= 1;
            if content == Content::Absent {
                next.store[usize::from(at)] = Content::Data;
            }
        });
        out.push(Step::Store(Act::LandLate, at), landed);
    }
}

/// Ending the session: rule 4.
fn fencer(model: &Slots, state: &State, number: usize, out: &mut Out) {
    let Fencer { phase, late } = state.fencers[number];
    let step = |act, at| Step::Fencer(number, act, at);
    let to = |phase| state.with(|next| next.fencers[number].phase = phase);
    if late > 0 {
        let absent = state.store[usize::from(late)] == Content::Absent;
        if absent {
            out.saw(Event::FenceLandedLate as usize);
        }
        let landed = state.with(|next| {
            next.fencers[number].late = 0;
            if absent {
                next.store[usize::from(late)] = Content::Fence;
            }
        });
        out.push(step(Act::LandLateFence, late), landed);
    }
    match phase {
        Phase::Done => {}
        Phase::Idle if model.bug == Some(Bug::HoleHiddenByListing) => {
            let last = (0..=model.slots).rev().find(|at| state.is_data(*at)).unwrap_or(0);
            let behind = (last + 1).max(state.metadata.trim);
            out.push(step(Act::List, behind), to(Phase::Absent(behind)));
        }
        Phase::Idle => {
            let trim = state.metadata.trim;
            out.push(step(Act::Begin, trim), to(Phase::Probing(trim)));
        }
        Phase::Probing(at) => match state.store[usize::from(at)] {
            Content::Data => out.push(step(Act::SeeData, at), to(Phase::Probing(at + 1))),
            Content::Fence => out.push(step(Act::SeeFence, at), to(Phase::Placed(at))),
            Content::Absent => out.push(step(Act::SeeNothing, at), to(Phase::Absent(at))),
        },
        Phase::Absent(at) => create_fence(model, state, number, at, out),
        Phase::Placed(at) => record(model, state, number, at, out),
    }
}

fn create_fence(model: &Slots, state: &State, number: usize, at: u8, out: &mut Out) {
    let step = |act| Step::Fencer(number, act, at);
    let to = |phase| state.with(|next| next.fencers[number].phase = phase);
    if model.bug == Some(Bug::NoFence) {
        return out.push(step(Act::SkipFence), to(Phase::Placed(at)));
    }
    match state.store[usize::from(at)] {
        Content::Absent => {
            if (at + 1..=model.slots).any(|above| state.is_data(above)) {
                out.saw(Event::HoleAboveVoid as usize);
            }
            if at < state.metadata.trim {
                out.saw(Event::FenceInTrimmed as usize);
            }
            let created = state.with(|next| {
                next.store[usize::from(at)] = Content::Fence;
                next.fencers[number].phase = Phase::Placed(at);
            });
            out.push(step(Act::CreateFence), created);
        }
        Content::Data => {
            out.saw(Event::FencerMetData as usize);
            out.push(step(Act::MeetData), to(Phase::Probing(at + 1)));
        }
        Content::Fence => {
            out.saw(Event::FencersMet as usize);
            out.push(step(Act::MeetFence), to(Phase::Placed(at)));
        }
    }
    out.push(step(Act::ConflictWithoutCause), to(Phase::Probing(at)));
    if model.late_fences && state.fencers[number].late == 0 {
        let late = state.with(|next| {
            next.fencers[number] = Fencer { phase: Phase::Probing(at), late: at };
        });
        out.push(step(Act::TimeOut), late);
    }
}

fn record(model: &Slots, state: &State, number: usize, at: u8, out: &mut Out) {
    let step = |act, at| Step::Fencer(number, act, at);
    let wal = state.metadata.wal();
    let seal = Seal { at: slot(at), detail: None };
    let looser = model.bug == Some(Bug::FenceInTrimmedSlot) && wal.sealed.is_none();
    let sealed = if looser { Ok(Wal { sealed: Some(seal), ..wal }) } else { wal.with_seal(seal) };
    let (step, wal, phase) = match sealed {
        Ok(wal) => (step(Act::Record, at), Some(wal), Phase::Done),
        Err(SealRefused::Already(seal)) => {
            out.saw(Event::SealedByOther as usize);
            (step(Act::FindSealed, seal.at.0 as u8), None, Phase::Done)
        }
        Err(SealRefused::TrimmedAbove(trim)) => {
            out.saw(Event::TrimOvertookFencer as usize);
            let trim = trim.0 as u8;
            (step(Act::BeginAgain, trim), None, Phase::Probing(trim))
        }
    };
    let recorded = state.with(|next| {
        next.fencers[number].phase = phase;
        if let Some(wal) = wal {
            next.set(&wal);
        }
    });
    out.push(step, recorded);
}

/// Recovers what is behind the checkpoint, in one step: what it reads does not change any more.
fn successor(state: &State, out: &mut Out) {
    if state.metadata.sealed == 0 || state.adopted.is_some() {
        return;
    }
    let found = state.to_recover().filter(|slot| state.is_data(*slot));
    let found = found.map(bit).sum();
    out.push(Step::Successor, state.with(|next| next.adopted = Some(found)));
}

/// Deletes below the trim, and once all is adopted moves it up to the seal: rules 5 and 6.
fn collector(model: &Slots, state: &State, out: &mut Out) {
    let metadata = state.metadata;
    if state.adopted.is_some() && metadata.trim < metadata.sealed {
        let wal = metadata.wal().with_sealed_trim(slot(metadata.sealed));
        if let Ok(wal) = wal {
            out.saw(Event::CollectorTrimmed as usize);
            let step = Step::Store(Act::TrimSealed, metadata.sealed);
            out.push(step, state.with(|next| next.set(&wal)));
        }
    }
    let delete = |at: u8| state.with(|next| next.store[usize::from(at)] = Content::Absent);
    let early = model.bug == Some(Bug::DeletedBeforeTrim);
    let below = if early { metadata.covers } else { metadata.trim };
    for at in (1..below).filter(|at| state.is_data(*at)) {
        out.push(Step::Store(Act::Delete, at), delete(at));
    }
    let forgotten = metadata.trim == metadata.sealed;
    let fence = state.store[usize::from(metadata.sealed)] == Content::Fence;
    if model.bug == Some(Bug::FenceDeleted) && forgotten && fence {
        out.push(Step::Store(Act::Delete, metadata.sealed), delete(metadata.sealed));
    }
    if model.bug == Some(Bug::OpenMarkerDeleted) && forgotten && state.is_data(0) {
        out.push(Step::Store(Act::Delete, 0), delete(0));
    }
    if state.store[0] == Content::Absent && !state.twin {
        out.push(Step::Store(Act::OpenTwice, 0), state.with(|next| next.twin = true));
    } else {
        out.saw(Event::TwinTurnedAway as usize);
    }
}
