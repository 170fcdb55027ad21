//! Offsets: committing, fetching, deleting.

use super::{Groups, Now, Out, Reply, Waiting, Write};
use crate::{
    group::{Cx, Error, GroupId, Identity, Token},
    records::{Change, Committed, OffsetKey},
};

impl Groups {
    /// Offsets are to be kept; answered when they are durable. A group that nobody joined is created
    /// by it, for consumers that assign partitions to themselves.
    pub(crate) fn commit(
        &mut self,
        now: Now,
        id: &GroupId,
        from: &Identity,
        offsets: Vec<(OffsetKey, Committed)>,
        token: Token,
        out: &mut Out,
    ) {
        let allowed = self.may_commit(now, id, from);
        if allowed.is_err() || offsets.is_empty() {
            return out.replies.push(Reply::Done(token, allowed));
        }
        let committing = self.committing.entry(id.clone()).or_default();
        for (key, _) in &offsets {
            *committing.entry(key.clone()).or_default() += 1;
        }
        let change = |(key, value)| Change::Offset(id.clone(), key, Some(value));
        let changes = offsets.into_iter().map(change).collect();
        let then = vec![Waiting::Reply(Reply::Done(token, Ok(())))];
        out.writes.push(Write { changes, then });
    }

    fn may_commit(&mut self, now: Now, id: &GroupId, from: &Identity) -> Result<(), Error> {
        let cx = Cx { now: now.instant, wall: now.wall, settings: &self.settings };
        if let Some(live) = self.live.get_mut(id) {
            return live.group.check_commit(&cx, from);
        }
        let known = self.image.group(id).is_some() || self.committing.contains_key(id);
        if from.generation.0 >= 0 {
            // Nobody is a member: all groups with members are in memory.
            return Err(if known { Error::UnknownMember } else { Error::GroupNotFound });
        }
        if !known && self.image.len() >= self.settings.groups_max {
            return Err(Error::MaxSizeReached);
        }
        Ok(())
    }

    /// A commit is durable.
    pub(super) fn committed(&mut self, id: &GroupId, key: &OffsetKey) {
        let Some(keys) = self.committing.get_mut(id) else { return };
        if let Some(count) = keys.get_mut(key) {
            *count -= 1;
            if *count == 0 {
                keys.remove(key);
            }
        }
        if keys.is_empty() {
            self.committing.remove(id);
        }
    }

    /// The offsets of these partitions as far as they are durable.
    #[must_use]
    pub(crate) fn fetch(&self, id: &GroupId, keys: &[OffsetKey]) -> Vec<Option<Committed>> {
        let image = self.image.group(id);
        keys.iter().map(|key| image.and_then(|image| image.offset(key)).cloned()).collect()
    }

    /// All offsets of a group as far as they are durable.
    #[must_use]
    pub(crate) fn fetch_all(&self, id: &GroupId) -> Vec<(OffsetKey, Committed)> {
        let image = self.image.group(id);
        let offsets = image.into_iter().flat_map(|image| image.offsets());
        offsets.map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    /// A group is to be deleted with its offsets, those that are about to be committed included;
    /// answered when that is durable.
    pub(crate) fn delete(&mut self, id: &GroupId, token: Token, out: &mut Out) {
        let refused = match self.live.get(id) {
            Some(live) if !live.group.is_empty() => Some(Error::NonEmptyGroup),
            None if !self.knows(id) && !self.committing.contains_key(id) => {
                Some(Error::GroupNotFound)
            }
            _ => None,
        };
        if let Some(error) = refused {
            return out.replies.push(Reply::Done(token, Err(error)));
        }
        let mut changes = self.tombstones(id);
        changes.push(Change::Group(id.clone(), None));
        self.bury(id);
        let then = vec![Waiting::Reply(Reply::Done(token, Ok(())))];
        out.writes.push(Write { changes, then });
    }

    /// Forgets a group that is being deleted; a later one of its name has nothing to do with it.
    pub(super) fn bury(&mut self, id: &GroupId) {
        if let Some(live) = self.live.remove(id)
            && let Some(wake) = live.wake
        {
            self.wakes.remove(&(wake, id.clone()));
        }
    }

    fn tombstones(&self, id: &GroupId) -> Vec<Change> {
        let durable = self.image.group(id).into_iter().flat_map(|image| image.offsets());
        let durable = durable.map(|(key, _)| key);
        let on_the_way = self.committing.get(id).into_iter().flat_map(|keys| keys.keys());
        let keys: std::collections::BTreeSet<&OffsetKey> = durable.chain(on_the_way).collect();
        keys.into_iter().map(|key| Change::Offset(id.clone(), key.clone(), None)).collect()
    }
}
