//! Static membership (KIP-345, KIP-814).

use super::script::{SESSION, Script, fixed, new, offers};
use crate::group::{Error, Identity, InstanceId, Join, Leaving};

#[test]
fn a_restarted_member_keeps_its_assignment_without_a_rebalance() {
    let mut g = Script::start();
    let (a, b) = g.pair(new("a"), fixed("b"));
    let token = g.join(fixed("b"));
    g.waits(token);
    g.durable();
    let back = g.joined(token);
    assert_ne!(back.member, b.member);
    assert_eq!((back.generation, &back.leader), (b.generation, &a.member));
    assert_eq!(g.heartbeat(&a), Ok(()));
    let sync = g.sync(&back, &[]);
    assert_eq!(g.assigned(sync), "right");
}

#[test]
fn the_old_self_is_fenced() {
    let mut g = Script::start();
    let (_, b) = g.pair(new("a"), fixed("b"));
    let token = g.join(fixed("b"));
    g.durable();
    g.joined(token);
    let old = Identity {
        member: Some(b.member.clone()),
        instance: Some(InstanceId::from("b")),
        generation: b.generation,
    };
    assert_eq!(g.commit(&old), Err(Error::FencedInstance));
    assert_eq!(g.heartbeat(&b), Err(Error::UnknownMember));
    let rejoin = g.join(Join { member: Some(b.member), ..fixed("b") });
    assert_eq!(g.refused(rejoin).error, Error::FencedInstance);
}

#[test]
fn what_the_old_self_waits_for_is_fenced_at_once() {
    let mut g = Script::start();
    let (a, b) = g.pair(fixed("a"), fixed("b"));
    let old = g.join(Join { member: Some(a.member.clone()), ..fixed("a") });
    let new = g.join(fixed("a"));
    let refused = g.refused(old);
    assert_eq!((refused.error, refused.member), (Error::FencedInstance, Some(a.member)));
    g.waits(new);
    let b = g.join(Join { member: Some(b.member), ..fixed("b") });
    g.joined(new);
    g.joined(b);
}

#[test]
fn a_restarted_leader_is_told_to_leave_the_assignment_as_it_is() {
    let mut g = Script::start();
    let (a, b) = g.pair(fixed("a"), new("b"));
    let token = g.join(Join { can_skip: true, ..fixed("a") });
    g.durable();
    let back = g.joined(token);
    assert!(back.skip_assignment);
    assert_eq!(back.leader, back.member);
    assert_eq!(back.members.len(), 2);
    assert_eq!(back.generation, a.generation);
    assert_eq!(g.heartbeat(&b), Ok(()));
}

#[test]
fn a_restarted_leader_of_an_old_version_takes_itself_for_a_follower() {
    let mut g = Script::start();
    let (a, _) = g.pair(fixed("a"), new("b"));
    let token = g.join(fixed("a"));
    g.durable();
    let back = g.joined(token);
    assert_eq!((&back.leader, back.skip_assignment), (&a.member, false));
    assert!(back.members.is_empty());
    let sync = g.sync(&back, &[]);
    assert_eq!(g.assigned(sync), "left");
}

#[test]
fn a_member_that_changes_the_vote_begins_a_rebalance() {
    let mut g = Script::start();
    let both = |name: &str, names: &[&str]| Join { protocols: offers(names, name), ..fixed(name) };
    let (a, _) = g.pair(both("a", &["range", "robin"]), both("b", &["range", "robin"]));
    let token = g.join(both("b", &["robin"]));
    g.waits(token);
    assert_eq!(g.heartbeat(&a), Err(Error::RebalanceInProgress));
    let a = g.join(Join { member: Some(a.member), ..both("a", &["range", "robin"]) });
    assert_eq!(g.joined(a).protocol.as_deref(), Some("robin"));
    g.joined(token);
}

#[test]
fn a_return_while_the_leader_assigns_begins_anew() {
    let mut g = Script::start();
    let (a, b) = g.pair(new("a"), fixed("b"));
    let a2 = g.join(Join { member: Some(a.member), ..new("a") });
    let b2 = g.join(Join { member: Some(b.member), ..fixed("b") });
    let (a, b) = (g.joined(a2), g.joined(b2));
    let waiting = g.sync(&b, &[]);
    let back = g.join(fixed("b"));
    assert_eq!(g.synced(waiting), Err(Error::FencedInstance));
    g.waits(back);
    assert_eq!(g.heartbeat(&a), Err(Error::RebalanceInProgress));
}

#[test]
fn an_absent_static_member_is_kept_in_a_rebalance_until_its_session_ends() {
    let mut g = Script::start();
    let (a, b) = g.pair(new("a"), fixed("b"));
    let c = g.join(new("c"));
    let a2 = g.join(Join { member: Some(a.member), ..new("a") });
    g.waits(a2);
    g.waits(c);
    // Its session ends before the time to join is up, and the others go on without it.
    g.pass(SESSION);
    assert_eq!(g.joined(a2).members.len(), 2);
    g.joined(c);
    let from = Identity {
        member: Some(b.member),
        instance: Some(InstanceId::from("b")),
        generation: b.generation,
    };
    assert_eq!(g.commit(&from), Err(Error::UnknownMember));
}

#[test]
fn an_administrator_removes_it_by_its_instance_id() {
    let mut g = Script::start();
    let a = g.alone(fixed("a"));
    let result = g.leave(&[Leaving { member: None, instance: Some(InstanceId::from("a")) }]);
    assert_eq!(result, [Ok(())]);
    assert_eq!(g.heartbeat(&a), Err(Error::UnknownMember));
}

#[test]
fn a_return_survives_a_crash() {
    let mut g = Script::start();
    g.pair(new("a"), fixed("b"));
    let token = g.join(fixed("b"));
    let stored = g.stores[0].clone();
    g.durable();
    let back = g.joined(token);
    g.crash(&stored);
    assert_eq!(g.heartbeat(&back), Ok(()));
    let sync = g.sync(&back, &[]);
    assert_eq!(g.assigned(sync), "right");
}
