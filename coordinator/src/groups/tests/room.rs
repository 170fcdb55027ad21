//! The groups of a shard, a log that grows when told to, and a clock that moves when told to.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use tokio::time::Instant;
use weir_ids::{LeaderEpoch, Offset, PartitionIndex, Timestamp, TopicId};

use crate::{
    group::{
        Client, Error, Generation, GroupId, Identity, Join, Joined, Leaving, Protocol, Protocols,
        Sync, Token,
    },
    groups::{Groups, Now, Out, Reply, Write},
    image::{Cursor, Image},
    records::{Change, Committed, OffsetKey},
    settings::Settings,
};

pub(super) struct Room {
    pub(super) groups: Groups,
    settings: Arc<Settings>,
    now: Now,
    tokens: u64,
    /// On its way to the log.
    pub(super) writes: VecDeque<Write>,
    /// What is durable.
    pub(super) log: Vec<Change>,
    pub(super) replies: BTreeMap<Token, Reply>,
    /// Topics that are not there any more.
    pub(super) gone: BTreeSet<String>,
}

pub(super) fn key(topic: &str, partition: u32) -> OffsetKey {
    OffsetKey { topic: topic.into(), partition: PartitionIndex(partition) }
}

pub(super) fn nobody() -> Identity {
    Identity { member: None, instance: None, generation: Generation(-1) }
}

impl Room {
    pub(super) fn new() -> Self {
        Self::with(Settings::dev())
    }

    pub(super) fn with(settings: Settings) -> Self {
        let now = Now { instant: Instant::now(), wall: Timestamp(1_700_000_000_000) };
        let settings = Arc::new(settings);
        let groups = Groups::restore(now, Arc::clone(&settings), Image::default());
        let (writes, log, replies, gone) = Default::default();
        Self { groups, settings, now, tokens: 0, writes, log, replies, gone }
    }

    pub(super) fn token(&mut self) -> Token {
        self.tokens += 1;
        Token(self.tokens)
    }

    fn take(&mut self, out: Out) {
        for reply in out.replies {
            let token = match &reply {
                Reply::Join(token, _)
                | Reply::Sync(token, _)
                | Reply::Leave(token, _)
                | Reply::Done(token, _) => *token,
            };
            assert!(self.replies.insert(token, reply).is_none(), "answered twice");
        }
        self.writes.extend(out.writes);
        self.groups.live.values().for_each(|live| live.group.check());
    }

    pub(super) fn join(&mut self, group: &str, name: &str, member: Option<&Joined>) -> Token {
        let protocol = Protocol { name: "range".into(), metadata: name.to_owned().into() };
        let token = self.token();
        let join = Join {
            token,
            member: member.map(|joined| joined.member.clone()),
            instance: None,
            client: Client { id: name.into(), host: "/10.0.0.1".into() },
            session_timeout: Duration::from_secs(10),
            rebalance_timeout: Duration::from_secs(60),
            protocol_type: "consumer".into(),
            protocols: Protocols(vec![protocol]),
            unique: uuid::Uuid::from_u128(u128::from(token.0)),
            id_first: false,
            can_skip: true,
        };
        self.join_as(group, join)
    }

    pub(super) fn join_as(&mut self, group: &str, join: Join) -> Token {
        let (token, mut out) = (join.token, Out::default());
        self.groups.join(self.now, GroupId::from(group), join, &mut out);
        self.take(out);
        token
    }

    pub(super) fn sync(&mut self, group: &str, joined: &Joined, assignment: &str) -> Token {
        let token = self.token();
        let assigned = joined.members.iter().map(|member| {
            (member.member.clone(), format!("{assignment} {}", member.member).into())
        });
        let sync = Sync {
            token,
            member: joined.member.clone(),
            instance: None,
            generation: joined.generation,
            protocol_type: None,
            protocol: None,
            assignments: assigned.collect(),
        };
        let mut out = Out::default();
        self.groups.sync(self.now, &GroupId::from(group), sync, &mut out);
        self.take(out);
        token
    }

    pub(super) fn heartbeat(&mut self, group: &str, joined: &Joined) -> Result<(), Error> {
        self.groups.heartbeat(self.now, &GroupId::from(group), &Self::identity(joined))
    }

    pub(super) fn identity(joined: &Joined) -> Identity {
        let (member, generation) = (Some(joined.member.clone()), joined.generation);
        Identity { member, instance: None, generation }
    }

    pub(super) fn leave(&mut self, group: &str, joined: &Joined) -> Token {
        let leaving = [Leaving { member: Some(joined.member.clone()), instance: None }];
        let (token, mut out) = (self.token(), Out::default());
        self.groups.leave(self.now, &GroupId::from(group), token, &leaving, &mut out);
        self.take(out);
        token
    }

    pub(super) fn committed(&self, offset: i64) -> Committed {
        Committed {
            offset: Offset(offset),
            leader_epoch: LeaderEpoch(1),
            metadata: "note".into(),
            at: self.now.wall,
            expires: None,
            topic_id: TopicId::NIL,
        }
    }

    pub(super) fn commit(
        &mut self,
        group: &str,
        from: &Identity,
        key: OffsetKey,
        at: i64,
    ) -> Token {
        let committed = self.committed(at);
        self.commit_all(group, from, vec![(key, committed)])
    }

    pub(super) fn commit_all(
        &mut self,
        group: &str,
        from: &Identity,
        offsets: Vec<(OffsetKey, Committed)>,
    ) -> Token {
        let (token, mut out) = (self.token(), Out::default());
        self.groups.commit(self.now, &GroupId::from(group), from, offsets, token, &mut out);
        self.take(out);
        token
    }

    pub(super) fn delete(&mut self, group: &str) -> Token {
        let (token, mut out) = (self.token(), Out::default());
        self.groups.delete(&GroupId::from(group), token, &mut out);
        self.take(out);
        token
    }

    pub(super) fn fetched(&self, group: &str, key: OffsetKey) -> Option<i64> {
        let found = self.groups.fetch(&GroupId::from(group), &[key]).remove(0);
        found.map(|committed| committed.offset.0)
    }

    /// The next write is in the log.
    pub(super) fn durable_one(&mut self) {
        let Some(write) = self.writes.pop_front() else { return };
        self.log.extend(write.changes.iter().cloned());
        let mut out = Out::default();
        self.groups.durable(self.now, write.changes, write.then, &mut out);
        self.take(out);
    }

    pub(super) fn durable(&mut self) {
        while !self.writes.is_empty() {
            self.durable_one();
        }
    }

    pub(super) fn pass(&mut self, time: Duration) {
        let until = self.now.instant + time;
        while let Some(due) = self.groups.next_deadline().filter(|due| *due <= until) {
            self.advance_to(due.max(self.now.instant));
            let mut out = Out::default();
            let gone = &self.gone;
            let is_gone = |key: &OffsetKey, _: &Committed| gone.contains(&*key.topic);
            self.groups.tick(self.now, &is_gone, &mut out);
            self.take(out);
        }
        self.advance_to(until);
    }

    fn advance_to(&mut self, instant: Instant) {
        let passed = instant - self.now.instant;
        self.now.instant = instant;
        self.now.wall.0 += i64::try_from(passed.as_millis()).unwrap();
    }

    /// The process dies; another one reads the log.
    pub(super) fn crash(&mut self) {
        let mut image = Image::default();
        for change in &self.log {
            let (key, value) = change.encode().unwrap();
            image.apply(Change::decode(Some(&key), value.as_deref()).unwrap()).unwrap();
        }
        assert_eq!(everything(&image), everything(self.groups.image()), "memory and log differ");
        assert_eq!(image.live_bytes(), self.groups.image().live_bytes());
        self.groups = Groups::restore(self.now, Arc::clone(&self.settings), image);
        self.writes.clear();
        self.replies.clear();
    }

    #[track_caller]
    pub(super) fn joined(&mut self, token: Token) -> Joined {
        match self.replies.remove(&token) {
            Some(Reply::Join(_, Ok(joined))) => joined,
            other => panic!("expected a generation, got {other:?}"),
        }
    }

    #[track_caller]
    pub(super) fn done(&mut self, token: Token) -> Result<(), Error> {
        match self.replies.remove(&token) {
            Some(Reply::Done(_, result)) => result,
            other => panic!("expected a result, got {other:?}"),
        }
    }

    #[track_caller]
    pub(super) fn waits(&self, token: Token) {
        assert!(!self.replies.contains_key(&token));
    }

    /// One member, all the way to stable.
    pub(super) fn alone(&mut self, group: &str) -> Joined {
        let token = self.join(group, "a", None);
        let joined = self.joined(token);
        let sync = self.sync(group, &joined, "all of it to");
        self.durable();
        assert!(matches!(self.replies.remove(&sync), Some(Reply::Sync(_, Ok(_)))));
        joined
    }
}

/// All that an image says, in its order.
pub(super) fn everything(image: &Image) -> Vec<Change> {
    image.page(&mut Cursor::default(), usize::MAX)
}
