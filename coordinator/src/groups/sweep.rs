//! What goes by itself: offsets some time after the last member of their group has, and offsets of
//! topics that are gone.
//!
//! The time counts from when the group lost its last member; where no member ever was, from each
//! commit (KIP-211). An offset with a time of its own, as old clients set it, goes at that time.
//! A group that is left with nothing goes too. In groups with members nothing expires.
//!
//! What is being committed at the moment is left alone: a tombstone behind it in the log would take
//! back what is about to be acknowledged.
//!
//! Whether a topic is gone is looked up in a view that may lag. A shard looks for the first time
//! when it has served for a while; no view lags that long and lets a commit to the topic through.

use tokio::time::Instant;
use weir_ids::Timestamp;

use super::{Groups, Now, Out, Write};
use crate::{
    group::GroupId,
    image::GroupImage,
    records::{Change, Committed, OffsetKey},
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

/// Tells whether the topic of an offset is not there any more.
pub(crate) type IsGone<'a> = &'a dyn Fn(&OffsetKey, &Committed) -> bool;

impl Groups {
    /// Takes a step of the walk, and says when to take the next.
    pub(super) fn sweep(&mut self, now: Now, is_gone: IsGone<'_>, out: &mut Out) {
        let mut records = 0;
        let mut emptied = Vec::new();
        let mut last = None;
        for (id, image) in self.image.groups_behind(self.sweep.behind.as_ref()).take(STEP_GROUPS) {
            if records >= STEP_RECORDS {
                break;
            }
            last = Some(id.clone());
            let expired = self.expired(now.wall, id, image, is_gone);
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
    fn expired(
        &self,
        wall: Timestamp,
        id: &GroupId,
        image: &GroupImage,
        is_gone: IsGone<'_>,
    ) -> Vec<Change> {
        let committing = self.committing.get(id);
        let live = self.live.get(id);
        let active = live.is_some_and(|live| !live.group.is_vacant() || live.storing > 0);
        let idle = !active && committing.is_none();
        let mut kept = false;
        let mut tombstones = Vec::new();
        for (key, committed) in image.offsets() {
            let free = committing.is_none_or(|keys| !keys.contains_key(key));
            let goes =
                (free && is_gone(key, committed)) || (idle && self.is_due(wall, image, committed));
            if goes {
                tombstones.push(Change::Offset(id.clone(), key.clone(), None));
            } else {
                kept = true;
            }
        }
        if idle && !kept {
            tombstones.push(Change::Group(id.clone(), None));
        }
        tombstones
    }

    /// Whether an offset of a group without members has outlived them for long enough.
    fn is_due(&self, wall: Timestamp, image: &GroupImage, committed: &Committed) -> bool {
        if let Some(at) = committed.expires {
            return wall >= at;
        }
        // Since when nobody is there; unless nobody ever was, or an old record does not say.
        let left = image.state().filter(|state| !state.protocol_type.is_empty());
        let left = left.map(|state| state.since).filter(|since| *since != Timestamp::NONE);
        let age = wall.0.saturating_sub(left.unwrap_or(committed.at).0);
        let retention = i64::try_from(self.settings.offsets_retention.as_millis());
        age >= retention.unwrap_or(i64::MAX)
    }
}
