//! Model (a): the slot protocol of an object journal (rules 1–6 of the write-ahead log).
//!
//! One session. Its writer keeps K conditional creates in flight; each can land late, time out though
//! it landed, be answered "already exists" for no reason. Two fencers end it at the same time. The
//! owner checkpoints and trims, the collector deletes, a successor recovers and the collector goes on
//! up to the seal. A zombie needs no rule of its own: nothing ever obliges the writer to move, and
//! nothing stops it from moving long after the seal.
//!
//! What `wals/{session}` may become is asked of the production type
//! ([`weir_meta::model::Wal`]): publishing, trimming, sealing and trimming what is sealed. The writer and the
//! fencer of an object store are stated here.
//!
//! Abstractions: offset *n* is the record of slot *n*; a checkpoint copies all it covers (that some
//! slots stay in place is the other model's); a metadata change is one step (its compare-and-swap makes
//! it one); an acknowledgement goes out as soon as it may; reading a slot back is one step, because what
//! it may find (own data, a fence) stays, and "absent" leads to a conditional create.

mod properties;
mod state;
mod steps;
#[cfg(test)]
mod tests;

use std::fmt;

use crate::checker::{Model, Property, Steps};
use state::State;

/// A looser reading of a rule.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Bug {
    NoFence,
    AckPastAHole,
    FenceInTrimmedSlot,
    FenceDeleted,
    OpenMarkerDeleted,
    ConflictTakenForSuccess,
    ConflictTakenForFenced,
    HoleHiddenByListing,
    FenceTakenForVoid,
    DeletedBeforeTrim,
}

impl Bug {
    /// Each with the property that it must violate.
    pub(crate) const ALL: &'static [(Bug, &'static str)] = &[
        (Bug::NoFence, "fenced_acks_nothing"),
        (Bug::AckPastAHole, "acked_is_readable"),
        (Bug::FenceInTrimmedSlot, "acked_is_readable"),
        (Bug::FenceDeleted, "fenced_acks_nothing"),
        (Bug::OpenMarkerDeleted, "one_writer"),
        (Bug::ConflictTakenForSuccess, "acked_is_readable"),
        (Bug::ConflictTakenForFenced, "refused_is_void"),
        (Bug::HoleHiddenByListing, "offsets_are_dense_and_unique"),
        (Bug::FenceTakenForVoid, "refused_is_void"),
        (Bug::DeletedBeforeTrim, "fenced_acks_nothing"),
    ];
}

/// The scope, and perhaps a planted bug.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slots {
    /// Data slots: 1 to this.
    pub(crate) slots: u8,
    /// Creates in flight at once.
    pub(crate) in_flight: u8,
    /// Creates of the writer that have timed out and not landed, at once.
    pub(crate) late: u8,
    /// A fence's create may time out and land late.
    pub(crate) late_fences: bool,
    pub(crate) bug: Option<Bug>,
}

impl Slots {
    /// Small enough for a debug build.
    pub(crate) const SMALL: Slots =
        Slots { slots: 2, in_flight: 2, late: 1, late_fences: true, bug: None };

    /// Wide (three in flight, two late) and long (four slots).
    pub(crate) const FULL: &[Slots] = &[
        Slots { slots: 3, in_flight: 3, late: 2, ..Self::SMALL },
        Slots { slots: 4, in_flight: 2, late: 1, ..Self::SMALL },
    ];
}

/// One step, in words.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    Writer(Act, u8),
    Fencer(usize, Act, u8),
    Store(Act, u8),
    Successor,
}

/// What is done to a slot.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Act {
    Submit,
    TimeOut,
    LoseAnswer,
    Create,
    ConflictWithoutCause,
    LearnMade,
    ReadBackOwn,
    ReadBackFence,
    ReadBackNothing,
    TakeForSuccess,
    TakeForFenced,
    Publish,
    Trim,
    LearnSealed,
    LandLate,
    Delete,
    TrimSealed,
    OpenTwice,
    Begin,
    List,
    SeeData,
    SeeFence,
    SeeNothing,
    CreateFence,
    MeetData,
    MeetFence,
    SkipFence,
    Record,
    FindSealed,
    BeginAgain,
    LandLateFence,
}

const EVENTS: &[&str] = &[
    "a create timed out though it had landed",
    "a conflict came without cause",
    "a create landed late, in its own place",
    "a create landed late in a slot that was trimmed and deleted",
    "a slot landed above a hole",
    "a late create failed at a fence",
    "a zombie met the fence after the seal was recorded",
    "a hole above which slots are void",
    "two fencers met at one fence",
    "a fencer found data where it had seen nothing",
    "a trim overtook a fencer, which began again",
    "a fence landed late",
    "a fence stands in a trimmed slot",
    "the seal had been recorded by the other",
    "a checkpoint came after the seal and was refused",
    "a trim came after the seal and was refused",
    "a slot below the seal was acknowledged after it",
    "a second opener met the marker",
    "the collector trimmed up to the seal",
];

/// The numbers of [`EVENTS`].
#[derive(Clone, Copy)]
enum Event {
    TimedOutLanded,
    ConflictWithoutCause,
    LandedLate,
    LandedInTrimmed,
    LandedAboveHole,
    LateMetFence,
    ZombieMetFence,
    HoleAboveVoid,
    FencersMet,
    FencerMetData,
    TrimOvertookFencer,
    FenceLandedLate,
    FenceInTrimmed,
    SealedByOther,
    CheckpointRefused,
    TrimRefused,
    AckedAfterSeal,
    TwinTurnedAway,
    CollectorTrimmed,
}

impl Model for Slots {
    type State = State;
    type Step = Step;
    const EVENTS: &'static [&'static str] = EVENTS;

    fn initial(&self) -> State {
        State::new()
    }

    fn steps(&self, state: &State, out: &mut Steps<State, Step>) {
        steps::all(self, state, out);
    }

    fn properties(&self) -> &'static [Property<Self>] {
        properties::ALL
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Writer(act, slot) => write!(f, "writer: {}", act.words(*slot)),
            Step::Fencer(0, act, slot) => write!(f, "fencer A: {}", act.words(*slot)),
            Step::Fencer(_, act, slot) => write!(f, "fencer B: {}", act.words(*slot)),
            Step::Store(act, slot) => write!(f, "store: {}", act.words(*slot)),
            Step::Successor => {
                write!(f, "successor: recovers up to the seal and writes on from it")
            }
        }
    }
}

impl Act {
    fn words(self, slot: u8) -> String {
        match self {
            Act::Submit => format!("sends the create of slot {slot}"),
            Act::TimeOut => {
                format!("the create of slot {slot} times out and stays on its way; again")
            }
            Act::LoseAnswer => format!("the answer that slot {slot} was made is lost; again"),
            Act::Create => format!("the create of slot {slot} reaches the store"),
            Act::ConflictWithoutCause => format!("slot {slot} is said to exist, without cause"),
            Act::LearnMade => format!("learns that slot {slot} is made; acknowledges what it may"),
            Act::ReadBackOwn => format!("reads slot {slot} back, finds its own; acknowledges"),
            Act::ReadBackFence => format!("reads slot {slot} back, finds a fence; gives up"),
            Act::ReadBackNothing => format!("reads slot {slot} back, finds nothing; creates again"),
            Act::TakeForSuccess => format!("takes the conflict at slot {slot} for its own success"),
            Act::TakeForFenced => {
                format!("takes the conflict at slot {slot} for a fence; gives up")
            }
            Act::Publish => format!("publishes a checkpoint that covers what is below slot {slot}"),
            Act::Trim => format!("moves the trim to slot {slot}"),
            Act::LearnSealed => format!("learns that it is sealed at slot {slot}; gives up"),
            Act::LandLate => format!("a late create of slot {slot} arrives"),
            Act::Delete => format!("slot {slot} is deleted"),
            Act::TrimSealed => format!("the collector moves the trim to slot {slot}"),
            Act::OpenTwice => "a second process opens the same session".to_owned(),
            Act::Begin => format!("reads the trim, slot {slot}, and begins there"),
            Act::List => format!("lists the slots; the first behind the last is slot {slot}"),
            Act::SeeData => format!("reads slot {slot}: data"),
            Act::SeeFence => format!("reads slot {slot}: a fence"),
            Act::SeeNothing => format!("reads slot {slot}: nothing"),
            Act::CreateFence => format!("creates the fence in slot {slot}"),
            Act::MeetData => format!("can't fence slot {slot}: it holds data by now"),
            Act::MeetFence => format!("can't fence slot {slot}: a fence is there"),
            Act::SkipFence => format!("goes on without a fence in slot {slot}"),
            Act::Record => format!("records the seal at slot {slot}"),
            Act::FindSealed => format!("finds the seal recorded already, at slot {slot}"),
            Act::BeginAgain => format!("finds the trim above its fence; again from slot {slot}"),
            Act::LandLateFence => format!("a late create of a fence in slot {slot} arrives"),
        }
    }
}
