//! Bugs that are planted on purpose, to show that the simulation finds them.
//!
//! Each stands behind [`is_planted`] at the place where a plausible hand would have made it. Without the
//! feature `planted`, which only the simulation's own build has, that is `false` for the compiler and
//! nothing of it is left.

/// A bug. `docs/proof.md` says what each breaks.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub enum Bug {
    /// A session is ended without a fence in its log.
    NoFence = 1,
    /// An append is answered when it is accepted.
    AckBeforeDurable,
    /// A slot is answered although one before it has not landed.
    GapAcknowledged,
    /// "Exists already" counts as success, without a look.
    ConflictTakenForSuccess,
    /// "Exists already" counts as a fence, without a look.
    ConflictTakenForFence,
    /// The fence goes behind the last slot that a listing shows.
    HoleHiddenByListing,
    /// The end of a log is looked for, and recorded, without regard to how far it was trimmed.
    SealWithoutTrim,
    /// An owner accepts again under an epoch whose release it has sent.
    AcceptAfterRelease,
    /// A partition is released before what was accepted is durable.
    ReleaseBeforeFlush,
    /// A duplicate is answered before its original is durable.
    DuplicateAnsweredEarly,
    /// What producers wrote last is not recovered.
    ProducersForgotten,
    /// A checkpoint is published before what it refers to is written.
    CheckpointBeforeData,
    /// A checkpoint does not list a partition that was adopted since the last.
    AdoptedNotListed,
    /// Readers see what is not durable.
    UndurableServed,
    /// An owner tells the end of a log without a proof that it still is the owner.
    EndsWithoutProof,
    /// A coordinator answers committed offsets from memory, without a look at its log.
    OffsetsWithoutLook,
    /// A coordinator appends wherever its log ends.
    AppendWithoutCondition,
    /// The collector asks no session what it refers to.
    SessionsNotAsked,
    /// The collector does not read what published checkpoints name.
    ChainsNotRead,
    /// The collector deletes fences.
    FenceDeleted,
    /// The collector does not read what pages list.
    PagesNotRead,
    /// Readers hear where a log begins before that is published.
    StartBeforePublished,
    /// Log compaction takes the latest record of a key for one that has a later.
    CompactionDropsLatest,
}

impl Bug {
    /// All of them.
    pub const ALL: [Bug; 23] = [
        Bug::NoFence,
        Bug::AckBeforeDurable,
        Bug::GapAcknowledged,
        Bug::ConflictTakenForSuccess,
        Bug::ConflictTakenForFence,
        Bug::HoleHiddenByListing,
        Bug::SealWithoutTrim,
        Bug::AcceptAfterRelease,
        Bug::ReleaseBeforeFlush,
        Bug::DuplicateAnsweredEarly,
        Bug::ProducersForgotten,
        Bug::CheckpointBeforeData,
        Bug::AdoptedNotListed,
        Bug::UndurableServed,
        Bug::EndsWithoutProof,
        Bug::OffsetsWithoutLook,
        Bug::AppendWithoutCondition,
        Bug::SessionsNotAsked,
        Bug::ChainsNotRead,
        Bug::FenceDeleted,
        Bug::PagesNotRead,
        Bug::StartBeforePublished,
        Bug::CompactionDropsLatest,
    ];
}

#[cfg(feature = "planted")]
mod switch {
    use std::sync::atomic::{AtomicU8, Ordering};

    use super::Bug;

    static PLANTED: AtomicU8 = AtomicU8::new(0);

    /// Plants one bug in this process, or none.
    pub fn plant(bug: Option<Bug>) {
        PLANTED.store(bug.map_or(0, |bug| bug as u8), Ordering::Relaxed);
    }

    /// Whether this bug is planted.
    pub fn is_planted(bug: Bug) -> bool {
        PLANTED.load(Ordering::Relaxed) == bug as u8
    }
}

#[cfg(not(feature = "planted"))]
mod switch {
    use super::Bug;

    /// Whether this bug is planted: never, in this build.
    #[inline(always)]
    pub const fn is_planted(_: Bug) -> bool {
        false
    }
}

pub use switch::*;
