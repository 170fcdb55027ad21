use super::script::{REBALANCE, SESSION, Script, again, new};
use crate::{
    group::{Error, Generation, MemberId, Sync, Token},
    settings::Settings,
};

#[test]
fn no_assignment_goes_out_before_it_is_durable() {
    let mut g = Script::start();
    let (a, b) = g.pair(new("a"), new("b"));
    let (a, b) = {
        let a = g.join(again(&a.member, "a"));
        let b = g.join(again(&b.member, "b"));
        (g.joined(a), g.joined(b))
    };
    let follower = g.sync(&b, &[]);
    let leader = g.sync(&a, &[(&a.member, "left"), (&b.member, "right")]);
    g.waits(follower);
    g.waits(leader);
    assert_eq!(g.group.state(), "CompletingRebalance");
    g.durable();
    assert_eq!(g.assigned(leader), "left");
    assert_eq!(g.assigned(follower), "right");
    assert_eq!(g.group.state(), "Stable");
}

#[test]
fn a_late_follower_gets_its_assignment_at_once() {
    let mut g = Script::start();
    let a = g.alone(new("a"));
    let b = g.join(new("b"));
    let a = g.join(again(&a.member, "a"));
    let (a, b) = (g.joined(a), g.joined(b));
    g.sync(&a, &[(&b.member, "all")]);
    g.durable();
    let late = g.sync(&b, &[]);
    assert_eq!(g.assigned(late), "all");
}

#[test]
fn a_crash_keeps_the_assignment() {
    let mut g = Script::start();
    let a = g.join(new("a"));
    let a = g.joined(a);
    g.sync(&a, &[(&a.member, "all")]);
    let stored = g.stores[0].clone();
    g.crash(&stored);
    assert_eq!(g.group.state(), "Stable");
    assert_eq!(g.heartbeat(&a), Ok(()));
    let sync = g.sync(&a, &[]);
    assert_eq!(g.assigned(sync), "all");
    // Nobody is heard of any more.
    g.pass(SESSION);
    assert_eq!(g.group.state(), "Empty");
    assert_eq!(g.generation(), Generation(2));
}

#[test]
fn a_generation_that_was_not_stored_is_forgotten_by_a_crash() {
    let mut g = Script::start();
    let a = g.join(new("a"));
    let a = g.joined(a);
    g.sync(&a, &[(&a.member, "all")]);
    let stored = g.stores[0].clone();
    g.durable();
    let again = g.join(again(&a.member, "a"));
    let newer = g.joined(again);
    assert_eq!(newer.generation, Generation(2));
    g.crash(&stored);
    let sync = g.sync(&newer, &[]);
    assert_eq!(g.synced(sync), Err(Error::IllegalGeneration));
}

#[test]
fn a_sync_of_another_generation_or_protocol_is_refused() {
    let mut g = Script::start();
    let a = g.join(new("a"));
    let a = g.joined(a);
    let sync = || Sync {
        token: Token(0),
        member: a.member.clone(),
        instance: None,
        generation: a.generation,
        protocol_type: Some("consumer".into()),
        protocol: Some("range".into()),
        assignments: Vec::new(),
    };
    let cases = [
        (Sync { generation: Generation(0), ..sync() }, Error::IllegalGeneration),
        (Sync { member: MemberId::from("stranger"), ..sync() }, Error::UnknownMember),
        (Sync { protocol_type: Some("connect".into()), ..sync() }, Error::InconsistentProtocol),
        (Sync { protocol: Some("robin".into()), ..sync() }, Error::InconsistentProtocol),
    ];
    for (wrong, error) in cases {
        let token = g.sync_as(wrong);
        assert_eq!(g.synced(token), Err(error));
    }
    let token = g.sync_as(sync());
    g.durable();
    assert!(g.synced(token).is_ok());
}

#[test]
fn a_sync_during_a_rebalance_sends_the_member_to_join() {
    let mut g = Script::start();
    let a = g.alone(new("a"));
    g.join(new("b"));
    let sync = g.sync(&a, &[]);
    assert_eq!(g.synced(sync), Err(Error::RebalanceInProgress));
}

#[test]
fn a_rebalance_sends_waiting_followers_to_join() {
    let mut g = Script::start();
    let a = g.alone(new("a"));
    let b = g.join(new("b"));
    let a = g.join(again(&a.member, "a"));
    let (_, b) = (g.joined(a), g.joined(b));
    let waiting = g.sync(&b, &[]);
    g.join(new("c"));
    assert_eq!(g.synced(waiting), Err(Error::RebalanceInProgress));
}

#[test]
fn an_assignment_that_becomes_durable_too_late_does_not_go_out() {
    let mut g = Script::start();
    let a = g.join(new("a"));
    let a = g.joined(a);
    let sync = g.sync(&a, &[(&a.member, "all")]);
    g.join(new("b"));
    assert_eq!(g.synced(sync), Err(Error::RebalanceInProgress));
    g.durable();
    assert_eq!(g.group.state(), "PreparingRebalance");
}

#[test]
fn a_repeated_sync_of_the_leader_is_stored_once() {
    let mut g = Script::start();
    let a = g.join(new("a"));
    let a = g.joined(a);
    let first = g.sync(&a, &[(&a.member, "all")]);
    let second = g.sync(&a, &[(&a.member, "other")]);
    assert_eq!(g.stores.len(), 1);
    assert_eq!(g.synced(first), Err(Error::RebalanceInProgress));
    g.durable();
    assert_eq!(g.assigned(second), "all");
}

#[test]
fn who_never_syncs_is_given_up_after_the_rebalance_timeout() {
    let mut g = Script::start();
    let a = g.alone(new("a"));
    let b = g.join(new("b"));
    let a = g.join(again(&a.member, "a"));
    let (a, b) = (g.joined(a), g.joined(b));
    let sync = g.sync(&a, &[(&a.member, "left"), (&b.member, "right")]);
    g.durable();
    g.assigned(sync);
    // b lives but never asks for its assignment.
    for _ in 0..REBALANCE / 5 {
        assert_eq!(g.heartbeat(&a), Ok(()));
        assert_eq!(g.heartbeat(&b), Ok(()));
        g.pass(5);
    }
    assert_eq!(g.heartbeat(&b), Err(Error::UnknownMember));
    assert_eq!(g.heartbeat(&a), Err(Error::RebalanceInProgress));
}

#[test]
fn an_assignment_that_does_not_fit_is_refused() {
    let mut g = Script::with(Settings { batch_max_bytes: 64 * 1024, ..Settings::dev() });
    let a = g.join(new("a"));
    let a = g.joined(a);
    let sync = g.sync(&a, &[(&a.member, &"x".repeat(40_000))]);
    assert_eq!(g.synced(sync), Err(Error::TooLarge));
    assert!(g.stores.is_empty());
    assert_eq!(g.group.state(), "PreparingRebalance");
}
