//! Who may end a session, what a condemned one may still do, and forgetting those that ended.

use tokio::time::Instant;

use super::*;
use crate::{
    model::Condemned,
    store::{Key, list},
};

fn value() -> Session {
    Session { node: NodeId(1), rpc: None, zone: None }
}

async fn condemn(metadata: &Metadata, session: SessionId) {
    let txn = Txn::new().put(Condemned::key(session), Condemned {}.encode());
    metadata.store().txn(txn.delete(Session::key(session))).await.unwrap();
}

async fn is_there(metadata: &Metadata, key: Key) -> bool {
    metadata.store().get(&key).await.unwrap().is_some()
}

#[tokio::test]
async fn a_broker_may_end_the_condemned_and_its_own_nodes_earlier_sessions() {
    let metadata = with_partitions(0).await;
    let (here, there) = (NodeId(1), NodeId(2));
    let earlier = metadata.allocate_session(here).await.unwrap();
    let other = metadata.allocate_session(there).await.unwrap();
    let own = metadata.allocate_session(here).await.unwrap();
    let later = metadata.allocate_session(here).await.unwrap();
    let old = SessionId(1);
    let nameless = Txn::new().put(Wal::key(old), Wal::default().encode());
    metadata.store().txn(nameless).await.unwrap();
    let may = async |session| metadata.may_end(here, own, session).await.unwrap();
    assert!(may(earlier).await);
    for session in [other, own, later, old, SessionId(999)] {
        assert!(!may(session).await, "{session}");
    }
    condemn(&metadata, other).await;
    condemn(&metadata, old).await;
    assert!(may(other).await && may(old).await && metadata.is_condemned(other).await.unwrap());
    assert!(!metadata.is_condemned(earlier).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_condemned_session_can_not_register_again() {
    let metadata = with_partitions(0).await;
    let s = session(&metadata).await;
    let registration = metadata.register_session(s, &value(), SESSION_TTL).await.unwrap();
    condemn(&metadata, s).await;
    let refused = RegisterError::Condemned { session: s };
    let again = metadata.register_session(s, &value(), SESSION_TTL).await.unwrap_err();
    assert_eq!(again, refused);
    let mut seen = 0;
    let kept = registration.keep(&metadata, Tasks::new().stop(), |_| seen += 1).await;
    assert_eq!((kept, seen), (Err(refused), 1), "its lease lasts, and is no sign of life any more");
}

/// The condemnation comes after the registration has looked, and before it writes.
#[tokio::test(start_paused = true)]
async fn a_condemnation_wins_against_a_registration_under_way() {
    let store = Memory::new();
    let certain = Metadata::new(Arc::new(store.clone()));
    let s = session(&certain).await;
    let slow = Faulty::new(Arc::new(store), |operation| {
        (operation == Operation::Txn).then_some(Fault::Late(Duration::from_secs(1)))
    });
    let slow = Metadata::new(Arc::new(slow));
    let value = value();
    let (registered, ()) = tokio::join!(slow.register_session(s, &value, SESSION_TTL), async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        condemn(&certain, s).await;
    });
    assert_eq!(registered.unwrap_err(), RegisterError::Condemned { session: s });
    assert!(!is_there(&certain, Session::key(s)).await);
}

#[tokio::test(start_paused = true)]
async fn a_sign_of_life_counts_from_when_it_was_sent() {
    let store = Memory::new();
    let slow = Faulty::new(Arc::new(store.clone()), |operation| {
        (operation == Operation::Lease).then_some(Fault::Late(Duration::from_millis(700)))
    });
    let metadata = Metadata::new(Arc::new(slow));
    let s = session(&metadata).await;
    let start = Instant::now();
    let registration = metadata.register_session(s, &value(), SESSION_TTL).await.unwrap();
    let registered = Instant::now();
    let (tasks, mut seen) = (Tasks::new(), Vec::new());
    let (kept, ()) = tokio::join!(
        registration.keep(&metadata, tasks.stop(), |sent| seen.push((sent, Instant::now()))),
        async {
            tokio::time::sleep(SESSION_TTL).await;
            tasks.request_stop();
        }
    );
    kept.unwrap();
    assert_eq!(seen[0], (start, registered));
    assert!(seen.len() > 2);
    for (sent, arrived) in &seen[1..] {
        assert_eq!(*arrived - *sent, Duration::from_millis(700));
    }
}

#[tokio::test]
async fn a_session_is_forgotten_when_it_has_ended_and_no_log_needs_it() {
    let metadata = with_partitions(2).await;
    let mut sessions = Vec::new();
    for _ in 0..4 {
        sessions.push(session(&metadata).await);
    }
    let [first, owner, idle, live] = sessions[..] else { unreachable!() };
    claim(&metadata, first, 1).await.unwrap();
    for ended in [first, idle] {
        condemn(&metadata, ended).await;
        metadata.seal(ended, seal_at(5)).await.unwrap();
    }
    claim(&metadata, owner, 1).await.unwrap();
    let all = sessions.iter().copied().chain([SessionId(999)]).collect();
    let removed = metadata.remove_wals(&all).await.unwrap();
    assert_eq!(removed, [idle].into(), "{first} is inherited, {owner} and {live} live");
    assert!(!is_there(&metadata, Wal::key(idle)).await);
    assert!(!is_there(&metadata, Condemned::key(idle)).await);
    assert!(is_there(&metadata, Condemned::key(first)).await);

    metadata.publish_checkpoint(owner, &checkpoint(1, 1)).await.unwrap();
    let named = metadata.log(partition(0)).await.unwrap().unwrap().value.inherited;
    assert_eq!(named.len(), 1, "the log still names it, and does not need it");
    assert_eq!(metadata.remove_wals(&all).await.unwrap(), [first].into());
    metadata.seal(owner, seal_at(20)).await.unwrap();
    assert_eq!(metadata.remove_wals(&all).await.unwrap(), [].into(), "{owner} holds the log");
    claim(&metadata, live, 1).await.unwrap();
}

#[tokio::test]
async fn many_sessions_are_forgotten_whatever_the_answers() {
    let clean = with_partitions(0).await;
    let mut sessions = std::collections::BTreeSet::new();
    for _ in 0..200 {
        let s = session(&clean).await;
        clean.seal(s, seal_at(1)).await.unwrap();
        sessions.insert(s);
    }
    let store = Memory::new();
    for entry in list(clean.store(), "").await.unwrap().0 {
        store.txn(Txn::new().put(entry.key, entry.value)).await.unwrap();
    }
    let turn = std::sync::atomic::AtomicU32::new(0);
    let failing = Faulty::new(Arc::new(store.clone()), move |operation| {
        let turn = turn.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let faults = [Fault::After, Fault::Lost];
        (operation == Operation::Txn).then(|| faults.get(turn as usize % 5).copied()).flatten()
    });
    let failing = Metadata::new(Arc::new(failing));
    assert_eq!(failing.remove_wals(&sessions).await.unwrap(), sessions);
    assert_eq!(list(&store, Wal::PREFIX).await.unwrap().0, []);
}

/// The releaser publishes after the claim has looked, and before it writes.
#[tokio::test(start_paused = true)]
async fn a_claim_is_judged_by_the_checkpoint_that_is_published_then() {
    let store = Memory::new();
    let certain = Metadata::new(Arc::new(store.clone()));
    for entry in list(with_partitions(1).await.store(), "").await.unwrap().0 {
        store.txn(Txn::new().put(entry.key, entry.value)).await.unwrap();
    }
    let (first, second) = (session(&certain).await, session(&certain).await);
    let heir = session(&certain).await;
    claim(&certain, first, 1).await.unwrap();
    certain.seal(first, seal_at(5)).await.unwrap();
    claim(&certain, second, 1).await.unwrap();
    let release = OwnedChange::Release { end_slot: Slot(8), end_offset: Offset(100) };
    change(&certain, second, 1, release).await.unwrap();
    let slow = Faulty::new(Arc::new(store), |operation| {
        (operation == Operation::Txn).then_some(Fault::Late(Duration::from_secs(1)))
    });
    let slow = Metadata::new(Arc::new(slow));
    let (claimed, ()) = tokio::join!(claim(&slow, heir, 1), async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        certain.publish_checkpoint(second, &checkpoint(1, 1)).await.unwrap();
        let removed = certain.remove_wals(&[first].into()).await.unwrap();
        assert_eq!(removed, [first].into(), "its owner has adopted what it held");
    });
    let named: Vec<_> = claimed.unwrap().log.inherited.iter().map(|part| part.session).collect();
    assert_eq!(named, [second], "nothing names what is forgotten");
}
