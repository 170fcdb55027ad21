use super::script::{Script, again, fixed, new};
use crate::group::{Error, Generation, InstanceId, Join, Leaving, MemberId, Then};
use crate::records;

#[test]
fn the_last_to_leave_stores_an_empty_group() {
    let mut g = Script::start();
    let a = g.alone(new("a"));
    assert_eq!(g.leave_one(&a.member), Ok(()));
    assert_eq!((g.group.state(), g.generation()), ("Empty", Generation(2)));
    assert_eq!(g.stores[0].then, Then::Nothing);
    let stored = records::read_group(&g.stores[0].value).unwrap();
    assert_eq!((stored.generation, stored.members.len()), (2, 0));
    assert_eq!((stored.leader, stored.protocol), (None, None));
    assert_eq!(&*stored.protocol_type, "consumer");
}

#[test]
fn who_is_left_rebalances_and_another_leads() {
    let mut g = Script::start();
    let (a, b) = g.pair(new("a"), new("b"));
    assert_eq!(g.leave_one(&a.member), Ok(()));
    assert_eq!(g.heartbeat(&b), Err(Error::RebalanceInProgress));
    let token = g.join(again(&b.member, "b"));
    let joined = g.joined(token);
    assert_eq!(joined.leader, b.member);
    assert_eq!(joined.generation, b.generation.next());
}

#[test]
fn leaving_completes_a_rebalance_that_waited_for_the_member() {
    let mut g = Script::start();
    let (a, b) = g.pair(new("a"), new("b"));
    let token = g.join(again(&a.member, "a"));
    g.waits(token);
    assert_eq!(g.leave_one(&b.member), Ok(()));
    assert_eq!(g.joined(token).members.len(), 1);
}

#[test]
fn a_waiting_join_is_answered_when_its_member_leaves() {
    let mut g = Script::start();
    let (a, b) = g.pair(new("a"), new("b"));
    let token = g.join(again(&a.member, "a"));
    assert_eq!(g.leave_one(&a.member), Ok(()));
    let refused = g.refused(token);
    assert_eq!((refused.error, refused.member), (Error::UnknownMember, None));
    assert_eq!(g.heartbeat(&b), Err(Error::RebalanceInProgress));
}

#[test]
fn each_member_of_a_batch_has_its_result() {
    let mut g = Script::start();
    let (a, b) = g.pair(new("a"), fixed("b"));
    let by_instance = Some(InstanceId::from("b"));
    let results = g.leave(&[
        Leaving { member: Some(MemberId::from("stranger")), instance: None },
        Leaving { member: None, instance: None },
        Leaving { member: None, instance: Some(InstanceId::from("nobody")) },
        Leaving { member: Some(a.member.clone()), instance: by_instance.clone() },
        Leaving { member: None, instance: by_instance },
        Leaving { member: Some(a.member), instance: None },
    ]);
    let expected = [
        Err(Error::UnknownMember),
        Err(Error::UnknownMember),
        Err(Error::UnknownMember),
        Err(Error::FencedInstance),
        Ok(()),
        Ok(()),
    ];
    assert_eq!(results, expected);
    assert_eq!(g.heartbeat(&b), Err(Error::UnknownMember));
    assert_eq!(g.group.state(), "Empty");
}

#[test]
fn an_id_that_was_handed_out_can_be_given_back() {
    let mut g = Script::start();
    let a = g.alone(new("a"));
    let b = g.join(Join { id_first: true, ..new("b") });
    let b = g.refused(b).member.expect("an id");
    let token = g.join(again(&a.member, "a"));
    g.waits(token);
    assert_eq!(g.leave_one(&b), Ok(()));
    g.joined(token);
}
