//! A group on a clock that stands still unless told to move.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use tokio::time::Instant;
use weir_ids::Timestamp;

use crate::{
    group::{
        Answer, Client, Cx, Effects, Error, Generation, Group, Identity, InstanceId, Join,
        JoinRefused, Joined, Leaving, MemberId, Protocol, Protocols, Store, Sync, Synced, Token,
    },
    records,
    settings::Settings,
};

pub(super) const SESSION: u64 = 10;
pub(super) const REBALANCE: u64 = 60;

pub(super) struct Script {
    pub(super) group: Group,
    settings: Settings,
    now: Instant,
    wall: Timestamp,
    tokens: u64,
    answers: BTreeMap<Token, Answer>,
    /// What the log has not got yet.
    pub(super) stores: Vec<Store>,
}

/// A join of a member that calls itself `name`, without an id.
pub(super) fn new(name: &str) -> Join {
    Join {
        token: Token(0),
        member: None,
        instance: None,
        client: Client { id: name.into(), host: "/10.0.0.1".into() },
        session_timeout: Duration::from_secs(SESSION),
        rebalance_timeout: Duration::from_secs(REBALANCE),
        protocol_type: "consumer".into(),
        protocols: offers(&["range"], name),
        unique: uuid::Uuid::nil(),
        id_first: false,
        can_skip: false,
    }
}

/// A join of a static member.
pub(super) fn fixed(name: &str) -> Join {
    Join { instance: Some(InstanceId::from(name)), ..new(name) }
}

/// A join of a member that has its id.
pub(super) fn again(id: &MemberId, name: &str) -> Join {
    Join { member: Some(id.clone()), ..new(name) }
}

pub(super) fn offers(names: &[&str], metadata: &str) -> Protocols {
    let metadata = Bytes::copy_from_slice(metadata.as_bytes());
    let protocol = |name: &&str| Protocol { name: (**name).into(), metadata: metadata.clone() };
    Protocols(names.iter().map(protocol).collect())
}

pub(super) fn identity(joined: &Joined) -> Identity {
    Identity { member: Some(joined.member.clone()), instance: None, generation: joined.generation }
}

impl Script {
    /// Members of the first rebalance need not wait for more.
    pub(super) fn start() -> Self {
        Self::with(Settings::dev())
    }

    pub(super) fn with(settings: Settings) -> Self {
        let (now, wall) = (Instant::now(), Timestamp(1_000_000));
        let cx = Cx { now, wall, settings: &settings };
        let group = Group::new(&cx);
        Self { group, settings, now, wall, tokens: 0, answers: BTreeMap::new(), stores: Vec::new() }
    }

    fn run<T>(&mut self, event: impl FnOnce(&mut Group, &Cx<'_>, &mut Effects) -> T) -> T {
        let cx = Cx { now: self.now, wall: self.wall, settings: &self.settings };
        let mut effects = Effects::default();
        let result = event(&mut self.group, &cx, &mut effects);
        self.group.check();
        for answer in effects.answers {
            let (Answer::Join(token, _) | Answer::Sync(token, _)) = &answer;
            assert!(self.answers.insert(*token, answer).is_none(), "answered twice");
        }
        self.stores.extend(effects.stores);
        result
    }

    pub(super) fn join(&mut self, join: Join) -> Token {
        self.tokens += 1;
        let token = Token(self.tokens);
        let unique = uuid::Uuid::from_u128(u128::from(self.tokens));
        self.run(|group, cx, fx| group.join(cx, Join { token, unique, ..join }, fx));
        token
    }

    pub(super) fn sync(&mut self, joined: &Joined, assignments: &[(&MemberId, &str)]) -> Token {
        let assignments = assignments
            .iter()
            .map(|(id, what)| ((*id).clone(), Bytes::copy_from_slice(what.as_bytes())));
        let sync = Sync {
            token: Token(0),
            member: joined.member.clone(),
            instance: None,
            generation: joined.generation,
            protocol_type: None,
            protocol: None,
            assignments: assignments.collect(),
        };
        self.sync_as(sync)
    }

    pub(super) fn sync_as(&mut self, sync: Sync) -> Token {
        self.tokens += 1;
        let token = Token(self.tokens);
        self.run(|group, cx, fx| group.sync(cx, Sync { token, ..sync }, fx));
        token
    }

    pub(super) fn heartbeat(&mut self, joined: &Joined) -> Result<(), Error> {
        let from = identity(joined);
        self.run(|group, cx, _| group.heartbeat(cx, &from))
    }

    pub(super) fn commit(&mut self, from: &Identity) -> Result<(), Error> {
        self.run(|group, cx, _| group.check_commit(cx, from))
    }

    pub(super) fn leave(&mut self, leaving: &[Leaving]) -> Vec<Result<(), Error>> {
        self.run(|group, cx, fx| group.leave(cx, leaving, fx))
    }

    pub(super) fn leave_one(&mut self, id: &MemberId) -> Result<(), Error> {
        self.leave(&[Leaving { member: Some(id.clone()), instance: None }])[0]
    }

    /// All that was to be stored is in the log.
    pub(super) fn durable(&mut self) {
        while !self.stores.is_empty() {
            let store = self.stores.remove(0);
            self.run(|group, cx, fx| group.stored(cx, store.then, fx));
        }
    }

    /// Lets time pass, stopping at each deadline on the way.
    pub(super) fn pass(&mut self, seconds: u64) {
        let until = self.now + Duration::from_secs(seconds);
        while let Some(due) = self.group.next_deadline().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            self.run(|group, cx, fx| group.tick(cx, fx));
            let next = self.group.next_deadline();
            assert!(next.is_none_or(|next| next > self.now), "a deadline that does not go away");
        }
        self.now = until;
    }

    #[track_caller]
    pub(super) fn waits(&self, token: Token) {
        assert_eq!(self.answers.get(&token), None);
    }

    #[track_caller]
    pub(super) fn joined(&mut self, token: Token) -> Joined {
        match self.answers.remove(&token) {
            Some(Answer::Join(_, Ok(joined))) => joined,
            other => panic!("expected a generation, got {other:?}"),
        }
    }

    #[track_caller]
    pub(super) fn refused(&mut self, token: Token) -> JoinRefused {
        match self.answers.remove(&token) {
            Some(Answer::Join(_, Err(refused))) => refused,
            other => panic!("expected a refusal, got {other:?}"),
        }
    }

    #[track_caller]
    pub(super) fn synced(&mut self, token: Token) -> Result<Synced, Error> {
        match self.answers.remove(&token) {
            Some(Answer::Sync(_, answer)) => answer,
            other => panic!("expected an answer to a sync, got {other:?}"),
        }
    }

    #[track_caller]
    pub(super) fn assigned(&mut self, token: Token) -> String {
        let assignment = self.synced(token).expect("an assignment").assignment;
        String::from_utf8(assignment.to_vec()).unwrap()
    }

    /// One member, all the way to stable.
    pub(super) fn alone(&mut self, join: Join) -> Joined {
        let token = self.join(join);
        let joined = self.joined(token);
        let sync = self.sync(&joined, &[(&joined.member, "all")]);
        self.durable();
        assert_eq!(self.assigned(sync), "all");
        joined
    }

    /// Two members, all the way to stable; the first leads.
    pub(super) fn pair(&mut self, a: Join, b: Join) -> (Joined, Joined) {
        let first = self.alone(a.clone());
        let b = self.join(b);
        let a = self.join(Join { member: Some(first.member.clone()), ..a });
        let (a, b) = (self.joined(a), self.joined(b));
        self.assign_halves(&a, &b);
        (a, b)
    }

    pub(super) fn assign_halves(&mut self, leader: &Joined, other: &Joined) {
        let halves = [(&leader.member, "left"), (&other.member, "right")];
        let (one, two) = (self.sync(leader, &halves), self.sync(other, &[]));
        self.durable();
        assert_eq!((self.assigned(one), self.assigned(two)), ("left".into(), "right".into()));
    }

    /// The process dies: what is left is what the log had last.
    pub(super) fn crash(&mut self, stored: &Store) {
        let cx = Cx { now: self.now, wall: self.wall, settings: &self.settings };
        self.group = Group::restore(&cx, records::read_group(&stored.value).unwrap());
        self.answers.clear();
        self.stores.clear();
    }

    pub(super) fn generation(&self) -> Generation {
        self.group.generation
    }
}
