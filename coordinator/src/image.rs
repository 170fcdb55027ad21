//! What the log says: the durable state of one shard.
//!
//! Changed by nothing but records that are durable, in the order of the log, when it is loaded and
//! afterwards ([`Image::apply`]); so it is the same for whoever reads the log. Offsets are served
//! from here: what a client has read once can't be taken back by a crash.
//!
//! Who is a member *now* is not here but in [`groups`](crate::groups), which may be ahead.

use std::{collections::BTreeMap, ops::Bound};

use bytes::Bytes;
use bytestring::ByteString;
use weir_ids::{PartitionIndex, Timestamp};

use crate::{
    group::GroupId,
    records::{self, Change, Committed, OffsetKey},
};

/// The durable state of a shard. Ordered by name, so that walking over it is deterministic.
#[derive(Default, Debug)]
pub(crate) struct Image {
    groups: BTreeMap<GroupId, GroupImage>,
    live_bytes: usize,
}

/// The durable state of a group.
#[derive(Default, Debug)]
pub(crate) struct GroupImage {
    state: Option<StoredState>,
    offsets: BTreeMap<OffsetKey, Committed>,
}

/// A group's state as the log has it, and what is looked at without decoding the whole.
#[derive(Debug)]
pub(crate) struct StoredState {
    /// The record's value.
    pub(crate) value: Bytes,
    /// What kind of group it is; empty if nobody ever joined.
    pub(crate) protocol_type: ByteString,
    /// When it entered its state; `NONE` if unknown.
    pub(crate) since: Timestamp,
    /// Whether it has members.
    pub(crate) has_members: bool,
}

/// How far a walk over the whole state has come.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cursor(Option<(GroupId, Option<OffsetKey>)>);

impl Image {
    /// Takes over a record of the log.
    ///
    /// # Errors
    /// If a group's state can't be read. The group is then as if nobody had joined it.
    pub(crate) fn apply(&mut self, change: Change) -> Result<(), records::Error> {
        match change {
            Change::Offset(group, key, value) => {
                self.apply_offset(group, key, value);
                Ok(())
            }
            Change::Group(group, value) => self.apply_group(group, value),
        }
    }

    fn apply_offset(&mut self, group: GroupId, key: OffsetKey, value: Option<Committed>) {
        let Some(value) = value else {
            let Some(image) = self.groups.get_mut(&group) else { return };
            if let Some(old) = image.offsets.remove(&key) {
                self.live_bytes -= records::offset_bytes(&group, &key, Some(&old));
            }
            return self.drop_if_bare(&group);
        };
        self.live_bytes += records::offset_bytes(&group, &key, Some(&value));
        let image = self.groups.entry(group.clone()).or_default();
        if let Some(held) = image.offsets.get_mut(&key) {
            self.live_bytes -= records::offset_bytes(&group, &key, Some(held));
            *held = value;
            return;
        }
        let key = OffsetKey { topic: image.shared_name(&key.topic), ..key };
        image.offsets.insert(key, value);
    }

    fn apply_group(&mut self, group: GroupId, value: Option<Bytes>) -> Result<(), records::Error> {
        let state = value.map(StoredState::read).transpose();
        let image = self.groups.entry(group.clone()).or_default();
        if let Some(old) = image.state.take() {
            self.live_bytes -= records::group_bytes(&group, Some(&old.value));
        }
        let read = match state {
            Ok(state) => {
                let bytes = |state: &StoredState| records::group_bytes(&group, Some(&state.value));
                self.live_bytes += state.as_ref().map_or(0, bytes);
                image.state = state;
                Ok(())
            }
            Err(error) => Err(error),
        };
        self.drop_if_bare(&group);
        read
    }

    fn drop_if_bare(&mut self, group: &GroupId) {
        let bare = |image: &GroupImage| image.state.is_none() && image.offsets.is_empty();
        if self.groups.get(group).is_some_and(bare) {
            self.groups.remove(group);
        }
    }

    /// A group, if the log knows it.
    #[must_use]
    pub(crate) fn group(&self, group: &GroupId) -> Option<&GroupImage> {
        self.groups.get(group)
    }

    /// All groups, by name.
    pub(crate) fn groups(&self) -> impl Iterator<Item = (&GroupId, &GroupImage)> {
        self.groups.iter()
    }

    /// The groups behind this one, by name.
    pub(crate) fn groups_behind(
        &self,
        group: Option<&GroupId>,
    ) -> impl Iterator<Item = (&GroupId, &GroupImage)> {
        let from = group.map_or(Bound::Unbounded, Bound::Excluded);
        self.groups.range((from, Bound::Unbounded))
    }

    /// How many groups there are.
    #[must_use]
    pub(crate) fn len(&self) -> usize {
        self.groups.len()
    }

    /// Whether there is none.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// About what a log would take that said no more than is needed.
    #[must_use]
    pub(crate) fn live_bytes(&self) -> usize {
        self.live_bytes
    }

    /// The next part of the whole state as records, about `bytes` of them; empty at the end.
    ///
    /// Changes between two calls do no harm: whatever changes behind the cursor is in the log
    /// behind the part that was given, and wins.
    #[must_use]
    pub(crate) fn page(&self, cursor: &mut Cursor, bytes: usize) -> Vec<Change> {
        let mut page = Vec::new();
        let mut taken = 0;
        while taken < bytes {
            let Some((change, next)) = self.behind(cursor) else { break };
            taken += change.bytes();
            page.push(change);
            *cursor = next;
        }
        page
    }

    fn behind(&self, cursor: &Cursor) -> Option<(Change, Cursor)> {
        if let Some((group, last)) = &cursor.0
            && let Some(image) = self.groups.get(group)
        {
            let from = last.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
            if let Some((key, value)) = image.offsets.range((from, Bound::Unbounded)).next() {
                return Some(offset_at(group, key, value));
            }
        }
        let last = cursor.0.as_ref().map(|(group, _)| group);
        let (group, image) = self.groups_behind(last).next()?;
        if let Some(state) = &image.state {
            let change = Change::Group(group.clone(), Some(state.value.clone()));
            return Some((change, Cursor(Some((group.clone(), None)))));
        }
        // A group is here for its state or for an offset.
        let (key, value) = image.offsets.iter().next()?;
        Some(offset_at(group, key, value))
    }
}

fn offset_at(group: &GroupId, key: &OffsetKey, value: &Committed) -> (Change, Cursor) {
    let change = Change::Offset(group.clone(), key.clone(), Some(value.clone()));
    (change, Cursor(Some((group.clone(), Some(key.clone())))))
}

impl GroupImage {
    /// Its state, if it was ever joined.
    #[must_use]
    pub(crate) fn state(&self) -> Option<&StoredState> {
        self.state.as_ref()
    }

    /// Its offsets, by topic and partition.
    pub(crate) fn offsets(&self) -> impl Iterator<Item = (&OffsetKey, &Committed)> {
        self.offsets.iter()
    }

    /// One offset.
    #[must_use]
    pub(crate) fn offset(&self, key: &OffsetKey) -> Option<&Committed> {
        self.offsets.get(key)
    }

    /// The topic's name as it is held here already, so that a topic of many partitions is held once.
    fn shared_name(&self, topic: &ByteString) -> ByteString {
        let first = OffsetKey { topic: topic.clone(), partition: PartitionIndex(0) };
        let held = self.offsets.range(first..).next().map(|(key, _)| &key.topic);
        held.filter(|held| *held == topic).unwrap_or(topic).clone()
    }
}

impl StoredState {
    fn read(value: Bytes) -> Result<Self, records::Error> {
        let state = records::read_group(&value)?;
        Ok(Self {
            protocol_type: state.protocol_type,
            since: Timestamp(state.current_state_timestamp),
            has_members: !state.members.is_empty(),
            value,
        })
    }
}
