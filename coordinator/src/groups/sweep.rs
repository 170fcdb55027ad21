//! Expiry: offsets go some time after the last member of their group has.
//!
//! The time counts from when the group lost its last member; where no member ever was, from each
//! commit (KIP-211). An offset with a time of its own, as old clients set it, goes at that time.
//! A group that is left with nothing goes too. Groups with members are left alone, and so is what is
//! being committed at the moment: a tombstone behind it in the log would take back what is about to
//! be acknowledged.

use tokio::time::Instant;
use weir_ids::Timestamp;

use super::{Groups, Now, Out, Write};
use crate::{
    group::GroupId,
    image::GroupImage,
    records::{Change, Committed},
};

/// Records that one step may bring about; the rest follows in the next.
const STEP_RECORDS: usize = 4096;

/// Groups that one step looks at.
const STEP_GROUPS: usize = 4096;

/// The walk over all groups that looks for what has expired.
pub(super) struct Sweep {
    due: Instant,
    /// The last group seen, in a walk that is not finished.
    behind: Option<GroupId>,
}

impl Sweep {
    pub(super) fn new(due: Instant) -> Self {
        Self { due, behind: None }
    }

    pub(super) fn due(&self) -> Instant {
        self.due
    }
}

impl Groups {
    /// Takes a step of the walk, and says when to take the next.
    pub(super) fn sweep(&mut self, now: Now, out: &mut Out) {
        let mut records = 0;
        let mut emptied = Vec::new();
        let mut last = None;
        for (id, image) in self.image.groups_behind(self.sweep.behind.as_ref()).take(STEP_GROUPS) {
            if records >= STEP_RECORDS {
                break;
            }
            last = Some(id.clone());
            let expired = self.expired(now.wall, id, image);
            records += expired.len();
            if matches!(expired.last(), Some(Change::Group(..))) {
                emptied.push(id.clone());
            }
            if !expired.is_empty() {
                out.writes.push(Write { changes: expired, then: Vec::new() });
            }
        }
        for id in emptied {
            self.bury(&id);
        }
        let at_end = self.image.groups_behind(last.as_ref()).next().is_none();
        let pause = self.settings.offsets_retention_check_interval;
        self.sweep.due = if at_end { now.instant + pause } else { now.instant };
        self.sweep.behind = last.filter(|_| !at_end);
    }

    /// The tombstones that a group is due.
    fn expired(&self, wall: Timestamp, id: &GroupId, image: &GroupImage) -> Vec<Change> {
        let live = self.live.get(id);
        let busy = live.is_some_and(|live| !live.group.is_vacant() || live.storing > 0);
        if busy || self.committing.contains_key(id) {
            return Vec::new();
        }
        let retention = i64::try_from(self.settings.offsets_retention.as_millis());
        let retention = retention.unwrap_or(i64::MAX);
        // Since when nobody is there; unless nobody ever was, or an old record does not say.
        let left = image.state().filter(|state| !state.protocol_type.is_empty());
        let left = left.map(|state| state.since).filter(|since| *since != Timestamp::NONE);
        let is_due = |committed: &Committed| match committed.expires {
            Some(at) => wall >= at,
            None => wall.0.saturating_sub(left.unwrap_or(committed.at).0) >= retention,
        };
        let mut kept = false;
        let mut tombstones = Vec::new();
        for (key, committed) in image.offsets() {
            if is_due(committed) {
                tombstones.push(Change::Offset(id.clone(), key.clone(), None));
            } else {
                kept = true;
            }
        }
        if !kept {
            tombstones.push(Change::Group(id.clone(), None));
        }
        tombstones
    }
}
