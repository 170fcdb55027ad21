//! All groups of one shard, without I/O: what the log says of them ([`Image`]) and who is a member
//! now ([`Group`]).
//!
//! Two kinds of state, on purpose:
//! - *Offsets* and stored group states change when a record is durable, never before. A client that
//!   has read an offset will never read an older one.
//! - *Membership* runs ahead of the log, as rebalances do: a join is not worth an append. What a
//!   rebalance ends with is stored before anybody is told. If an append fails, the shard forgets
//!   all this and loads again, so nothing here is ever rolled back.
//!
//! Commits that are on their way to the log are counted by partition: deleting a group also deletes
//! what is about to be committed, and expiry leaves it alone.
//!
//! A group without members costs nothing beside its image. It is brought to life by a request and
//! dropped again once it is vacant and nothing of it is on its way to the log.

mod offsets;
mod sweep;
#[cfg(test)]
mod tests;
mod views;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use tokio::time::Instant;
use weir_ids::Timestamp;

use crate::{
    group::{
        Answer, Cx, Effects, Error, Group, GroupId, Identity, Join, JoinAnswer, JoinRefused,
        Leaving, Sync, Synced, Then, Token,
    },
    image::Image,
    records::{self, Change, OffsetKey},
    settings::Settings,
};
pub(crate) use sweep::IsGone;
pub(crate) use views::Listed;

/// The time in both senses.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    /// Monotonic: deadlines are counted in it.
    pub(crate) instant: Instant,
    /// The time of day: what is stored.
    pub(crate) wall: Timestamp,
}

/// Records to append together, and what happens once they are durable.
#[derive(Debug)]
pub(crate) struct Write {
    /// The records, in order.
    pub(crate) changes: Vec<Change>,
    /// What waits for them.
    pub(crate) then: Vec<Waiting>,
}

/// Something that waits for records to be durable. To be handed to [`Groups::durable`].
#[derive(Debug)]
pub(crate) enum Waiting {
    /// A group goes on.
    Group(GroupId, Incarnation, Then),
    /// An answer goes out.
    Reply(Reply),
}

/// Tells a group from one that had its name before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Incarnation(u64);

/// An answer to a request that waited under a token.
#[derive(Debug)]
pub(crate) enum Reply {
    /// To a join.
    Join(Token, JoinAnswer),
    /// To a sync.
    Sync(Token, Result<Synced, Error>),
    /// To a leave: one result a member.
    Leave(Token, Result<Vec<Result<(), Error>>, Error>),
    /// To a commit or a deletion.
    Done(Token, Result<(), Error>),
}

/// What an event leads to.
#[derive(Default, Debug)]
pub(crate) struct Out {
    /// Answers that go out now.
    pub(crate) replies: Vec<Reply>,
    /// What is to be appended, in order.
    pub(crate) writes: Vec<Write>,
}

/// The groups of a shard.
pub(crate) struct Groups {
    settings: Arc<Settings>,
    image: Image,
    live: BTreeMap<GroupId, Live>,
    /// Commits on their way to the log.
    committing: BTreeMap<GroupId, BTreeMap<OffsetKey, u32>>,
    /// When which group is to be looked at; at most one entry a group, perhaps early.
    wakes: BTreeSet<(Instant, GroupId)>,
    sweep: sweep::Sweep,
    incarnations: u64,
}

/// A group that a request or its members keep in memory.
struct Live {
    group: Group,
    incarnation: Incarnation,
    wake: Option<Instant>,
    /// Its states on their way to the log.
    storing: u32,
}

impl Groups {
    /// The groups as the log has them. Members get a whole session to be heard of.
    #[must_use]
    pub(crate) fn restore(now: Now, settings: Arc<Settings>, image: Image) -> Self {
        let members = image
            .groups()
            .filter(|(_, group)| group.state().is_some_and(|state| state.has_members));
        let joined: Vec<GroupId> = members.map(|(id, _)| id.clone()).collect();
        let mut groups = Self {
            sweep: sweep::Sweep::new(now.instant + settings.offsets_retention_check_interval),
            settings,
            image,
            live: BTreeMap::new(),
            committing: BTreeMap::new(),
            wakes: BTreeSet::new(),
            incarnations: 0,
        };
        for id in joined {
            // Nothing is stored or answered by it: nobody waits, and members are there.
            groups.with(now, &id, &mut Out::default(), |_, _, _| ());
        }
        groups
    }

    /// What the log says.
    #[must_use]
    pub(crate) fn image(&self) -> &Image {
        &self.image
    }

    /// A member joins.
    pub(crate) fn join(&mut self, now: Now, id: GroupId, join: Join, out: &mut Out) {
        let refused = if self.knows(&id) {
            None
        } else if join.member.is_some() {
            Some(Error::UnknownMember)
        } else if self.live.len().max(self.image.len()) >= self.settings.groups_max {
            Some(Error::MaxSizeReached)
        } else {
            self.bring_to_life(now, &id);
            None
        };
        if let Some(error) = refused {
            let answer = Err(JoinRefused { error, member: join.member });
            return out.replies.push(Reply::Join(join.token, answer));
        }
        self.with(now, &id, out, |group, cx, fx| group.join(cx, join, fx));
    }

    /// A member asks for its assignment.
    pub(crate) fn sync(&mut self, now: Now, id: &GroupId, sync: Sync, out: &mut Out) {
        let token = sync.token;
        let found = self.with(now, id, out, |group, cx, fx| group.sync(cx, sync, fx));
        if found.is_none() {
            out.replies.push(Reply::Sync(token, Err(Error::UnknownMember)));
        }
    }

    /// A member lives. Only moves its deadline, so the wake-up stays as it is.
    ///
    /// # Errors
    /// That it must join again, or is not a member.
    pub(crate) fn heartbeat(
        &mut self,
        now: Now,
        id: &GroupId,
        from: &Identity,
    ) -> Result<(), Error> {
        let cx = Cx { now: now.instant, wall: now.wall, settings: &self.settings };
        let live = self.live.get_mut(id).ok_or(Error::UnknownMember)?;
        live.group.heartbeat(&cx, from)
    }

    /// Members leave. Answered when what follows from it is durable.
    pub(crate) fn leave(
        &mut self,
        now: Now,
        id: &GroupId,
        token: Token,
        leaving: &[Leaving],
        out: &mut Out,
    ) {
        let before = out.writes.len();
        let results = self.with(now, id, out, |group, cx, fx| group.leave(cx, leaving, fx));
        // In a group that is not there, nobody is a member.
        let unknown = || vec![Err(Error::UnknownMember); leaving.len()];
        let reply = Reply::Leave(token, Ok(results.unwrap_or_else(unknown)));
        match out.writes[before..].last_mut() {
            Some(write) => write.then.push(Waiting::Reply(reply)),
            None => out.replies.push(reply),
        }
    }

    /// When [`Groups::tick`] has something to do.
    #[must_use]
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let wake = self.wakes.first().map(|(at, _)| *at);
        let sweep = (!self.image.is_empty()).then(|| self.sweep.due());
        wake.into_iter().chain(sweep).min()
    }

    /// Time has passed.
    pub(crate) fn tick(&mut self, now: Now, is_gone: IsGone<'_>, out: &mut Out) {
        while let Some((_, id)) = self.wakes.pop_first_if_due(now.instant) {
            if let Some(live) = self.live.get_mut(&id) {
                live.wake = None;
            }
            self.with(now, &id, out, |group, cx, fx| group.tick(cx, fx));
        }
        if self.sweep.due() <= now.instant {
            self.sweep(now, is_gone, out);
        }
    }

    /// Records are durable, in the order in which they were handed out, with what waited for them.
    pub(crate) fn durable(
        &mut self,
        now: Now,
        changes: Vec<Change>,
        then: Vec<Waiting>,
        out: &mut Out,
    ) {
        for change in changes {
            if let Change::Offset(group, key, Some(_)) = &change {
                self.committed(group, key);
            }
            let stored = matches!(&change, Change::Group(_, Some(_)));
            if let Err(error) = self.image.apply(change) {
                // Written by us a moment ago; if it can't be read, neither can the next owner.
                tracing::error!(%error, stored, "a record that was just stored can't be read");
            }
        }
        for waiting in then {
            match waiting {
                Waiting::Reply(reply) => out.replies.push(reply),
                Waiting::Group(id, incarnation, then) => {
                    self.stored(now, &id, incarnation, then, out)
                }
            }
        }
    }

    fn stored(&mut self, now: Now, id: &GroupId, of: Incarnation, then: Then, out: &mut Out) {
        match self.live.get_mut(id) {
            Some(live) if live.incarnation == of => live.storing -= 1,
            _ => return,
        }
        self.with(now, id, out, |group, cx, fx| group.stored(cx, then, fx));
    }

    /// Whether the group exists, in memory or in the log.
    fn knows(&self, id: &GroupId) -> bool {
        self.live.contains_key(id) || self.image.group(id).is_some()
    }

    /// Lets a group handle something, if it exists, and takes over what follows from it.
    fn with<T>(
        &mut self,
        now: Now,
        id: &GroupId,
        out: &mut Out,
        handle: impl FnOnce(&mut Group, &Cx<'_>, &mut Effects) -> T,
    ) -> Option<T> {
        if !self.live.contains_key(id) {
            self.image.group(id)?;
            self.bring_to_life(now, id);
        }
        let settings = Arc::clone(&self.settings);
        let cx = Cx { now: now.instant, wall: now.wall, settings: &settings };
        let live = self.live.get_mut(id)?;
        let mut effects = Effects::default();
        let result = handle(&mut live.group, &cx, &mut effects);
        for store in effects.stores {
            live.storing += 1;
            let changes = vec![Change::Group(id.clone(), Some(store.value))];
            let then = vec![Waiting::Group(id.clone(), live.incarnation, store.then)];
            out.writes.push(Write { changes, then });
        }
        out.replies.extend(effects.answers.into_iter().map(Reply::from));
        self.settle(id);
        Some(result)
    }

    /// Puts a group into memory, from the log if that knows it.
    fn bring_to_life(&mut self, now: Now, id: &GroupId) {
        let cx = Cx { now: now.instant, wall: now.wall, settings: &self.settings };
        let stored = self.image.group(id).and_then(|image| image.state());
        let state = stored.and_then(|state| records::read_group(&state.value).ok());
        let group = match state {
            Some(state) => Group::restore(&cx, state),
            None => Group::new(&cx),
        };
        self.incarnations += 1;
        let incarnation = Incarnation(self.incarnations);
        self.live.insert(id.clone(), Live { group, incarnation, wake: None, storing: 0 });
    }

    /// After an event: sees that the group is woken in time, or drops it if nothing is left of it
    /// that the image does not have.
    fn settle(&mut self, id: &GroupId) {
        let Some(live) = self.live.get_mut(id) else { return };
        let deadline = live.group.next_deadline();
        let dropped = live.group.is_vacant() && live.storing == 0;
        let early_enough = matches!((live.wake, deadline), (Some(wake), Some(due)) if wake <= due);
        if !dropped && early_enough {
            return;
        }
        if let Some(wake) = live.wake.take() {
            self.wakes.remove(&(wake, id.clone()));
        }
        match deadline {
            _ if dropped => drop(self.live.remove(id)),
            None => {}
            Some(due) => {
                live.wake = Some(due);
                self.wakes.insert((due, id.clone()));
            }
        }
    }
}

impl From<Answer> for Reply {
    fn from(answer: Answer) -> Self {
        match answer {
            Answer::Join(token, answer) => Self::Join(token, answer),
            Answer::Sync(token, answer) => Self::Sync(token, answer),
        }
    }
}

/// Takes the first wake-up that is due.
trait PopDue {
    fn pop_first_if_due(&mut self, now: Instant) -> Option<(Instant, GroupId)>;
}

impl PopDue for BTreeSet<(Instant, GroupId)> {
    fn pop_first_if_due(&mut self, now: Instant) -> Option<(Instant, GroupId)> {
        (self.first()?.0 <= now).then(|| self.pop_first()).flatten()
    }
}
