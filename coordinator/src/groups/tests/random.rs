//! Random runs: clients do anything in any order, the log lags and the process dies, and what must
//! always hold is looked at after each step.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use proptest::prelude::*;

use super::room::{Room, key, nobody};
use crate::{
    group::{Client, Generation, GroupId, InstanceId, Join, Joined, Protocol, Protocols, Token},
    groups::Reply,
    records::{self, Change, OffsetKey},
};

#[derive(Clone, Copy, Debug)]
enum Event {
    Join { group: u8, who: u8, fixed: bool, id_first: bool, news: bool },
    Sync { group: u8, who: u8 },
    Heartbeat { group: u8, who: u8 },
    Leave { group: u8, who: u8 },
    Commit { group: u8, who: Option<u8>, partition: u32 },
    Delete { group: u8 },
    Durable { writes: u8 },
    Pass { seconds: u16 },
    Crash,
}

const GROUPS: u8 = 2;
const MEMBERS: u8 = 4;

fn event() -> impl Strategy<Value = Event> {
    let (group, who) = (|| 0..GROUPS, || 0..MEMBERS);
    prop_oneof![
        8 => (group(), who(), any::<(bool, bool, bool)>()).prop_map(|(group, who, flags)| {
            let (fixed, id_first, news) = flags;
            Event::Join { group, who, fixed: fixed && who == 0, id_first, news: news && who > 2 }
        }),
        8 => (group(), who()).prop_map(|(group, who)| Event::Sync { group, who }),
        3 => (group(), who()).prop_map(|(group, who)| Event::Heartbeat { group, who }),
        2 => (group(), who()).prop_map(|(group, who)| Event::Leave { group, who }),
        6 => (group(), proptest::option::of(who()), 0_u32..2)
            .prop_map(|(group, who, partition)| Event::Commit { group, who, partition }),
        1 => group().prop_map(|group| Event::Delete { group }),
        8 => (1_u8..4).prop_map(|writes| Event::Durable { writes }),
        3 => (1_u16..40).prop_map(|seconds| Event::Pass { seconds }),
        1 => Just(Event::Crash),
    ]
}

pub(super) fn any_join(token: Token, name: &str) -> Join {
    let protocol = Protocol { name: "range".into(), metadata: name.to_owned().into() };
    Join {
        token,
        member: None,
        instance: None,
        client: Client { id: name.into(), host: "/10.0.0.1".into() },
        session_timeout: Duration::from_secs(10),
        rebalance_timeout: Duration::from_secs(30),
        protocol_type: "consumer".into(),
        protocols: Protocols(vec![protocol]),
        unique: uuid::Uuid::from_u128(u128::from(token.0)),
        id_first: false,
        can_skip: true,
    }
}

/// A client of a group as it sees itself.
#[derive(Default)]
struct Player {
    joined: Option<Joined>,
    /// An id that it was told to join with.
    id: Option<crate::group::MemberId>,
}

/// What a token is for.
enum Asked {
    Join(u8, u8),
    Sync(u8, Joined),
    Commit(u8, OffsetKey, i64),
    Delete(u8, BTreeSet<OffsetKey>),
    Leave,
}

struct Run {
    room: Room,
    players: BTreeMap<(u8, u8), Player>,
    asked: BTreeMap<Token, Asked>,
    offsets: i64,
    /// What each group's generation was last, while it lives on.
    generations: BTreeMap<String, (super::super::Incarnation, Generation)>,
}

fn name(group: u8) -> String {
    format!("g{group}")
}

impl Run {
    fn new() -> Self {
        let (players, asked, generations) = Default::default();
        Self { room: Room::new(), players, asked, offsets: 0, generations }
    }

    fn step(&mut self, event: Event) {
        match event {
            Event::Join { group, who, fixed, id_first, news } => {
                let token = self.room.token();
                let metadata = format!("m{who}{}", if news { self.offsets } else { 0 });
                let mut join = Join { id_first, ..any_join(token, &metadata) };
                let player = self.players.entry((group, who)).or_default();
                join.member = player.id.take().or(player.joined.as_ref().map(|j| j.member.clone()));
                if fixed {
                    join.member = None;
                    join.instance = Some(InstanceId::from("fixed"));
                }
                self.asked.insert(token, Asked::Join(group, who));
                self.room.join_as(&name(group), join);
            }
            Event::Sync { group, who } => {
                let Some(joined) = self.joined(group, who) else { return };
                let token =
                    self.room.sync(&name(group), &joined, &format!("{}", joined.generation.0));
                self.asked.insert(token, Asked::Sync(group, joined));
            }
            Event::Heartbeat { group, who } => {
                let Some(joined) = self.joined(group, who) else { return };
                let _ = self.room.heartbeat(&name(group), &joined);
            }
            Event::Leave { group, who } => {
                let Some(joined) = self.joined(group, who) else { return };
                let token = self.room.leave(&name(group), &joined);
                self.asked.insert(token, Asked::Leave);
            }
            Event::Commit { group, who, partition } => self.commit(group, who, partition),
            Event::Delete { group } => {
                let before = [key("t", 0), key("t", 1)].into_iter().collect();
                let token = self.room.delete(&name(group));
                self.asked.insert(token, Asked::Delete(group, before));
            }
            Event::Durable { writes } => (0..writes).for_each(|_| self.room.durable_one()),
            Event::Pass { seconds } => self.room.pass(Duration::from_secs(u64::from(seconds))),
            Event::Crash => {
                self.room.crash();
                self.asked.clear();
                self.generations.clear();
            }
        }
    }

    fn joined(&self, group: u8, who: u8) -> Option<Joined> {
        self.players.get(&(group, who))?.joined.clone()
    }

    fn commit(&mut self, group: u8, who: Option<u8>, partition: u32) {
        let joined = who.and_then(|who| self.joined(group, who));
        let from = joined.as_ref().map_or_else(nobody, Room::identity);
        self.offsets += 1;
        let key = key("t", partition);
        for asked in self.asked.values_mut() {
            // What is committed behind a deletion may stay.
            if let Asked::Delete(of, keys) = asked
                && *of == group
            {
                keys.remove(&key);
            }
        }
        let token = self.room.commit(&name(group), &from, key.clone(), self.offsets);
        self.asked.insert(token, Asked::Commit(group, key, self.offsets));
    }

    /// Takes the answers, and looks at what they promise.
    fn settle(&mut self) {
        while let Some((token, reply)) = self.room.replies.pop_first() {
            match (self.asked.remove(&token).expect("nobody asked"), reply) {
                (Asked::Join(group, who), Reply::Join(_, answer)) => {
                    let player = self.players.entry((group, who)).or_default();
                    match answer {
                        Ok(joined) => player.joined = Some(joined),
                        Err(refused) => *player = Player { joined: None, id: refused.member },
                    }
                }
                (Asked::Sync(group, joined), Reply::Sync(_, Ok(synced))) => {
                    let stored =
                        |change: &&Change| assigns(change, group, &joined, &synced.assignment);
                    assert!(self.room.log.iter().any(|change| stored(&change)), "not in the log");
                }
                (Asked::Commit(group, key, offset), Reply::Done(_, Ok(()))) => {
                    let id = GroupId::from(&*name(group));
                    let is_it = |change: &Change| {
                        matches!(change, Change::Offset(of, at, Some(value))
                            if *of == id && *at == key && value.offset.0 == offset)
                    };
                    assert!(self.room.log.iter().any(is_it), "acknowledged, but not in the log");
                }
                (Asked::Delete(group, keys), Reply::Done(_, Ok(()))) => {
                    for key in keys {
                        assert_eq!(self.room.fetched(&name(group), key), None, "not deleted");
                    }
                }
                _ => {}
            }
        }
    }

    fn check(&mut self) {
        // Offsets only rise in these runs, so what is read must be the last in the log.
        for group in 0..GROUPS {
            for partition in 0..2 {
                let id = GroupId::from(&*name(group));
                let key = key("t", partition);
                let last = self.room.log.iter().rev().find_map(|change| match change {
                    Change::Offset(of, at, value) if *of == id && *at == key => Some(value),
                    _ => None,
                });
                let last = last.cloned().flatten().map(|value| value.offset.0);
                assert_eq!(self.room.fetched(&name(group), key), last);
            }
        }
        let mut generations = BTreeMap::new();
        for (id, live) in &self.room.groups.live {
            let generation = live.group.generation();
            let before = self.generations.get(&*id.0);
            if let Some((_, before)) = before.filter(|(same, _)| *same == live.incarnation) {
                assert!(generation >= *before, "a generation went back");
            }
            generations.insert(id.0.to_string(), (live.incarnation, generation));
        }
        self.generations = generations;
    }
}

fn assigns(change: &Change, group: u8, joined: &Joined, assignment: &[u8]) -> bool {
    let Change::Group(id, Some(value)) = change else { return false };
    let state = records::read_group(value).unwrap();
    let own = state.members.iter().find(|member| member.member_id == joined.member.0);
    *id.0 == *name(group)
        && state.generation == joined.generation.0
        && own.is_some_and(|own| own.assignment[..] == *assignment)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_what_is_promised_holds(
        events in proptest::collection::vec(event(), 1..120),
    ) {
        let mut run = Run::new();
        for event in events {
            run.step(event);
            run.settle();
            run.check();
        }
        // Nobody does anything any more: all that waits is answered in time.
        for _ in 0..4 {
            run.room.durable();
            run.room.pass(Duration::from_secs(400));
            run.settle();
            run.check();
        }
        prop_assert!(run.asked.is_empty(), "{} requests were never answered", run.asked.len());
        prop_assert!(run.room.groups.live.is_empty());
        run.room.crash();
    }
}
