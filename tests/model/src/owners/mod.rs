//! Model (b): who may write a partition, what checkpoints say of it, and what may be swept.
//!
//! Sessions claim partitions, append, release (the release may arrive late), resume, are sealed at any
//! moment. Recovery reads the inherited sessions step by step, newest first, while live ones publish,
//! trim and forget, and the collector sweeps. Checkpoints are full or deltas; a publication may arrive
//! late or never be answered. Claims may be made without the claimant learning it.
//!
//! Production decides what a log becomes when it is claimed, who must be sealed, who is needed
//! ([`weir_meta::model::Log`]), what `wals/` may become ([`weir_meta::model::Wal`]), how a chain adds up and
//! whether a listing is dense ([`weir_segment_store::checkpoint`]). Restated, because private there: the
//! order in which recovery reads and adds up (`recover.rs`), an owner's release, what a checkpoint
//! lists (`publishing.rs`).
//!
//! Abstractions: a sealed log is an ordered list (the other model proves it), so an append is durable
//! and acknowledged in one step; a slot holds one record; a checkpoint gathers every slot of its own
//! session since the last, and leaves in place what was adopted by reference; learning that a
//! checkpoint is published and trimming are one step; a sweep is one step; a metadata change is one step.
//! Retention, folding, transactions are not in it.

mod bridge;
mod claiming;
mod collecting;
mod properties;
mod publishing;
mod recover;
mod state;
#[cfg(test)]
mod tests;

use std::fmt;

use crate::checker::{Model, Property, Steps};
use state::{Reading, State};

type Out = Steps<State, Step>;

/// A looser reading of a rule.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Bug {
    ClaimBeforeSeal,
    ClaimReplacesInherited,
    UnclearClaimSettled,
    AdoptedBeforeComplete,
    OldListingTaken,
    EntriesReadApart,
    OvertakingTrimOverlooked,
    KeyNotReadAgain,
    ResumedUnderTheSameEpoch,
    TrimForgetsReleased,
    ForgottenWhenClaimed,
    OnlySessionCompared,
    CheckpointNameReused,
    DeltaOmitsAdopted,
    DeltaMixesEpochs,
    SweepByAge,
    ChainsNotMarked,
    RecoveryNotReported,
    SweepableDecidedLate,
    UnansweredNotReported,
    ReportsBeforeChains,
    OwnerDeletesTrimmed,
}

/// The scope, and perhaps a planted bug.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Owners {
    pub(crate) sessions: usize,
    pub(crate) partitions: usize,
    /// Records a partition, slots and checkpoints a session.
    pub(crate) offsets: u8,
    pub(crate) slots: u8,
    pub(crate) checkpoints: u8,
    /// Claims in all.
    pub(crate) claims: u8,
    /// Whether a claimant may fail to learn that its claim was made.
    pub(crate) unclear: bool,
    /// Rounds of the collector.
    pub(crate) rounds: u8,
    /// A round sweeps what it finds, and not only what the round before has found too.
    pub(crate) at_once: bool,
    pub(crate) bug: Option<Bug>,
}

impl Bug {
    /// Each with the property that it must violate, and the scope in which it does.
    pub(crate) const ALL: &'static [(Bug, &'static str, Owners)] = &[
        (Bug::ClaimBeforeSeal, "one_writer", Owners::TIGHT),
        (Bug::ClaimReplacesInherited, "acked_is_readable", Owners::TIGHT),
        (Bug::UnclearClaimSettled, "acked_is_readable", Owners::TIGHT),
        (Bug::AdoptedBeforeComplete, "acked_is_readable", Owners::TIGHT),
        (Bug::OldListingTaken, "acked_is_readable", Owners::TIGHT),
        (Bug::EntriesReadApart, "recovery_finds_all", Owners::TIGHT),
        (Bug::OvertakingTrimOverlooked, "recovery_finds_all", Owners::TIGHT),
        (Bug::KeyNotReadAgain, "no_reference_to_deleted", Owners::TIGHT),
        (Bug::ResumedUnderTheSameEpoch, "one_writer", Owners::TIGHT),
        (Bug::TrimForgetsReleased, "acked_is_readable", Owners::TIGHT),
        (Bug::ForgottenWhenClaimed, "acked_is_readable", Owners::TIGHT),
        (Bug::OnlySessionCompared, "acked_is_readable", Owners::LONG),
        (Bug::CheckpointNameReused, "no_reference_to_deleted", Owners::TIGHT),
        (Bug::DeltaOmitsAdopted, "acked_is_readable", Owners::LONG),
        (Bug::DeltaMixesEpochs, "offsets_are_dense_and_unique", Owners::LONG),
        (Bug::SweepByAge, "no_reference_to_deleted", Owners::TIGHT),
        (Bug::ChainsNotMarked, "no_reference_to_deleted", Owners::TIGHT),
        (Bug::RecoveryNotReported, "no_reference_to_deleted", Owners::TIGHT),
        (Bug::SweepableDecidedLate, "no_reference_to_deleted", Owners::TWICE),
        (Bug::UnansweredNotReported, "no_reference_to_deleted", Owners::TIGHT),
        (Bug::ReportsBeforeChains, "no_reference_to_deleted", Owners::TWICE),
        (Bug::OwnerDeletesTrimmed, "no_reference_to_deleted", Owners::TIGHT),
    ];
}

impl Owners {
    /// Small enough for the unit tests.
    pub(crate) const SMALL: Owners = Owners {
        sessions: 2,
        partitions: 1,
        offsets: 1,
        slots: 1,
        checkpoints: 1,
        claims: 2,
        unclear: true,
        rounds: 1,
        at_once: true,
        bug: None,
    };

    /// One of everything, and three claims.
    const TIGHT: Owners = Owners { claims: 3, ..Self::SMALL };

    /// Two checkpoints a session beside the collector.
    const TWICE: Owners = Owners { slots: 2, checkpoints: 2, unclear: false, ..Self::SMALL };

    /// Two records and two checkpoints, three claims, no collector.
    const LONG: Owners =
        Owners { offsets: 2, slots: 2, checkpoints: 2, claims: 3, rounds: 0, ..Self::SMALL };

    /// A third session inherits.
    const THREE: Owners =
        Owners { sessions: 3, offsets: 2, claims: 4, rounds: 0, unclear: false, ..Self::SMALL };

    /// Two partitions: claims with gaps, one trim for both.
    const PAIR: Owners =
        Owners { partitions: 2, slots: 2, claims: 3, unclear: false, rounds: 0, ..Self::SMALL };

    /// Exhausted in some minutes.
    pub(crate) const FULL: &[Owners] =
        &[Self::PAIR, Self::TIGHT, Self::TWICE, Self::LONG, Self::THREE];
}

/// One step: session, partition, and what else it takes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    Claim(usize, usize),
    ClaimUnclear(usize, usize),
    Read(usize, usize, u8, Reading),
    Append(usize, usize),
    SendRelease(usize, usize),
    ReleaseArrives(usize, usize),
    LearnReleased(usize, usize),
    Resume(usize, usize),
    Seal(usize),
    Forget(usize, usize),
    Checkpoint(usize, u8, bool),
    PublicationArrives(usize, u8),
    PublicationAnswered(usize, u8),
    PublicationGivenUp(usize, u8),
    RoundBegins,
    Report(usize),
    ReadChains,
    Marked,
    Swept,
    TrimSealed(usize),
}

const EVENTS: &[&str] = &[
    "a claim was made and its claimant did not learn it",
    "a session claimed what it had inherited from itself",
    "a recovery read its own session",
    "a recovery went through the inherited list",
    "a recovery stopped at a session that had adopted",
    "a trim overtook a recovery, which began that session again",
    "a chain was replaced under a recovery",
    "a release arrived after its epoch and was refused",
    "a release arrived after its session was sealed",
    "a session resumed after an unclear release",
    "a stale publication was refused",
    "a publication arrived after the seal and was refused",
    "adoption had a gap",
    "a session forgot what it had released",
    "a delta said that a partition is gone",
    "a round was skipped because a session ended before its report",
    "a slot was swept",
    "another object was swept",
    "a sealed session was forgotten",
];

/// The numbers of [`EVENTS`].
#[derive(Clone, Copy)]
enum Event {
    ClaimUnclear,
    ClaimedAgain,
    OwnSessionRead,
    InheritedListUsed,
    StoppedAtAdopted,
    TrimOvertook,
    ChainReplaced,
    LateReleaseRefused,
    ReleasedAfterSeal,
    Resumed,
    StalePublication,
    PublishedTooLate,
    AdoptionHasGap,
    Forgotten,
    Gone,
    RoundSkipped,
    SlotSwept,
    ObjectSwept,
    SealedForgotten,
}

impl Model for Owners {
    type State = State;
    type Step = Step;
    const EVENTS: &'static [&'static str] = EVENTS;

    fn initial(&self) -> State {
        State::new()
    }

    fn steps(&self, state: &State, out: &mut Out) {
        for by in 0..self.sessions {
            if state.is_live(by) {
                claiming::all(self, state, by, out);
                publishing::all(self, state, by, out);
                for of in 0..self.partitions {
                    claiming::forget(self, state, by, of, out);
                }
            }
            publishing::arrives(self, state, by, out);
        }
        for of in 0..self.partitions {
            claiming::release_arrives(state, of, out);
        }
        collecting::all(self, state, out);
    }

    fn properties(&self) -> &'static [Property<Self>] {
        properties::ALL
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Claim(by, of) => write!(f, "session {by}: claims partition {of}"),
            Step::ClaimUnclear(by, of) => {
                write!(f, "session {by}: claims partition {of} and does not learn that it has")
            }
            Step::Read(by, of, from, reading) => {
                let what = match reading {
                    Reading::Key => "where its checkpoint and trim are",
                    Reading::Chain => "its chain of checkpoints",
                    Reading::Slots => "its slots behind the checkpoint",
                };
                write!(f, "session {by}: recovers partition {of}: reads of session {from} {what}")
            }
            Step::Append(by, of) => {
                write!(f, "session {by}: acknowledges a record of partition {of}")
            }
            Step::SendRelease(by, of) => {
                write!(f, "session {by}: sends the release of partition {of}")
            }
            Step::ReleaseArrives(by, of) => {
                write!(f, "metadata: session {by}'s release of partition {of} arrives")
            }
            Step::LearnReleased(by, of) => {
                write!(f, "session {by}: learns that it does not own partition {of} any more")
            }
            Step::Resume(by, of) => write!(f, "session {by}: goes on with partition {of}"),
            Step::Seal(by) => write!(f, "session {by} is sealed"),
            Step::Forget(by, of) => write!(f, "session {by}: no longer covers partition {of}"),
            Step::Checkpoint(by, number, full) => {
                let kind = if *full { "full" } else { "delta" };
                write!(f, "session {by}: writes checkpoint {number} ({kind}) and sends it out")
            }
            Step::PublicationArrives(by, number) => {
                write!(f, "metadata: the publication of session {by}'s checkpoint {number} arrives")
            }
            Step::PublicationAnswered(by, number) => {
                write!(f, "session {by}: learns that checkpoint {number} is published, and trims")
            }
            Step::PublicationGivenUp(by, number) => {
                write!(f, "session {by}: gets no answer about checkpoint {number}")
            }
            Step::RoundBegins => write!(f, "collector: begins a round and lists what is there"),
            Step::Report(by) => write!(f, "collector: session {by} reports what it refers to"),
            Step::ReadChains => write!(f, "collector: reads all logs and the published chains"),
            Step::Marked => write!(f, "collector: has marked"),
            Step::Swept => write!(f, "collector: sweeps what is not marked"),
            Step::TrimSealed(of) => write!(f, "collector: nobody needs session {of}; trims it"),
        }
    }
}
