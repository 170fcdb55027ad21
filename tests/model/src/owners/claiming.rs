//! Who owns a partition: claims, recovery, appends, releases, the end of a session.

use weir_ids::{Offset, Slot};
use weir_meta::model::{LogState, Owner, Seal};

use super::{
    Bug, Event, Out, Owners, Step,
    bridge::{claim, session},
    recover::Read,
    state::{
        Held, INHERITED, Listing, LogKey, Place, Reading, Record, Recovery, Release, Role, Round,
        Session, State, WalKey,
    },
};

impl State {
    pub(super) fn with(&self, change: impl FnOnce(&mut State)) -> State {
        let mut next = self.clone();
        change(&mut next);
        next
    }

    /// What the published checkpoint of a partition's owner has adopted.
    pub(super) fn owner_adopted(&self, of: usize) -> u8 {
        self.wals.get(usize::from(self.logs[of].owner)).map_or(0, |wal| wal.adopted)
    }

    /// The log of a partition as claimed; the previous owner's part is added.
    pub(super) fn claimed(&self, of: usize, by: usize, number: u8, bug: Option<Bug>) -> LogKey {
        let by = Owner { session: session(by), claim: claim(number) };
        let mut log = self.logs[of].log().claimed(by, claim(self.owner_adopted(of)));
        if bug == Some(Bug::ClaimReplacesInherited) {
            log.inherited = log.inherited.pop().into_iter().collect();
        }
        LogKey::of(&log)
    }

    pub(super) fn set_log(&mut self, of: usize, log: LogKey) {
        self.wrong.went_back |= log.epoch < self.logs[of].epoch;
        self.logs[of] = log;
    }

    pub(super) fn set_wal(&mut self, of: usize, wal: WalKey) {
        let before = &self.wals[of];
        self.wrong.went_back |= wal.trim < before.trim
            || wal.published < before.published
            || wal.covers < before.covers
            || wal.adopted < before.adopted
            || before.sealed != 0 && wal.sealed != before.sealed;
        self.wals[of] = wal;
    }

    /// A partition is recovered: its owner opens it, and the claim is settled.
    fn opened(&mut self, by: usize, of: usize, listing: Listing) {
        let held = &mut self.sessions[by].held[of];
        held.listing = Listing { epoch: held.epoch, ..listing };
        held.role = Role::Open;
        held.unsettled = 0;
    }
}

pub(super) fn all(model: &Owners, state: &State, by: usize, out: &mut Out) {
    for of in 0..model.partitions {
        let held = &state.sessions[by].held[of];
        match held.role {
            Role::Idle | Role::Unclear => claims(model, state, by, of, out),
            Role::Recovering(recovery) => recover(model, state, (by, of), recovery, out),
            Role::Open => {
                append(model, state, by, of, out);
                send_release(state, by, of, out);
            }
            Role::ReleaseSent => {
                learn_released(model, state, by, of, out);
                resume(model, state, by, of, out);
            }
        }
    }
    if state.sessions[by].last_claim > 0 {
        seal(state, by, out);
    }
}

fn claims(model: &Owners, state: &State, by: usize, of: usize, out: &mut Out) {
    // Sessions differ in nothing but their number: let them come in order.
    let in_turn = by == 0 || state.sessions[by - 1].last_claim > 0 || !state.is_live(by - 1);
    let log = state.logs[of].log();
    let in_the_way = log.must_be_sealed(session(by)).is_some_and(|owner| {
        model.bug != Some(Bug::ClaimBeforeSeal) && state.is_live(owner.0 as usize)
    });
    if !in_turn || in_the_way || state.claims == model.claims {
        return;
    }
    let number = state.sessions[by].last_claim + 1;
    let claimed = state.with(|next| {
        let log = state.claimed(of, by, number, model.bug);
        next.claims += 1;
        next.set_log(of, log);
        next.sessions[by].last_claim = number;
        let held = &mut next.sessions[by].held[of];
        held.unsettled |= 1 << number;
        (held.epoch, held.claim) = (log.epoch, number);
    });
    if log.inherited.iter().any(|part| part.session == session(by)) {
        out.saw(Event::ClaimedAgain as usize);
    }
    let parts = claimed.logs[of].inherited_len;
    if model.unclear {
        out.saw(Event::ClaimUnclear as usize);
        let unclear = claimed.with(|next| {
            let held = &mut next.sessions[by].held[of];
            held.role = Role::Unclear;
            if model.bug == Some(Bug::UnclearClaimSettled) {
                held.unsettled = 0;
            }
        });
        out.push(Step::ClaimUnclear(by, of), unclear);
    }
    let claimed = claimed.with(|next| {
        if parts == 0 {
            return next.opened(by, of, Listing::EMPTY);
        }
        next.sessions[by].held[of].role = Role::Recovering(Recovery {
            at: parts - 1,
            reading: Reading::Key,
            published: [0; INHERITED],
            trim: [0; INHERITED],
        });
        if model.bug == Some(Bug::AdoptedBeforeComplete) {
            next.sessions[by].held[of].unsettled = 0;
        }
    });
    out.push(Step::Claim(by, of), claimed);
}

/// One reading step of a recovery: newest session first, until one that had adopted its claim.
fn recover(
    model: &Owners,
    state: &State,
    (by, of): (usize, usize),
    recovery: Recovery,
    out: &mut Out,
) {
    let at = usize::from(recovery.at);
    let part = state.logs[of].inherited[at];
    let from = usize::from(part.session);
    let wal = &state.wals[from];
    let mut next = recovery;
    let mut stuck = false;
    match recovery.reading {
        Reading::Key => {
            next.published[at] = wal.published;
            next.trim[at] = wal.trim;
            next.reading = Reading::Chain;
        }
        Reading::Chain => {
            let numbers = state.chain_numbers(from, recovery.published[at]);
            if numbers.into_iter().all(|number| state.exists(Place::checkpoint(from, number))) {
                next.reading = Reading::Slots;
            } else {
                out.saw(Event::ChainReplaced as usize);
                stuck = wal.published == recovery.published[at];
                next.reading = Reading::Key;
            }
        }
        Reading::Slots => {
            let published = usize::from(recovery.published[at]);
            let covers = state.checkpoints[from][published].covers.max(1);
            let mut slots = covers.max(recovery.trim[at])..state.end_of(part);
            let overlook = model.bug == Some(Bug::OvertakingTrimOverlooked);
            // The key is read once more, behind the slots: that everything is still there is not
            // enough, for the collector may have been told before that nobody refers to it.
            let changed = wal.trim > recovery.trim[at] || wal.published > recovery.published[at];
            let overtaken = changed && model.bug != Some(Bug::KeyNotReadAgain);
            let there = slots.all(|slot| state.exists(Place::slot(from, slot)));
            if overlook || there && !overtaken {
                return read_through(model, state, (by, of), recovery, out);
            }
            out.saw(Event::TrimOvertook as usize);
            stuck = !changed;
            next.reading = Reading::Key;
        }
    }
    let read = state.with(|state| {
        state.wrong.recovery |= stuck;
        state.sessions[by].held[of].role = Role::Recovering(next);
    });
    out.push(Step::Read(by, of, part.session, recovery.reading), read);
}

/// A session has been read through: on to the one before, or all is there.
fn read_through(
    model: &Owners,
    state: &State,
    (by, of): (usize, usize),
    recovery: Recovery,
    out: &mut Out,
) {
    let reads = state.reads(of, &recovery);
    let last = reads[reads.len() - 1];
    let step = Step::Read(by, of, last.part.session, Reading::Slots);
    let lists = state.lists(last, of, model.bug);
    if !lists && recovery.at > 0 {
        let mut next = Recovery { at: recovery.at - 1, reading: Reading::Key, ..recovery };
        let session = state.logs[of].inherited[usize::from(next.at)].session;
        let read = reads.iter().find(|read| read.part.session == session);
        if let Some(read) = read.filter(|_| model.bug != Some(Bug::EntriesReadApart)) {
            // One reading of a session serves all its entries: two would not fit together.
            next.published[usize::from(next.at)] = read.published;
            return read_through(model, state, (by, of), next, out);
        }
        let on = state.with(|state| state.sessions[by].held[of].role = Role::Recovering(next));
        return out.push(step, on);
    }
    if reads.len() > 1 {
        out.saw(Event::InheritedListUsed as usize);
    }
    if lists && recovery.at > 0 {
        out.saw(Event::StoppedAtAdopted as usize);
    }
    if reads.iter().any(|read| usize::from(read.part.session) == by) {
        out.saw(Event::OwnSessionRead as usize);
    }
    let done = state.with(|next| match state.recover(of, &reads, model.bug) {
        Ok(listing) => {
            let all = listing.next == state.acked_count(of);
            next.wrong.recovery |= !all || !state.is_readable(of, &listing);
            next.opened(by, of, listing);
        }
        Err(_) => next.wrong.recovery = true,
    });
    out.push(step, done);
}

impl State {
    /// What a recovery has read, newest first, the part it is at included.
    pub(super) fn reads(&self, of: usize, recovery: &Recovery) -> Vec<Read> {
        let parts = self.logs[of].parts().zip(recovery.published);
        let reads = parts.map(|(part, published)| Read { part, published });
        reads.skip(usize::from(recovery.at)).collect::<Vec<_>>().into_iter().rev().collect()
    }

    /// Every offset of the listing is where it says, and is the acknowledged record.
    pub(super) fn is_readable(&self, of: usize, listing: &Listing) -> bool {
        (0..listing.next).all(|at| self.holds(listing.places[usize::from(at)], of, at))
    }
}

/// A record becomes durable and is acknowledged: the other model proves that this is one step, and
/// impossible once the session is sealed.
fn append(model: &Owners, state: &State, by: usize, of: usize, out: &mut Out) {
    let listing = state.sessions[by].held[of].listing;
    let slot = state.written[by] + 1;
    if slot > model.slots || listing.next >= model.offsets {
        return;
    }
    let appended = state.with(|next| {
        let at = usize::from(listing.next);
        let held = &mut next.sessions[by].held[of];
        next.slots[by][usize::from(slot)] =
            Record { partition: of as u8, epoch: held.epoch, offset: listing.next };
        next.written[by] = slot;
        next.objects |= Place::slot(by, slot).bit();
        held.listing.places[at] = Place::slot(by, slot);
        held.listing.next += 1;
        next.wrong.acked_twice |= next.acked[of][at] != 0;
        next.acked[of][at] = by as u8 + 1;
    });
    out.push(Step::Append(by, of), appended);
}

fn send_release(state: &State, by: usize, of: usize, out: &mut Out) {
    if state.releases[of].epoch > 0 {
        return;
    }
    let sent = state.with(|next| {
        let held = &mut next.sessions[by].held[of];
        held.role = Role::ReleaseSent;
        next.releases[of] = Release {
            session: by as u8,
            epoch: held.epoch,
            end_slot: state.written[by] + 1,
            end_offset: held.listing.next,
        };
    });
    out.push(Step::SendRelease(by, of), sent);
}

/// A release arrives, perhaps long after it was given up: the decision is the metadata's.
pub(super) fn release_arrives(state: &State, of: usize, out: &mut Out) {
    let release = state.releases[of];
    if release.epoch == 0 {
        return;
    }
    let by = usize::from(release.session);
    let mut log = state.logs[of].log();
    let owned = log.is_owned(session(by), weir_ids::LeaderEpoch(i32::from(release.epoch)));
    if !owned {
        out.saw(Event::LateReleaseRefused as usize);
    } else if !state.is_live(by) {
        out.saw(Event::ReleasedAfterSeal as usize);
    }
    log.state = LogState::Released {
        end_slot: Slot(u64::from(release.end_slot)),
        end_offset: Offset(i64::from(release.end_offset)),
    };
    let arrived = state.with(|next| {
        next.releases[of] = Release::default();
        if owned {
            next.set_log(of, LogKey::of(&log));
        }
    });
    out.push(Step::ReleaseArrives(by, of), arrived);
}

fn learn_released(model: &Owners, state: &State, by: usize, of: usize, out: &mut Out) {
    let Held { epoch, .. } = state.sessions[by].held[of];
    let log = state.logs[of].log();
    if log.is_owned(session(by), weir_ids::LeaderEpoch(i32::from(epoch))) {
        return;
    }
    let learned = state.with(|next| {
        let held = &mut next.sessions[by].held[of];
        held.role = Role::Idle;
        if model.bug == Some(Bug::TrimForgetsReleased) {
            held.listing = Listing::EMPTY;
        }
    });
    out.push(Step::LearnReleased(by, of), learned);
}

/// Goes on after a release whose fate is unclear: by a claim, so that the release must fail.
fn resume(model: &Owners, state: &State, by: usize, of: usize, out: &mut Out) {
    let held = state.sessions[by].held[of];
    if model.bug == Some(Bug::ResumedUnderTheSameEpoch) {
        let open = state.with(|next| next.sessions[by].held[of].role = Role::Open);
        return out.push(Step::Resume(by, of), open);
    }
    let log = state.logs[of];
    if (usize::from(log.owner), log.epoch) != (by, held.epoch) || state.claims == model.claims {
        return;
    }
    out.saw(Event::Resumed as usize);
    let number = state.sessions[by].last_claim + 1;
    let resumed = state.with(|next| {
        next.claims += 1;
        let log = state.claimed(of, by, number, model.bug);
        next.set_log(of, log);
        next.sessions[by].last_claim = number;
        let held = &mut next.sessions[by].held[of];
        (held.epoch, held.claim) = (log.epoch, number);
        let listing = held.listing;
        next.opened(by, of, listing);
    });
    out.push(Step::Resume(by, of), resumed);
}

/// The session ends. What it had in memory is gone; what it sent may still arrive.
fn seal(state: &State, by: usize, out: &mut Out) {
    let at = Seal { at: Slot(u64::from(state.written[by]) + 1), detail: None };
    let Ok(wal) = state.wals[by].wal().with_seal(at) else { return };
    let sealed = state.with(|next| {
        next.set_wal(by, WalKey::of(&wal));
        next.sessions[by] = Session::NEW;
        if let Round::Marking { missing, .. } = next.round
            && missing & (1 << by) != 0
        {
            out.saw(Event::RoundSkipped as usize);
            next.round = Round::Idle;
        }
    });
    out.push(Step::Seal(by), sealed);
}

/// The partition's log no longer needs what this session covers.
pub(super) fn forget(model: &Owners, state: &State, by: usize, of: usize, out: &mut Out) {
    let held = &state.sessions[by].held[of];
    let log = state.logs[of].log();
    let covers = held.role == Role::Idle && held.listing.epoch > 0;
    let others = usize::from(state.logs[of].owner) != by;
    let needs = log.needs(session(by), claim(state.owner_adopted(of)));
    if covers && others && (!needs || model.bug == Some(Bug::ForgottenWhenClaimed)) {
        out.saw(Event::Forgotten as usize);
        let forgotten = state.with(|next| next.sessions[by].held[of].listing = Listing::EMPTY);
        out.push(Step::Forget(by, of), forgotten);
    }
}
