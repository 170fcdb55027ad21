//! Dead brokers, cut off ones, and controllers that can't tell.

use async_trait::async_trait;

use super::{
    super::{
        election::Term,
        liveness::{Suspect, Suspicion, TRUSTED_AFTER},
        placement::Move,
    },
    *,
};
use crate::{
    RegisterError, SESSION_PROOF, SESSION_TTL,
    model::{Condemned, Drained, Role},
    store::Revision,
};

/// Long enough for two signs of life of a controller's link.
const A_MOMENT: Duration = Duration::from_secs(3);

/// What comes of asking, session by session. Of all others nothing is ever heard.
#[derive(Clone, Default)]
struct Told {
    answers: Arc<Mutex<BTreeMap<SessionId, Probed>>>,
    asked: Arc<Mutex<Vec<SessionId>>>,
}

impl Told {
    fn tell(&self, id: SessionId, probed: Probed) {
        self.answers.lock().unwrap().insert(id, probed);
    }

    /// Who was asked since this was last asked.
    fn asked(&self) -> Vec<SessionId> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

#[async_trait]
impl Probe for Told {
    async fn probe(&self, id: SessionId, _: &Session) -> Probed {
        self.asked.lock().unwrap().push(id);
        let answer = self.answers.lock().unwrap().get(&id).copied();
        match answer {
            Some(answer) => answer,
            None => std::future::pending().await,
        }
    }
}

/// Brokers on nodes 1 and 2, a topic of four partitions over them, a controller on node 1.
struct Rig {
    store: Memory,
    metadata: Metadata,
    process: Process,
    told: Told,
    topic: TopicId,
}

/// The broker that comes to harm.
const VICTIM: SessionId = SessionId(2);

impl Rig {
    async fn start() -> Self {
        Self::on(|store| Arc::new(store)).await
    }

    /// With a controller that reaches the store through what `link` makes of it.
    async fn on(link: impl FnOnce(Memory) -> Arc<dyn MetaStore>) -> Self {
        let (store, told) = (Memory::new(), Told::default());
        broker(&store, 1).await;
        broker(&store, 2).await;
        let link = link(store.clone());
        let process = Process::probing(link, 1, Arc::new(told.clone())).await;
        process.controller.elected().await;
        let topic = process.create("a", 4).await.unwrap().id;
        let metadata = Metadata::new(Arc::new(store.clone()));
        let rig = Self { store, metadata, process, told, topic };
        rig.until_assigned([2, 2]).await;
        rig
    }

    async fn lose_lease(&self, id: SessionId) {
        self.store.txn(Txn::new().delete(Session::key(id))).await.unwrap();
    }

    async fn is_condemned(&self, id: SessionId) -> bool {
        self.metadata.is_condemned(id).await.unwrap()
    }

    async fn until_condemned(&self, id: SessionId) {
        let deadline = soon();
        while !self.is_condemned(id).await {
            assert!(Instant::now() < deadline, "{id} is never condemned");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// How many partitions nodes 1 and 2 have in the store.
    async fn assigned(&self) -> [usize; 2] {
        let nodes = self.metadata.assignment(self.topic).await.unwrap().unwrap().value.nodes;
        [1, 2].map(|node| nodes.iter().filter(|of| **of == NodeId(node)).count())
    }

    async fn until_assigned(&self, wanted: [usize; 2]) {
        let deadline = soon();
        while self.assigned().await != wanted {
            assert!(Instant::now() < deadline, "{:?}", self.assigned().await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_dead_broker_is_condemned_when_its_lease_proves_nothing_any_more_and_not_before() {
    let rig = Rig::start().await;
    tokio::time::sleep(TRUSTED_AFTER + A_MOMENT).await;
    rig.process.controller.report_broken(VICTIM).await.unwrap();
    while rig.told.asked().is_empty() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    rig.lose_lease(VICTIM).await;
    let start = Instant::now();
    tokio::time::sleep(SESSION_PROOF - Duration::from_millis(1)).await;
    assert!(!rig.is_condemned(VICTIM).await);
    assert_eq!(rig.assigned().await, [2, 2]);
    rig.until_condemned(VICTIM).await;
    rig.until_assigned([4, 0]).await;
    let late = start.elapsed() - SESSION_PROOF;
    assert!(late < Duration::from_millis(200), "{late:?} late: who hears nothing goes on");
    let again = Session { node: NodeId(2), rpc: None, zone: None };
    let refused = rig.metadata.register_session(VICTIM, &again, SESSION_TTL).await.unwrap_err();
    assert_eq!(refused, RegisterError::Condemned { session: VICTIM });
    // The next session of that node is as good as any.
    session(&rig.store, 2, 12).await;
    rig.until_assigned([2, 2]).await;
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_drains_is_left_at_once_and_returned_to() {
    let rig = Rig::start().await;
    let start = Instant::now();
    let node = |draining| Node {
        roles: vec![Role::Broker],
        kafka: None,
        rpc: None,
        http: None,
        zone: None,
        draining,
    };
    let put = |node: Node| Txn::new().put(Node::key(NodeId(2)), node.encode());
    rig.store.txn(put(node(true))).await.unwrap();
    rig.until_assigned([4, 0]).await;
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    let new = rig.process.create("b", 3).await.unwrap().id;
    let placed = rig.metadata.assignment(new).await.unwrap().unwrap();
    assert_eq!(placed.value.nodes, [NodeId(1); 3]);
    rig.process.delete("b").await.unwrap();

    rig.lose_lease(VICTIM).await;
    rig.metadata.seal(VICTIM, Seal { at: Slot(0), detail: None }).await.unwrap();
    rig.store.txn(put(node(false))).await.unwrap();
    session(&rig.store, 2, 12).await;
    rig.until_assigned([2, 2]).await;
}

#[tokio::test(start_paused = true)]
async fn a_node_is_drained_until_that_is_taken_back() {
    let rig = Rig::start().await;
    let drain = async |drain| {
        let node = NodeId(2);
        rig.process.controller.drain(Drain { node, drain }).await.unwrap();
    };
    for _ in 0..2 {
        drain(true).await;
    }
    rig.until_assigned([4, 0]).await;
    // Another session of that node is none that wants to have something.
    session(&rig.store, 2, 12).await;
    rig.process.view.wait_for(soon(), |now| now.session(SessionId(12)).cloned()).await.unwrap();
    tokio::time::sleep(A_MOMENT).await;
    assert_eq!(rig.assigned().await, [4, 0]);
    for _ in 0..2 {
        drain(false).await;
    }
    rig.until_assigned([2, 2]).await;
    assert_eq!(keys(&rig.store, Drained::PREFIX).await, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn partitions_are_moved_as_asked_and_stay() {
    let rig = Rig::start().await;
    let of_one = rig.metadata.assignment(rig.topic).await.unwrap().unwrap().value.nodes;
    let partitions: Vec<u32> = (0..4).filter(|n| of_one[*n as usize] == NodeId(1)).collect();
    let wanted = |topic, partitions: &[u32], to| MovePartitions {
        topic,
        partitions: partitions.to_vec(),
        to: NodeId(to),
    };
    let asked = async |wanted| rig.process.controller.move_partitions(wanted).await;
    assert_eq!(asked(wanted(rig.topic, &partitions, 2)).await, Ok(()));
    tokio::time::sleep(A_MOMENT).await;
    assert_eq!(rig.assigned().await, [0, 4], "nobody takes them back");
    let unknown = asked(wanted(TopicId::NIL, &[0], 2)).await;
    assert_eq!(unknown, Err(Error::UnknownTopic { topic: TopicRef::Id(TopicId::NIL) }));
    let unknown = asked(wanted(rig.topic, &[0, 4], 1)).await;
    assert_eq!(unknown, Err(Error::UnknownPartition { number: 4 }));
    let unknown = asked(wanted(rig.topic, &[0], 3)).await;
    assert_eq!(unknown, Err(Error::NoSuchBroker { node: NodeId(3) }));
    assert_eq!(rig.assigned().await, [0, 4]);
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_answers_is_not_condemned() {
    let rig = Rig::start().await;
    rig.told.tell(VICTIM, Probed::Answers);
    rig.lose_lease(VICTIM).await;
    tokio::time::sleep(SESSION_TTL * 20).await;
    assert!(!rig.is_condemned(VICTIM).await);
    assert_eq!(rig.assigned().await, [2, 2], "it goes on serving them");
    assert!(rig.told.asked().len() > 5, "it is asked now and then");
    rig.told.tell(VICTIM, Probed::Refuses);
    rig.until_condemned(VICTIM).await;
    rig.until_assigned([4, 0]).await;
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_is_reported_and_refuses_is_condemned_at_once() {
    let rig = Rig::start().await;
    let report = || rig.process.controller.report_broken(VICTIM);
    for spared in [Probed::Silent, Probed::Answers] {
        rig.told.tell(VICTIM, spared);
        report().await.unwrap();
        tokio::time::sleep(A_MOMENT).await;
        assert_eq!(rig.told.asked(), [VICTIM]);
        assert!(!rig.is_condemned(VICTIM).await, "{spared:?}");
    }
    rig.told.tell(VICTIM, Probed::Refuses);
    let start = Instant::now();
    report().await.unwrap();
    rig.until_condemned(VICTIM).await;
    rig.until_assigned([4, 0]).await;
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    assert!(rig.store.get(&Session::key(VICTIM)).await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_broken_link_is_reported_until_it_works_or_the_session_is_over() {
    let rig = Rig::start().await;
    let links = BrokenLinks::new(rig.process.view.clone());
    let tasks = Tasks::new();
    let story = async {
        rig.told.tell(VICTIM, Probed::Answers);
        links.broke(NodeId(2));
        tokio::time::sleep(A_MOMENT).await;
        assert!(rig.told.asked().len() > 2, "a hint may be lost");
        links.works(NodeId(2));
        tokio::time::sleep(A_MOMENT).await;
        rig.told.asked();
        tokio::time::sleep(A_MOMENT).await;
        assert_eq!(rig.told.asked(), []);
        rig.told.tell(VICTIM, Probed::Refuses);
        links.broke(NodeId(2));
        rig.until_condemned(VICTIM).await;
        tokio::time::sleep(A_MOMENT).await;
        rig.told.asked();
        tokio::time::sleep(A_MOMENT).await;
        assert_eq!(rig.told.asked(), [], "there is no such session");
        tasks.request_stop();
    };
    tokio::join!(links.report(&rig.process.controller, tasks.stop()), story);
}

#[tokio::test(start_paused = true)]
async fn a_condemned_session_that_still_keeps_its_lease_alive_learns_of_it() {
    let rig = Rig::start().await;
    let id = rig.metadata.allocate_session(NodeId(3)).await.unwrap();
    let value = Session { node: NodeId(3), rpc: None, zone: None };
    let registration = rig.metadata.register_session(id, &value, SESSION_TTL).await.unwrap();
    rig.process.view.wait_for(soon(), |now| now.session(id).cloned()).await.unwrap();
    rig.told.tell(id, Probed::Refuses);
    rig.process.controller.report_broken(id).await.unwrap();
    let ended = registration.keep(&rig.metadata, Tasks::new().stop(), |_| {}).await;
    assert_eq!(ended, Err(RegisterError::Condemned { session: id }));
}

#[tokio::test(start_paused = true)]
async fn trouble_with_the_controllers_own_link_begins_the_waiting_again() {
    let cut_off = Arc::new(AtomicBool::new(false));
    let is_cut_off = Arc::clone(&cut_off);
    let rig = Rig::on(|store| {
        Arc::new(Faulty::new(Arc::new(store), move |operation| {
            let lost = operation == Operation::Lease && is_cut_off.load(Ordering::Relaxed);
            lost.then_some(Fault::Before)
        }))
    })
    .await;
    rig.lose_lease(VICTIM).await;
    tokio::time::sleep(TRUSTED_AFTER - A_MOMENT).await;
    cut_off.store(true, Ordering::Relaxed);
    // One sign of life, and no more: it stays elected.
    tokio::time::sleep(ELECTION_TTL / 3).await;
    cut_off.store(false, Ordering::Relaxed);
    let start = Instant::now();
    tokio::time::sleep(TRUSTED_AFTER - A_MOMENT).await;
    assert!(rig.process.controller.is_elected());
    assert!(!rig.is_condemned(VICTIM).await);
    assert_eq!(rig.told.asked(), [VICTIM], "when it was lost, and not since");
    rig.until_condemned(VICTIM).await;
    assert!(start.elapsed() < TRUSTED_AFTER + A_MOMENT, "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_session_that_registers_again_in_time_is_not_condemned() {
    let rig = Rig::start().await;
    for _ in 0..5 {
        rig.lose_lease(VICTIM).await;
        tokio::time::sleep(SESSION_PROOF - Duration::from_millis(100)).await;
        broker(&rig.store, 2).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    tokio::time::sleep(SESSION_TTL * 3).await;
    assert!(!rig.is_condemned(VICTIM).await);
    assert_eq!(rig.assigned().await, [2, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_ended_in_order_is_not_condemned() {
    let rig = Rig::start().await;
    rig.lose_lease(VICTIM).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    rig.metadata.seal(VICTIM, Seal { at: Slot(9), detail: None }).await.unwrap();
    tokio::time::sleep(DEAD_AFTER - A_MOMENT).await;
    assert_eq!(rig.assigned().await, [2, 2], "it may just be restarting");
    rig.until_assigned([4, 0]).await;
    assert!(!rig.is_condemned(VICTIM).await);
    assert_eq!(rig.told.asked(), [VICTIM], "when it was lost, and never again");
}

#[tokio::test(start_paused = true)]
async fn a_new_controller_goes_on_where_the_last_one_ended() {
    let rig = Rig::start().await;
    // Allocated and never registered; and one that was condemned and whose partitions stayed.
    let never = rig.metadata.allocate_session(NodeId(3)).await.unwrap();
    rig.process.tasks.shutdown().await.unwrap();
    let condemned =
        Txn::new().put(Condemned::key(VICTIM), "{\"v\":1}").delete(Session::key(VICTIM));
    rig.store.txn(condemned).await.unwrap();
    let next = Process::start(Arc::new(rig.store.clone()), 3).await;
    next.controller.elected().await;
    let start = Instant::now();
    rig.until_assigned([4, 0]).await;
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    assert!(!rig.is_condemned(never).await, "this one has not seen it missing for long");
    rig.until_condemned(never).await;
    assert!(start.elapsed() >= TRUSTED_AFTER);
}

#[tokio::test(start_paused = true)]
async fn a_new_controller_asks_at_once_whom_it_has_never_seen() {
    let rig = Rig::start().await;
    let shown = Session { node: NodeId(2), rpc: Some("b:9192".to_owned()), zone: None };
    rig.metadata.register_session(VICTIM, &shown, SESSION_TTL).await.unwrap();
    rig.process.tasks.shutdown().await.unwrap();
    // The broker dies with the controller, and is forgotten before there is another.
    rig.lose_lease(VICTIM).await;
    rig.told.tell(VICTIM, Probed::Refuses);
    let store = Arc::new(rig.store.clone());
    let next = Process::probing(store, 3, Arc::new(rig.told.clone())).await;
    next.controller.elected().await;
    let start = Instant::now();
    rig.until_assigned([4, 0]).await;
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    assert!(rig.is_condemned(VICTIM).await);
}

#[tokio::test(start_paused = true)]
async fn a_deposed_controller_condemns_and_moves_nothing() {
    let cut_off = Arc::new(AtomicBool::new(false));
    let is_cut_off = Arc::clone(&cut_off);
    let rig = Rig::on(|store| {
        Arc::new(Faulty::new(Arc::new(store), move |operation| {
            let lost = operation == Operation::Lease && is_cut_off.load(Ordering::Relaxed);
            lost.then_some(Fault::Before)
        }))
    })
    .await;
    let first = &rig.process.controller.inner;
    let term = first.term().unwrap();
    // As if it had been stopped in the middle of its work, and now goes on.
    let second = Process::start(Arc::new(rig.store.clone()), 3).await;
    cut_off.store(true, Ordering::Relaxed);
    second.controller.elected().await;
    first.term.send_replace(Some(term));
    let (node, session) = (Some(NodeId(2)), None);
    for why in [Suspicion::Missing(Instant::now()), Suspicion::Reported] {
        if why == Suspicion::Reported {
            broker(&rig.store, 2).await;
        } else {
            rig.lose_lease(VICTIM).await;
        }
        let suspect = Suspect { id: VICTIM, node, session: session.clone(), why };
        let refused = first.condemn(term, &suspect).await;
        assert!(matches!(refused, Err(Error::NotController { .. })), "{refused:?}");
    }
    let partition = TopicPartition::new(rig.topic, PartitionIndex(0));
    let nodes = rig.metadata.assignment(rig.topic).await.unwrap().unwrap().value.nodes;
    let away = Move { partition, from: nodes[0], to: NodeId(9) };
    first.carry_out(term, vec![away]).await.unwrap_err();
    // The same by itself: it is told of a broker that refuses.
    rig.told.tell(VICTIM, Probed::Refuses);
    let stale = Term { revision: Revision(1) };
    first.term.send_replace(Some(stale));
    rig.process.controller.report_broken(VICTIM).await.unwrap();
    tokio::time::sleep(A_MOMENT).await;
    assert_eq!(rig.told.asked(), [VICTIM]);
    assert!(!rig.is_condemned(VICTIM).await && !rig.process.controller.is_elected());
    assert_eq!(rig.assigned().await, [2, 2]);
    let late = rig.process.controller.report_broken(VICTIM).await;
    assert_eq!(late, Err(Error::NotController { leader: Some(NodeId(3)) }));
}
