//! Random changes by controllers that lose their links and their office.

use proptest::prelude::*;
use weir_runtime::Random;

use super::*;

#[derive(Clone, Debug)]
enum Action {
    Create { name: u8, partitions: i32 },
    Grow { name: u8, total: i32 },
    Delete { name: u8 },
    Alter { name: u8 },
    Claim { name: u8 },
    Replace,
}

fn actions() -> impl Strategy<Value = Vec<Vec<Action>>> {
    let counts = prop_oneof![1..5_i32, Just(125), Just(300)];
    let action = prop_oneof![
        5 => (0..4_u8, counts.clone()).prop_map(|(name, n)| Action::Create { name, partitions: n }),
        3 => (0..4_u8, counts).prop_map(|(name, total)| Action::Grow { name, total }),
        3 => (0..4_u8).prop_map(|name| Action::Delete { name }),
        1 => (0..4_u8).prop_map(|name| Action::Alter { name }),
        3 => (0..4_u8).prop_map(|name| Action::Claim { name }),
        1 => Just(Action::Replace),
    ];
    // Steps of actions that go on at once.
    prop::collection::vec(prop::collection::vec(action, 1..4), 1..12)
}

/// Loses requests now and then, until it is told to be calm.
fn unreliable(store: &Memory, seed: u64, calm: &Arc<AtomicBool>) -> Faulty {
    let (random, calm) = (Seeded::new(seed), Arc::clone(calm));
    Faulty::new(Arc::new(store.clone()), move |_| match random.next_u64() % 30 {
        _ if calm.load(Ordering::Relaxed) => None,
        0 => Some(Fault::Before),
        1 => Some(Fault::After),
        2 => Some(Fault::Lost),
        3 => Some(Fault::Delayed(Duration::from_millis(random.next_u64() % 200))),
        n @ 4..8 => Some(Fault::Late(Duration::from_millis(n * n))),
        _ => None,
    })
}

async fn act(process: &Process, metadata: &Metadata, claims: u64, action: &Action) {
    let text = |name: &u8| format!("topic-{name}");
    match action {
        Action::Create { name, partitions } => {
            drop(process.create(&text(name), *partitions).await);
        }
        Action::Grow { name, total } => drop(process.grow(&text(name), *total).await),
        Action::Delete { name } => drop(process.delete(&text(name)).await),
        Action::Alter { name } => {
            let op = ConfigOp::Set("5".to_owned());
            drop(process.alter(&text(name), &[("retention.ms", op)]).await);
        }
        Action::Claim { name } => {
            let Ok(Some(topic)) = metadata.topic(&text(name)).await else { return };
            let of = |number| TopicPartition::new(topic.value.id, PartitionIndex(number));
            let last = (of(topic.value.partitions - 1), ClaimNumber(claims));
            let _ = metadata.claim(SessionId(1), &[last]).await;
        }
        Action::Replace => {}
    }
}

async fn check(steps: Vec<Vec<Action>>, seed: u64) {
    let store = Memory::new();
    broker(&store, 1).await;
    let certain = Metadata::new(Arc::new(store.clone()));
    let calm = Arc::new(AtomicBool::new(true));
    let mut process = Process::start(Arc::new(unreliable(&store, seed, &calm)), 1).await;
    process.controller.elected().await;
    let mut claims = 0;
    for (number, step) in (1..).zip(&steps) {
        calm.store(false, Ordering::Relaxed);
        let acts = step.iter().map(|action| {
            claims += 1;
            act(&process, &certain, claims, action)
        });
        futures::future::join_all(acts).await;
        if step.iter().any(|action| matches!(action, Action::Replace)) {
            process.tasks.shutdown().await.unwrap();
            calm.store(true, Ordering::Relaxed);
            let store = unreliable(&store, seed + number, &calm);
            process = Process::start(Arc::new(store), 1 + number as u32 % 2).await;
            process.controller.elected().await;
        }
    }
    calm.store(true, Ordering::Relaxed);
    process.controller.elected().await;
    certain.seal(SessionId(1), Seal { at: Slot(1), detail: None }).await.unwrap();
    // Delayed requests land, the rest is finished.
    tokio::time::sleep(Duration::from_secs(30)).await;
    until_empty(&store, Creation::PREFIX).await;
    until_empty(&store, Deletion::PREFIX).await;
    check_consistency(&store).await;
    check_epochs(&store).await;
    process.tasks.shutdown().await.unwrap();
}

/// Epochs never go back: neither those of a log, nor those under one name from one topic to the
/// next.
async fn check_epochs(store: &Memory) {
    let mut watch = store.watch("", crate::store::Revision(1));
    let end = store.txn(Txn::new().put("end", "")).await.unwrap().revision();
    let mut names: BTreeMap<TopicId, String> = BTreeMap::new();
    let mut highest: BTreeMap<String, (TopicId, LeaderEpoch)> = BTreeMap::new();
    let mut claimed: Vec<(TopicId, LeaderEpoch)> = Vec::new();
    let mut logs: BTreeMap<TopicPartition, LeaderEpoch> = BTreeMap::new();
    'all: loop {
        let batch = watch.next().await.unwrap();
        for event in batch.events {
            if event.revision() == end {
                break 'all;
            }
            let crate::store::Event::Put(entry) = event else { continue };
            if let Some(name) = Topic::name(&entry.key) {
                names.insert(Topic::decode(&entry).unwrap().id, name.to_owned());
            } else if let Some(partition) = Log::partition(&entry.key) {
                let log = Log::decode(&entry).unwrap();
                let before = logs.insert(partition, log.leader_epoch);
                assert!(before <= Some(log.leader_epoch), "{partition} was made anew");
                if log.owner.is_some() {
                    claimed.push((partition.topic, log.leader_epoch));
                }
            }
        }
    }
    for (topic, epoch) in claimed {
        let name = names[&topic].clone();
        let (last, before) = highest.entry(name).or_insert((topic, LeaderEpoch::NONE));
        assert!(*last == topic || epoch > *before, "{topic} reuses epoch {epoch}");
        (*last, *before) = (topic, epoch.max(*before));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn changes_are_whole_in_the_end(steps in actions(), seed in any::<u32>()) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(check(steps, u64::from(seed)));
    }
}
