mod watches;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use proptest::prelude::*;
use weir_ids::{LeaderEpoch, NodeId, PartitionIndex, SessionId, TopicId, TopicPartition};

use super::{
    follow::Follower,
    snapshot::{PREFIXES, Snapshot},
    *,
};
use crate::{
    model::{Assignment, HostPort, Leadership, Node, Record, Role, Session, Topic, TopicState},
    store::{
        Event, HISTORY_EVENTS_MAX, Key, Memory, MetaStore, Revision, StoreError, TXN_OPS_MAX, Txn,
        list,
    },
};

fn id(n: u64) -> TopicId {
    TopicId(uuid::Uuid::from_u128(u128::from(n)))
}

fn topic(n: u64, partitions: u32) -> Topic {
    Topic {
        id: id(n),
        partitions,
        replication_factor: 1,
        configs: BTreeMap::new(),
        internal: false,
        highest_epoch: LeaderEpoch::NONE,
        state: TopicState::Live,
    }
}

fn created(name: &str, topic: &Topic) -> Txn {
    let nodes = (0..topic.partitions).map(|n| NodeId(n % 3)).collect();
    Txn::new()
        .put(Topic::key(name), topic.encode())
        .put(Assignment::key(topic.id), Assignment { nodes }.encode())
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(30)
}

#[tokio::test(start_paused = true)]
async fn a_view_follows_what_happens() {
    let store = Memory::new();
    let metadata = Metadata::new(Arc::new(store.clone()));
    store.txn(created("before", &topic(1, 2))).await.unwrap();
    let tasks = Tasks::new();
    let view = View::follow(metadata, &tasks).await.unwrap();
    assert_eq!(view.now().topic("before").unwrap().partitions, 2);

    let mut changes = view.changes();
    store.txn(created("after", &topic(2, 4))).await.unwrap();
    let seen = view.wait_for(soon(), |s| s.topic("after").cloned()).await.unwrap();
    assert_eq!((seen.id, seen.config.max_message_bytes), (id(2), 1_048_588));
    assert!(changes.next().await.topic_by_id(id(2)).is_some());
    let of = |n| TopicPartition::new(id(2), PartitionIndex(n));
    let assigned = view.wait_for(soon(), |s| s.assigned(of(3))).await;
    assert_eq!(assigned, Some(NodeId(0)));
    assert_eq!(view.now().assigned(of(4)), None);
    assert_eq!(view.now().partition_count(), 6);
    let owned: Vec<_> = view.now().assigned_to(NodeId(0)).collect();
    assert_eq!(owned, [TopicPartition::new(id(1), PartitionIndex(0)), of(0), of(3)]);

    let mut deleting = topic(2, 4);
    deleting.state = TopicState::Deleting;
    store.txn(Txn::new().put(Topic::key("after"), deleting.encode())).await.unwrap();
    view.wait_for(soon(), |s| s.topic("after").is_none().then_some(())).await.unwrap();
    assert!(view.now().topic_by_id(id(2)).is_none());
    tasks.shutdown().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_moves_is_seen_with_who_was_to_own_it() {
    let store = Memory::new();
    let metadata = Metadata::new(Arc::new(store.clone()));
    for n in 1..4 {
        store.txn(created(&format!("topic-{n}"), &topic(n, 3))).await.unwrap();
    }
    let tasks = Tasks::new();
    let view = View::follow(metadata, &tasks).await.unwrap();
    let before = view.now();
    assert_eq!(before.moved_since(&before).next(), None);
    assert_eq!(before.moved_since(&Snapshot::default()).next(), None, "that is no move");
    let nodes = [0, 2, 1, 0].map(NodeId).to_vec();
    let moved = Txn::new()
        .put(Assignment::key(id(2)), Assignment { nodes }.encode())
        .delete(Assignment::key(id(3)));
    store.txn(moved).await.unwrap();
    view.wait_for(soon(), |s| s.assignment(id(3)).is_none().then_some(())).await.unwrap();
    let of = |n| TopicPartition::new(id(2), PartitionIndex(n));
    let moved: Vec<_> = view.now().moved_since(&before).collect();
    assert_eq!(moved, [(of(1), NodeId(1)), (of(2), NodeId(2))]);
    tasks.shutdown().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn sessions_nodes_and_the_controller_are_seen() {
    let store = Memory::new();
    let tasks = Tasks::new();
    let view = View::follow(Metadata::new(Arc::new(store.clone())), &tasks).await.unwrap();
    let lease = store.grant(Duration::from_secs(5)).await.unwrap();
    let session = |node| Session { node: NodeId(node), rpc: None, zone: None }.encode();
    let node = Node {
        roles: vec![Role::Proxy],
        kafka: Some(HostPort { host: "a".to_owned(), port: 1 }),
        rpc: None,
        http: None,
        zone: None,
        draining: false,
    };
    let txn = Txn::new()
        .put(Session::key(SessionId(4)), session(1))
        .put_leased(Session::key(SessionId(9)), session(1), lease)
        .put(Node::key(NodeId(1)), node.encode())
        .put_leased(Leadership::key(), Leadership { node: NodeId(1) }.encode(), lease);
    store.txn(txn).await.unwrap();
    let session_of = |s: &Snapshot| s.session_of(NodeId(1)).map(|view| view.id);
    view.wait_for(soon(), |s| s.controller().and(s.node(NodeId(1))).cloned()).await.unwrap();
    assert_eq!(view.wait_for(soon(), session_of).await, Some(SessionId(9)), "the newest counts");
    assert_eq!(view.now().proxies().count(), 1);
    // The lease ends.
    view.wait_for(soon(), |s| s.controller().is_none().then_some(())).await.unwrap();
    view.wait_for(soon(), |s| (session_of(s) == Some(SessionId(4))).then_some(())).await.unwrap();
    tasks.shutdown().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn who_drains_is_passed_over_as_long_as_somebody_stays() {
    let (store, tasks) = (Memory::new(), Tasks::new());
    let view = View::follow(Metadata::new(Arc::new(store.clone())), &tasks).await.unwrap();
    let node = |draining| Node {
        roles: vec![Role::Broker, Role::Proxy],
        kafka: Some(HostPort { host: "a".to_owned(), port: 1 }),
        rpc: None,
        http: None,
        zone: None,
        draining,
    };
    let mut txn = Txn::new();
    for id in 1..4 {
        let session = Session { node: NodeId(id), rpc: None, zone: None };
        txn = txn.put(Session::key(SessionId(u64::from(id))), session.encode());
        txn = txn.put(Node::key(NodeId(id)), node(id == 2).encode());
    }
    store.txn(txn).await.unwrap();
    let seen = |s: &Snapshot| {
        let proxies: Vec<u32> = s.staying(Role::Proxy).map(|(id, _)| id.0).collect();
        (proxies, s.brokers().into_iter().map(|id| id.0).collect::<Vec<_>>())
    };
    let is = |wanted: [u32; 2]| {
        move |s: &Snapshot| (seen(s) == (wanted.into(), wanted.into())).then_some(())
    };
    view.wait_for(soon(), is([1, 3])).await.expect("2 is passed over");
    let gone = Txn::new()
        .put(Node::key(NodeId(1)), node(true).encode())
        .delete(Node::key(NodeId(3)))
        .delete(Session::key(SessionId(3)));
    store.txn(gone).await.unwrap();
    view.wait_for(soon(), is([1, 2])).await.expect("better than nobody");
    tasks.shutdown().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_at_its_deadline() {
    let view = View::of(Snapshot::default());
    let deadline = Instant::now() + Duration::from_secs(3);
    assert_eq!(view.wait_for(deadline, |s| s.topic("never").cloned()).await, None);
    assert_eq!(Instant::now(), deadline);
}

#[tokio::test(start_paused = true)]
async fn a_view_that_lost_its_place_lists_again() {
    let store = Memory::new();
    let tasks = Tasks::new();
    store.txn(created("stays", &topic(1, 1))).await.unwrap();
    store.txn(created("goes", &topic(2, 1))).await.unwrap();
    let view = View::follow(Metadata::new(Arc::new(store.clone())), &tasks).await.unwrap();
    // Nothing here lets the view's task run: it finds its place in the history gone.
    store.txn(Txn::new().delete(Topic::key("goes"))).await.unwrap();
    store.txn(created("comes", &topic(3, 1))).await.unwrap();
    for _ in 0..=HISTORY_EVENTS_MAX / TXN_OPS_MAX {
        let noise = (0..TXN_OPS_MAX).fold(Txn::new(), |txn, n| txn.put(format!("noise/{n}"), "x"));
        store.txn(noise).await.unwrap();
    }
    let mut watch = store.watch("topics/", view.now().revision().next());
    assert!(matches!(watch.next().await, Err(StoreError::Compacted { .. })), "as it is meant");
    view.wait_for(soon(), |s| s.topic("comes").cloned()).await.unwrap();
    assert!(view.now().topic("goes").is_none() && view.now().topic("stays").is_some());
    store.txn(created("later", &topic(4, 1))).await.unwrap();
    view.wait_for(soon(), |s| s.topic("later").cloned()).await.expect("it watches again");
    tasks.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_store_that_went_back_in_time_is_refused() {
    let newer = Memory::new();
    for n in 0..10 {
        newer.txn(created(&n.to_string(), &topic(n, 1))).await.unwrap();
    }
    let mut follower = Follower::list(&Metadata::new(Arc::new(newer))).await.unwrap();
    let restored = Memory::new();
    restored.txn(created("0", &topic(0, 1))).await.unwrap();
    let error = follower.relist(&Metadata::new(Arc::new(restored))).await.unwrap_err();
    assert!(matches!(error, Error::Store(StoreError::FutureRevision { .. })), "{error}");
    assert_eq!(follower.snapshot().topic_count(), 10, "what was known stays");
}

#[tokio::test]
async fn a_value_of_a_newer_version_is_left_out() {
    let store = Memory::new();
    store.txn(created("good", &topic(1, 1))).await.unwrap();
    store.txn(Txn::new().put(Topic::key("newer"), "{\"v\":2}")).await.unwrap();
    let follower = Follower::list(&Metadata::new(Arc::new(store))).await.unwrap();
    assert_eq!(follower.snapshot().topic_count(), 1);
}

#[derive(Clone, Debug)]
enum Write {
    Topic { name: u8, id: u64, partitions: u32, live: bool },
    Assign { id: u64, node: u32 },
    Forget { name: u8 },
    Unassign { id: u64 },
    Controller { node: u32 },
}

fn write() -> impl Strategy<Value = Write> {
    prop_oneof![
        4 => (0..5_u8, 0..9_u64, 0..5_u32, any::<bool>()).prop_map(|(name, id, partitions, live)| {
            // An id belongs to one name for ever.
            Write::Topic { name, id: id * 5 + u64::from(name), partitions, live }
        }),
        2 => (0..45_u64, 0..4_u32).prop_map(|(id, node)| Write::Assign { id, node }),
        1 => (0..5_u8).prop_map(|name| Write::Forget { name }),
        1 => (0..45_u64).prop_map(|id| Write::Unassign { id }),
        1 => (0..3_u32).prop_map(|node| Write::Controller { node }),
    ]
}

impl Write {
    fn txn(&self) -> Txn {
        let name = |n: &u8| Topic::key(&n.to_string());
        match self {
            Write::Topic { name: n, id, partitions, live } => {
                let state = if *live { TopicState::Live } else { TopicState::Gone };
                let topic = Topic { state, ..topic(*id, *partitions) };
                Txn::new().put(name(n), topic.encode())
            }
            Write::Assign { id: of, node } => {
                let nodes = vec![NodeId(*node); 3];
                Txn::new().put(Assignment::key(id(*of)), Assignment { nodes }.encode())
            }
            Write::Forget { name: n } => Txn::new().delete(name(n)),
            Write::Unassign { id: of } => Txn::new().delete(Assignment::key(id(*of))),
            Write::Controller { node } => {
                let value = Leadership { node: NodeId(*node) }.encode();
                Txn::new().put(Leadership::key(), value)
            }
        }
    }
}

/// All events under a prefix.
async fn events(store: &Memory, prefix: &str, end: Revision) -> Vec<Event> {
    let mark = Key::from(format!("{prefix}~mark"));
    store.txn(Txn::new().put(mark.clone(), "{}")).await.unwrap();
    let mut watch = store.watch(prefix, Revision(1));
    let mut events = Vec::new();
    while events.last().is_none_or(|event: &Event| *event.key() != mark) {
        events.extend(watch.next().await.unwrap().events);
    }
    events.retain(|event| event.revision() <= end);
    events
}

proptest! {
    /// However often events come again, the view is what a list shows.
    #[test]
    fn applying_is_idempotent(
        writes in prop::collection::vec(write(), 1..60),
        repeats in prop::collection::vec((0..5_usize, 0..60_usize, 1..60_usize), 0..20),
        listed_at in 0..60_usize,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let store = Memory::new();
            let mut snapshot = Snapshot::default();
            let mut troubles = Vec::new();
            for (n, write) in writes.iter().enumerate() {
                if n == listed_at {
                    for (place, prefix) in PREFIXES.iter().enumerate() {
                        let (entries, revision) = list(&store, prefix).await.unwrap();
                        snapshot.replace(place, &entries, revision, &mut troubles);
                    }
                }
                store.txn(write.txn()).await.unwrap();
            }
            let end = store.txn(Txn::new()).await.unwrap().revision();
            let mut listed = Snapshot::default();
            for (place, prefix) in PREFIXES.iter().enumerate() {
                let (entries, _) = list(&store, prefix).await.unwrap();
                listed.replace(place, &entries, end, &mut troubles);
            }
            let mut all = Vec::new();
            for prefix in PREFIXES {
                all.push(events(&store, prefix, end).await);
            }
            for (place, events) in all.iter().enumerate() {
                snapshot.apply(place, events, &mut troubles);
            }
            for (place, from, count) in repeats {
                let again = all[place].iter().skip(from).take(count).cloned();
                snapshot.apply(place, &again.collect::<Vec<_>>(), &mut troubles);
            }
            assert!(troubles.is_empty(), "{troubles:?}");
            snapshot.pretend_applied(end);
            assert!(snapshot == listed, "the view differs from the list");
        });
    }
}
