//! Random sessions that claim, checkpoint, release, and are sealed, on a store that fails: what
//! `logs/` keys promise holds after every step.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicBool, Ordering},
};

use proptest::prelude::*;
use weir_runtime::{Random, Seeded};

use super::*;
use crate::store::{Event, Revision, list};

#[derive(Clone, Debug)]
enum Action {
    Open,
    Claim { session: usize },
    BothClaim { one: usize, other: usize },
    Checkpoint { session: usize, adopts: bool },
    Release { session: usize },
    Forget { session: usize },
    LogStart { session: usize, offset: i64 },
    Seal { session: usize },
    SealDuringClaim { session: usize },
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let session = 0..6_usize;
    let action = prop_oneof![
        1 => Just(Action::Open),
        4 => session.clone().prop_map(|session| Action::Claim { session }),
        3 => (session.clone(), session.clone())
            .prop_map(|(one, other)| Action::BothClaim { one, other }),
        3 => (session.clone(), any::<bool>())
            .prop_map(|(session, adopts)| Action::Checkpoint { session, adopts }),
        2 => session.clone().prop_map(|session| Action::Release { session }),
        2 => session.clone().prop_map(|session| Action::Forget { session }),
        1 => (session.clone(), 0..100_i64)
            .prop_map(|(session, offset)| Action::LogStart { session, offset }),
        2 => session.clone().prop_map(|session| Action::Seal { session }),
        2 => session.prop_map(|session| Action::SealDuringClaim { session }),
    ];
    prop::collection::vec(action, 1..60)
}

/// The sessions of a run, as their brokers see them.
struct Run {
    metadata: Metadata,
    sessions: Vec<Known>,
}

#[derive(Clone, Copy)]
struct Known {
    id: SessionId,
    last_claim: u64,
    checkpoints: u64,
}

impl Run {
    async fn act(&mut self, action: &Action) {
        match action {
            Action::Open => {
                if let Ok(id) = self.metadata.allocate_session(NodeId(1)).await {
                    self.sessions.push(Known { id, last_claim: 0, checkpoints: 0 });
                }
            }
            Action::Claim { session } => {
                let Some((id, number)) = self.next_claim(*session) else { return };
                drop(claim(&self.metadata, id, number).await);
            }
            Action::BothClaim { one, other } => {
                let (Some(one), Some(other)) = (self.next_claim(*one), self.next_claim(*other))
                else {
                    return;
                };
                let (_, _) = tokio::join!(
                    claim(&self.metadata, one.0, one.1),
                    claim(&self.metadata, other.0, other.1),
                );
            }
            Action::Checkpoint { session, adopts } => {
                let Some(known) = self.sessions.get_mut(*session) else { return };
                known.checkpoints += 1;
                let before = self.metadata.wal(known.id).await.ok().flatten();
                let before = before.map_or(0, |wal| wal.value.adopted_through().0);
                let adopted = if *adopts { known.last_claim } else { before };
                let pointer = checkpoint(known.checkpoints, adopted);
                drop(self.metadata.publish_checkpoint(known.id, &pointer).await);
            }
            Action::Release { session } => {
                let end = OwnedChange::Release { end_slot: Slot(1), end_offset: Offset(1) };
                self.change(*session, end).await;
            }
            Action::Forget { session } => self.change(*session, OwnedChange::ForgetInherited).await,
            Action::LogStart { session, offset } => {
                self.change(*session, OwnedChange::LogStart(Offset(*offset))).await;
            }
            Action::Seal { session } => {
                let Some(known) = self.sessions.get(*session) else { return };
                drop(self.metadata.seal(known.id, seal_at(1_000)).await);
            }
            Action::SealDuringClaim { session } => {
                let Some((id, number)) = self.next_claim(*session) else { return };
                let (_, _) = tokio::join!(
                    claim(&self.metadata, id, number),
                    self.metadata.seal(id, seal_at(1_000)),
                );
            }
        }
    }

    fn next_claim(&mut self, session: usize) -> Option<(SessionId, u64)> {
        let known = self.sessions.get_mut(session)?;
        known.last_claim += 1;
        Some((known.id, known.last_claim))
    }

    async fn change(&self, session: usize, what: OwnedChange) {
        let Some(known) = self.sessions.get(session) else { return };
        let Ok(Some(log)) = self.metadata.log(partition(0)).await else { return };
        drop(change(&self.metadata, known.id, log.value.leader_epoch.0, what).await);
    }
}

/// What every state of the log that ever was has to satisfy, given all that was before.
#[derive(Default)]
struct Checker {
    log: Option<Log>,
    wals: BTreeMap<SessionId, Wal>,
    /// Everybody who ever owned the log, oldest first.
    owners: Vec<(LeaderEpoch, Owner)>,
}

impl Checker {
    fn see(&mut self, event: &Event) {
        let Event::Put(entry) = event else { panic!("{event:?}: nothing is deleted here") };
        if let Some(session) = Wal::session(&entry.key) {
            let wal = Wal::decode(entry).unwrap();
            if let Some(before) = self.wals.insert(session, wal.clone()) {
                assert!(before.sealed.is_none() || before == wal, "a sealed WAL changed");
                assert!(wal.adopted_through() >= before.adopted_through());
            }
        } else if Log::partition(&entry.key).is_some() {
            self.see_log(Log::decode(entry).unwrap());
        }
    }

    fn see_log(&mut self, log: Log) {
        if let Some(before) = self.log.replace(log.clone()) {
            assert!(log.log_start >= before.log_start, "log start went back");
            if log.owner == before.owner {
                assert_eq!(log.leader_epoch, before.leader_epoch, "an epoch without a claim");
            } else {
                assert_eq!(log.leader_epoch, before.leader_epoch.next(), "one claim, one epoch");
                let owner = log.owner.unwrap();
                assert!(self.wals[&owner.session].sealed.is_none(), "a sealed session claimed");
                if let Some(sealed) = before.must_be_sealed(owner.session) {
                    assert!(self.wals[&sealed].sealed.is_some(), "{sealed} may still be writing");
                }
                self.owners.push((log.leader_epoch, owner));
            }
        }
        // Recovery reads the owners newest first and stops at the first that had adopted. All
        // that it would read has to be named.
        let named: BTreeSet<_> = log.inherited.iter().map(|p| (p.epoch, p.session)).collect();
        for (epoch, owner) in self.owners.iter().rev() {
            let is_owner = log.owner == Some(*owner);
            assert!(is_owner || named.contains(&(*epoch, owner.session)), "{owner:?} is forgotten");
            if self.wals[&owner.session].adopted_through() >= owner.claim {
                break;
            }
        }
    }
}

async fn check(actions: Vec<Action>, seed: u64) {
    let clean = with_partitions(1).await;
    let store = Memory::new();
    for entry in list(clean.store(), "").await.unwrap().0 {
        store.txn(Txn::new().put(entry.key, entry.value)).await.unwrap();
    }
    let start = store.txn(Txn::new()).await.unwrap().revision();
    let (random, calm) = (Seeded::new(seed), Arc::new(AtomicBool::new(false)));
    let is_calm = Arc::clone(&calm);
    let failing = Faulty::new(Arc::new(store.clone()), move |_| match random.next_u64() % 12 {
        _ if is_calm.load(Ordering::Relaxed) => None,
        0 => Some(Fault::Before),
        1 => Some(Fault::After),
        2 => Some(Fault::Lost),
        3 => Some(Fault::Delayed(Duration::from_millis(random.next_u64() % 20))),
        n @ 4..6 => Some(Fault::Late(Duration::from_millis(n))),
        _ => None,
    });
    let mut run = Run { metadata: Metadata::new(Arc::new(failing)), sessions: Vec::new() };
    for action in [Action::Open, Action::Open].iter().chain(&actions) {
        run.act(action).await;
    }
    let mut checker = Checker::default();
    let first = run.metadata.store().watch("", Revision(1));
    let (mut watch, end) = (first, store.txn(Txn::new()).await.unwrap().revision());
    let mut seen = start;
    while seen < end {
        let batch = watch.next().await.unwrap();
        seen = batch.revision;
        batch.events.iter().for_each(|event| {
            if Wal::session(event.key()).is_some() || Log::partition(event.key()).is_some() {
                checker.see(event);
            }
        });
    }
    // And in the end it can still be claimed.
    calm.store(true, Ordering::Relaxed);
    for known in &run.sessions {
        run.metadata.seal(known.id, seal_at(1_000)).await.unwrap();
    }
    let last = session(&run.metadata).await;
    claim(&run.metadata, last, 1).await.unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn logs_keep_their_promises(actions in actions(), seed in any::<u64>()) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(check(actions, seed));
    }

    #[test]
    fn keys_sort_as_what_they_name(a in any::<(u128, u32, u64)>(), b in any::<(u128, u32, u64)>()) {
        let of = |(topic, number, _): (u128, u32, u64)| {
            TopicPartition::new(TopicId(uuid::Uuid::from_u128(topic)), PartitionIndex(number))
        };
        prop_assert_eq!(of(a).cmp(&of(b)), Log::key(of(a)).cmp(&Log::key(of(b))));
        prop_assert_eq!(Log::partition(&Log::key(of(a))), Some(of(a)));
        prop_assert_eq!(Assignment::topic(&Assignment::key(of(a).topic)), Some(of(a).topic));
        let (one, other) = (SessionId(a.2), SessionId(b.2));
        prop_assert_eq!(one.cmp(&other), Wal::key(one).cmp(&Wal::key(other)));
        prop_assert_eq!(Wal::session(&Wal::key(one)), Some(one));
        prop_assert_eq!(Session::id(&Session::key(one)), Some(one));
    }

    #[test]
    fn hostile_keys_and_values_are_errors(text in ".{0,60}", value in prop::collection::vec(any::<u8>(), 0..200)) {
        let key = crate::store::Key::from(format!("logs/{text}"));
        if let Some(partition) = Log::partition(&key) {
            prop_assert_eq!(Log::key(partition).as_str().len(), key.as_str().len());
        }
        let revision = Revision(1);
        let entry = crate::store::Entry {
            key,
            value: value.into(),
            create_revision: revision,
            mod_revision: revision,
            version: 1,
            lease: None,
        };
        prop_assert!(Log::decode(&entry).is_err());
        prop_assert!(Wal::decode(&entry).is_err());
    }
}
