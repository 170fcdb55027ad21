use super::script::{REBALANCE, SESSION, Script, again, new};
use crate::{
    group::{Error, Join},
    settings::Settings,
};
use std::time::Duration;

#[test]
fn a_silent_member_is_given_up_after_its_session() {
    let mut g = Script::start();
    let (a, b) = g.pair(new("a"), new("b"));
    g.pass(SESSION - 1);
    assert_eq!(g.heartbeat(&a), Ok(()));
    g.pass(1);
    assert_eq!(g.heartbeat(&b), Err(Error::UnknownMember));
    assert_eq!(g.heartbeat(&a), Err(Error::RebalanceInProgress));
}

#[test]
fn a_heartbeat_gives_a_whole_session() {
    let mut g = Script::start();
    let a = g.alone(new("a"));
    for _ in 0..10 {
        g.pass(SESSION - 1);
        assert_eq!(g.heartbeat(&a), Ok(()));
    }
    g.pass(SESSION);
    assert_eq!(g.group.state(), "Empty");
}

#[test]
fn who_does_not_come_back_in_time_is_left_behind() {
    let mut g = Script::start();
    let lasting = |name: &str| Join { session_timeout: Duration::from_secs(300), ..new(name) };
    let (a, b) = g.pair(lasting("a"), lasting("b"));
    let c = g.join(lasting("c"));
    let token = g.join(Join { member: Some(a.member), ..lasting("a") });
    g.pass(REBALANCE - 1);
    g.waits(c);
    assert_eq!(g.heartbeat(&b), Err(Error::RebalanceInProgress));
    g.pass(1);
    assert_eq!(g.joined(token).members.len(), 2);
    g.joined(c);
    assert_eq!(g.heartbeat(&b), Err(Error::UnknownMember));
}

#[test]
fn a_leader_that_stays_away_is_replaced() {
    let mut g = Script::start();
    let lasting = |name: &str| Join { session_timeout: Duration::from_secs(300), ..new(name) };
    let (_, b) = g.pair(lasting("a"), lasting("b"));
    let news = Join { protocols: super::script::offers(&["range"], "news"), ..lasting("b") };
    let token = g.join(Join { member: Some(b.member.clone()), ..news });
    g.pass(REBALANCE);
    let joined = g.joined(token);
    assert_eq!((joined.leader, joined.members.len()), (b.member, 1));
}

#[test]
fn a_member_whose_join_waits_is_not_given_up() {
    let mut g = Script::start();
    let lasting = Join { session_timeout: Duration::from_secs(300), ..new("b") };
    let (a, b) = g.pair(new("a"), lasting);
    let token = g.join(again(&a.member, "a"));
    g.pass(SESSION * 3);
    g.waits(token);
    assert_eq!(g.leave_one(&b.member), Ok(()));
    let a = g.joined(token);
    // And then it has a whole session.
    g.pass(SESSION - 1);
    assert_eq!(g.heartbeat(&a), Ok(()));
}

#[test]
fn a_new_member_that_waits_too_long_is_sent_to_join_again() {
    let mut g = Script::with(Settings::default());
    let endless = Duration::from_secs(30 * 60);
    let a = Join { session_timeout: endless, rebalance_timeout: endless, ..new("a") };
    let token = g.join(a.clone());
    g.pass(3);
    let first = g.joined(token);
    let waiting = g.join(Join { rebalance_timeout: endless, ..new("b") });
    // The first member lives, but does not come back.
    for _ in 0..29 {
        g.pass(10);
        assert_eq!(g.heartbeat(&first), Err(Error::RebalanceInProgress));
    }
    g.waits(waiting);
    g.pass(10);
    let refused = g.refused(waiting);
    assert_eq!((refused.error, refused.member), (Error::UnknownMember, None));
}

#[test]
fn a_leader_that_dies_before_it_assigns_is_given_up() {
    let mut g = Script::start();
    let a = g.alone(new("a"));
    let b = g.join(new("b"));
    let a = g.join(again(&a.member, "a"));
    let (_, b) = (g.joined(a), g.joined(b));
    let waiting = g.sync(&b, &[]);
    g.pass(SESSION);
    assert_eq!(g.synced(waiting), Err(Error::RebalanceInProgress));
    let b2 = g.join(again(&b.member, "b"));
    assert_eq!(g.joined(b2).leader, b.member);
}

#[test]
fn all_members_dying_at_once_leaves_an_empty_group() {
    let mut g = Script::start();
    g.pair(new("a"), new("b"));
    g.pass(SESSION + REBALANCE);
    assert_eq!(g.group.state(), "Empty");
    assert!(g.group.is_vacant());
    assert_eq!(g.group.next_deadline(), None);
}

#[test]
fn members_that_allow_no_time_do_not_keep_it_spinning() {
    let mut g = Script::start();
    let hasty =
        |name: &str| Join { rebalance_timeout: Duration::ZERO, ..super::script::fixed(name) };
    let (a, _) = g.pair(hasty("a"), hasty("b"));
    // Both are away, and as static members they are waited for; `pass` sees that time goes on.
    let token = g.join(Join { member: Some(a.member.clone()), ..hasty("a") });
    g.waits(token);
    g.pass(SESSION * 2);
    g.joined(token);
    g.pass(REBALANCE);
    assert_eq!(g.group.state(), "Empty");
}
