//! Several controllers, and brokers that come and go.

use super::*;

#[tokio::test(start_paused = true)]
async fn one_is_elected_and_another_takes_over() {
    let (store, first) = rig().await;
    let second = Process::start(Arc::new(store.clone()), 2).await;
    tokio::time::sleep(ELECTION_TTL * 3).await;
    assert!(first.controller.is_elected() && !second.controller.is_elected());
    assert_eq!(second.create("a", 1).await, Err(Error::NotController { leader: Some(NodeId(1)) }));
    first.tasks.shutdown().await.unwrap();
    let start = Instant::now();
    second.controller.elected().await;
    assert!(start.elapsed() < Duration::from_secs(1), "it was given back, not left to time out");
    second.create("a", 1).await.unwrap();
    assert!(first.create("b", 1).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_process_takes_over_from_its_predecessor_at_once() {
    let (store, first) = rig().await;
    // The first is killed: its key stays.
    std::mem::forget(first.tasks.child());
    drop(first);
    let start = Instant::now();
    let again = Process::start(Arc::new(store.clone()), 1).await;
    again.controller.elected().await;
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    again.create("a", 1).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_controller_that_was_replaced_changes_nothing() {
    let store = Memory::new();
    broker(&store, 1).await;
    let cut_off = Arc::new(AtomicBool::new(false));
    let is_cut_off = Arc::clone(&cut_off);
    let first_store = Faulty::new(Arc::new(store.clone()), move |operation| {
        let lost = operation == Operation::Lease && is_cut_off.load(Ordering::Relaxed);
        lost.then_some(Fault::Before)
    });
    let first = Process::start(Arc::new(first_store), 1).await;
    first.controller.elected().await;
    let second = Process::start(Arc::new(store.clone()), 2).await;
    cut_off.store(true, Ordering::Relaxed);
    second.controller.elected().await;
    let before = list(&store, "").await.unwrap().0;
    let term = super::super::election::Term { revision: crate::store::Revision(1) };
    first.controller.inner.term.send_replace(Some(term));
    let refused = first.create("a", 1).await;
    assert!(matches!(refused, Err(Error::NotController { .. })), "{refused:?}");
    assert!(!first.controller.is_elected(), "now it knows");
    let kept = |entries: Vec<crate::store::Entry>| {
        entries.into_iter().filter(|e| e.key.as_str() != "controller").collect::<Vec<_>>()
    };
    assert_eq!(kept(list(&store, "").await.unwrap().0), kept(before));
}

#[tokio::test(start_paused = true)]
async fn partitions_of_a_dead_broker_go_to_the_others() {
    let (store, process) = rig().await;
    for node in 2..=3 {
        broker(&store, node).await;
    }
    let counts = |now: &crate::views::Snapshot| {
        (1..=3).map(|node| now.assigned_to(NodeId(node)).count()).collect::<Vec<_>>()
    };
    process.view.wait_for(soon(), |now| (now.sessions().count() == 3).then_some(())).await;
    process.create("a", 9).await.unwrap();
    process.view.wait_for(soon(), |now| (counts(now) == [3, 3, 3]).then_some(())).await.unwrap();
    let before = process.view.now().assignment(process.view.now().topic("a").unwrap().id).cloned();

    let away = Txn::new().delete(Session::key(SessionId(2)));
    store.txn(away).await.unwrap();
    tokio::time::sleep(DEAD_AFTER / 2).await;
    assert_eq!(counts(&process.view.now()), [3, 3, 3], "it may come back");
    tokio::time::sleep(DEAD_AFTER).await;
    let five_and_four = |now: &crate::views::Snapshot| {
        let now = counts(now);
        (now[1] == 0 && now[0].abs_diff(now[2]) <= 1).then_some(())
    };
    process.view.wait_for(soon(), five_and_four).await.expect("its partitions are given away");
    let topic = process.view.now().topic("a").unwrap().id;
    let after = process.view.now().assignment(topic).cloned();
    let moved = before.unwrap().iter().zip(after.unwrap().iter()).filter(|(a, b)| a != b).count();
    assert_eq!(moved, 3, "no other partition moves");

    tokio::time::sleep(DEAD_AFTER * 3).await;
    process.view.wait_for(soon(), five_and_four).await.expect("and they stay away");
    session(&store, 2, 12).await;
    process.view.wait_for(soon(), |now| (counts(now) == [3, 3, 3]).then_some(())).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn nothing_moves_while_no_broker_is_alive() {
    let (store, process) = rig().await;
    process.create("a", 4).await.unwrap();
    store.txn(Txn::new().delete(Session::key(SessionId(1)))).await.unwrap();
    tokio::time::sleep(DEAD_AFTER * 3).await;
    assert_eq!(process.view.now().assigned_to(NodeId(1)).count(), 4);
    assert_eq!(process.create("b", 1).await, Err(Error::NoBrokers));
    session(&store, 1, 11).await;
    process.view.wait_for(soon(), |now| now.session_of(NodeId(1)).cloned()).await.unwrap();
    process.create("b", 1).await.unwrap();
}

/// Every transaction of a large change may be the last that its controller gets through.
#[tokio::test(start_paused = true)]
async fn what_was_interrupted_is_finished_by_the_next() {
    for survives in 0..14_u32 {
        let store = Memory::new();
        broker(&store, 1).await;
        let left = Arc::new(AtomicU32::new(u32::MAX));
        let budget = Arc::clone(&left);
        let dying = Faulty::new(Arc::new(store.clone()), move |_| {
            let spent = budget.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                if left == u32::MAX { Some(left) } else { left.checked_sub(1) }
            });
            spent.is_err().then_some(Fault::Before)
        });
        let first = Process::start(Arc::new(dying), 1).await;
        first.controller.elected().await;
        first.create("grows", 130).await.unwrap();
        first.create("goes", 300).await.unwrap();
        left.store(survives, Ordering::Relaxed);
        let changes = (first.create("comes", 400), first.grow("grows", 500), first.delete("goes"));
        let (created, _, _) = tokio::join!(changes.0, changes.1, changes.2);
        first.tasks.shutdown().await.unwrap();

        let second = Process::start(Arc::new(store.clone()), 2).await;
        second.controller.elected().await;
        until_empty(&store, Creation::PREFIX).await;
        until_empty(&store, Deletion::PREFIX).await;
        check_consistency(&store).await;
        if created.is_ok() {
            let topic = Metadata::new(Arc::new(store.clone())).topic("comes").await.unwrap();
            assert!(topic.unwrap().value.is_live(), "after {survives}: it was acknowledged");
        }
        for name in ["comes", "goes"] {
            match second.create(name, 200).await {
                Ok(_) | Err(Error::TopicExists { .. }) => {}
                Err(error) => panic!("after {survives}: {name}: {error}"),
            }
        }
        second.tasks.shutdown().await.unwrap();
    }
}
