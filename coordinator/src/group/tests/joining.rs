use super::script::{Script, again, new, offers};
use crate::{
    group::{Error, Generation, Join},
    settings::Settings,
};
use std::time::Duration;

#[test]
fn the_first_member_leads_and_is_told_of_all() {
    let mut g = Script::start();
    let a = g.join(new("a"));
    let a = g.joined(a);
    assert_eq!(a.generation, Generation(1));
    assert_eq!(a.leader, a.member);
    assert!(a.member.0.starts_with("a-"));
    assert_eq!(a.protocol.as_deref(), Some("range"));
    assert_eq!(a.protocol_type.as_deref(), Some("consumer"));
    let told: Vec<_> = a.members.iter().map(|m| (&m.member, &m.metadata[..])).collect();
    assert_eq!(told, [(&a.member, &b"a"[..])]);
}

#[test]
fn a_second_member_makes_the_first_join_again() {
    let mut g = Script::start();
    let a = g.alone(new("a"));
    let b = g.join(new("b"));
    g.waits(b);
    assert_eq!(g.heartbeat(&a), Err(Error::RebalanceInProgress));
    let a = g.join(again(&a.member, "a"));
    let (a, b) = (g.joined(a), g.joined(b));
    assert_eq!((a.generation, b.generation), (Generation(2), Generation(2)));
    assert_eq!(b.leader, a.member);
    assert_eq!((a.members.len(), b.members.len()), (2, 0));
}

#[test]
fn from_version_4_a_member_joins_with_the_id_that_it_was_given() {
    let mut g = Script::start();
    let first = g.join(Join { id_first: true, ..new("a") });
    let refused = g.refused(first);
    assert_eq!(refused.error, Error::MemberIdRequired);
    let id = refused.member.expect("an id");
    let second = g.join(Join { id_first: true, ..again(&id, "a") });
    assert_eq!(g.joined(second).member, id);
}

#[test]
fn an_id_that_is_not_used_is_forgotten_with_its_session() {
    let mut g = Script::start();
    let first = g.join(Join { id_first: true, ..new("a") });
    let id = g.refused(first).member.expect("an id");
    g.pass(super::script::SESSION);
    assert!(g.group.is_vacant());
    let late = g.join(again(&id, "a"));
    assert_eq!(g.refused(late).error, Error::UnknownMember);
}

#[test]
fn a_rebalance_waits_for_ids_that_are_handed_out() {
    let mut g = Script::start();
    let a = g.alone(new("a"));
    let b = g.join(Join { id_first: true, ..new("b") });
    let b = g.refused(b).member.expect("an id");
    let a = g.join(again(&a.member, "a"));
    g.waits(a);
    let b = g.join(again(&b, "b"));
    assert_eq!(g.joined(a).members.len(), 2);
    g.joined(b);
}

#[test]
fn the_first_rebalance_waits_for_more_members_up_to_the_rebalance_timeout() {
    let delay = Duration::from_secs(3);
    let mut g = Script::with(Settings { initial_rebalance_delay: delay, ..Settings::default() });
    let short = |name| Join { rebalance_timeout: Duration::from_secs(7), ..new(name) };
    let a = g.join(short("a"));
    g.pass(2);
    let b = g.join(short("b"));
    // b came within the first three seconds, so there are three more.
    g.pass(3);
    g.waits(a);
    let c = g.join(short("c"));
    // Of the seven seconds one is left.
    g.pass(1);
    g.waits(a);
    let d = g.join(short("d"));
    g.pass(1);
    let all = [a, b, c, d].map(|token| g.joined(token));
    assert!(all.iter().all(|joined| joined.generation == Generation(1)));
    assert_eq!(all.iter().map(|joined| joined.members.len()).sum::<usize>(), 4);
}

#[test]
fn the_first_rebalance_ends_after_its_delay_if_nobody_comes() {
    let mut g = Script::with(Settings::default());
    let a = g.join(new("a"));
    g.pass(2);
    g.waits(a);
    g.pass(1);
    g.joined(a);
}

#[test]
fn the_protocol_is_what_most_want_of_what_all_have() {
    let mut g = Script::start();
    let offering =
        |name: &str, names: &[&str]| Join { protocols: offers(names, name), ..new(name) };
    let a = g.alone(offering("a", &["sticky", "range", "robin"]));
    let b = g.join(offering("b", &["range", "robin"]));
    let c = g.join(offering("c", &["robin", "range"]));
    let a = g.join(Join { member: Some(a.member), ..offering("a", &["sticky", "range", "robin"]) });
    // Not sticky: a alone has it. Two of three want range before robin.
    assert_eq!(g.joined(a).protocol.as_deref(), Some("range"));
    g.joined(b);
    g.joined(c);
}

#[test]
fn who_has_nothing_in_common_is_refused() {
    let mut g = Script::start();
    g.alone(new("a"));
    let other_protocol = g.join(Join { protocols: offers(&["robin"], "b"), ..new("b") });
    let other_type = g.join(Join { protocol_type: "connect".into(), ..new("c") });
    for token in [other_protocol, other_type] {
        assert_eq!(g.refused(token).error, Error::InconsistentProtocol);
    }
    assert_eq!(g.group.state(), "Stable");
}

#[test]
fn nobody_comes_in_without_a_protocol() {
    let mut g = Script::start();
    let none = g.join(Join { protocols: offers(&[], "a"), ..new("a") });
    let no_type = g.join(Join { protocol_type: "".into(), ..new("a") });
    assert_eq!(g.refused(none).error, Error::InconsistentProtocol);
    assert_eq!(g.refused(no_type).error, Error::InconsistentProtocol);
}

#[test]
fn a_follower_with_nothing_new_gets_the_generation_it_has() {
    let mut g = Script::start();
    let (a, b) = g.pair(new("a"), new("b"));
    let token = g.join(again(&b.member, "b"));
    let told = g.joined(token);
    assert_eq!((told.generation, told.leader), (a.generation, a.member));
    assert_eq!(g.group.state(), "Stable");
}

#[test]
fn a_follower_with_news_and_a_leader_at_any_time_begin_a_rebalance() {
    let mut g = Script::start();
    let (a, b) = g.pair(new("a"), new("b"));
    let news = Join { protocols: offers(&["range"], "b, other topics"), ..new("b") };
    let token = g.join(Join { member: Some(b.member.clone()), ..news.clone() });
    g.waits(token);
    let leader = g.join(again(&a.member, "a"));
    let (a, b) = (g.joined(leader), g.joined(token));
    let told = a.members.iter().find(|m| m.member == b.member).expect("b is told of");
    assert_eq!(&told.metadata[..], b"b, other topics");
    g.assign_halves(&a, &b);

    let leader = g.join(again(&a.member, "a"));
    g.waits(leader);
    let follower = g.join(Join { member: Some(b.member), ..news });
    assert_eq!(g.joined(leader).generation, a.generation.next());
    g.joined(follower);
}

#[test]
fn a_lost_answer_is_given_again_while_assignments_are_awaited() {
    let mut g = Script::start();
    let a = g.join(new("a"));
    let a = g.joined(a);
    let retry = g.join(again(&a.member, "a"));
    assert_eq!(g.joined(retry), a);
}

#[test]
fn a_newer_join_of_a_member_answers_the_older() {
    let mut g = Script::start();
    let (a, b) = g.pair(new("a"), new("b"));
    let older = g.join(again(&a.member, "a"));
    let newer = g.join(again(&a.member, "a"));
    assert_eq!(g.refused(older).error, Error::RebalanceInProgress);
    let b = g.join(again(&b.member, "b"));
    g.joined(newer);
    g.joined(b);
}

#[test]
fn a_full_group_takes_only_its_own() {
    let mut g = Script::with(Settings { group_max_size: 2, ..Settings::dev() });
    let (a, b) = g.pair(new("a"), new("b"));
    let c = g.join(new("c"));
    let refused = g.refused(c);
    assert_eq!((refused.error, refused.member), (Error::MaxSizeReached, None));
    let a = g.join(again(&a.member, "a"));
    let b = g.join(again(&b.member, "b"));
    g.joined(a);
    g.joined(b);
}

#[test]
fn ids_that_are_handed_out_are_bounded() {
    let mut g = Script::with(Settings { group_max_size: 2, ..Settings::dev() });
    let asks = || Join { id_first: true, ..new("a") };
    for _ in 0..4 {
        let token = g.join(asks());
        assert_eq!(g.refused(token).error, Error::MemberIdRequired);
    }
    let token = g.join(asks());
    assert_eq!(g.refused(token).error, Error::MaxSizeReached);
}

#[test]
fn metadata_beyond_the_setting_is_refused() {
    let mut g = Script::with(Settings { member_metadata_max_bytes: 100, ..Settings::dev() });
    let large = "x".repeat(101);
    let token = g.join(Join { protocols: offers(&["range"], &large), ..new("a") });
    assert_eq!(g.refused(token).error, Error::InvalidRequest);
    assert!(g.group.is_vacant());
}

/// KIP-429: a member that had to give something up joins again at once, so that it can be given to
/// another in the next generation.
#[test]
fn a_cooperative_rebalance_takes_a_second_join() {
    let mut g = Script::start();
    let a = g.alone(new("a"));
    let b = g.join(new("b"));
    let a = g.join(again(&a.member, "a"));
    let (a, b) = (g.joined(a), g.joined(b));
    // The leader takes from a, and gives b nothing yet.
    let (one, two) = (g.sync(&a, &[(&a.member, "left"), (&b.member, "")]), g.sync(&b, &[]));
    g.durable();
    assert_eq!((g.assigned(one), g.assigned(two)), ("left".into(), String::new()));
    let follow_up = Join { protocols: offers(&["range"], "a, owns left"), ..again(&a.member, "a") };
    let a2 = g.join(follow_up);
    assert_eq!(g.heartbeat(&b), Err(Error::RebalanceInProgress));
    let b2 = g.join(again(&b.member, "b"));
    let (a, b) = (g.joined(a2), g.joined(b2));
    g.assign_halves(&a, &b);
}
