//! Objects of which little is needed, from round to round. No I/O.
//!
//! Objects go whole. One stays as long as anybody refers to anything in it, be it a thousandth of what it holds: its
//! neighbours have been deleted, or have been kept for a shorter time. So owners are told which are thin, and write what is
//! needed of them once more; that is less than half, so it costs less than what it gives back. One that gets thin by and
//! by is about to go, so it has the grace of what nobody names. Which of the owners it concerns nobody has to know here:
//! all are told, with the next question for what they refer to.

use std::{collections::BTreeSet, time::Duration};

use tokio::time::Instant;
use weir_ids::{Offset, TopicPartition};

use super::{candidates::Unnamed, grace::Grace};
use crate::client::Thin;

/// How much owners are told at a time: some gigabytes of objects, and of the pages that list what is in them.
const OBJECTS_MAX: usize = 1_024;
const PAGES_MAX: usize = 1_024;

/// What was found thin.
#[derive(Default)]
pub(super) struct Thinning {
    grace: Grace,
    told: Thin,
}

impl Thinning {
    /// What owners are told in the next round.
    pub(super) fn told(&self) -> &Thin {
        &self.told
    }

    /// A round has ended at `now` and found these, after owners had been told; and these pages that list something in what
    /// they were told of.
    pub(super) fn found(
        &mut self,
        thin: &Unnamed,
        listed_at: BTreeSet<(TopicPartition, Offset)>,
        now: Instant,
        grace: Duration,
    ) {
        let due = self.grace.found(thin, now, grace).into_iter().take(OBJECTS_MAX).collect();
        let listed_at = listed_at.into_iter().take(PAGES_MAX).collect();
        self.told = Thin { objects: due, listed_at };
    }
}
