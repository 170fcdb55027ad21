use super::script::{SESSION, Script, identity, new};
use crate::group::{Error, Generation, Identity, InstanceId, MemberId};

fn nobody() -> Identity {
    Identity { member: None, instance: None, generation: Generation(-1) }
}

#[test]
fn who_is_no_member_commits_only_to_an_empty_group() {
    let mut g = Script::start();
    assert_eq!(g.commit(&nobody()), Ok(()));
    let a = g.alone(new("a"));
    assert_eq!(g.commit(&nobody()), Err(Error::UnknownMember));
    g.leave_one(&a.member).unwrap();
    assert_eq!(g.commit(&nobody()), Ok(()));
    assert_eq!(g.commit(&identity(&a)), Err(Error::UnknownMember));
}

#[test]
fn a_member_commits_in_its_generation() {
    let mut g = Script::start();
    let a = g.alone(new("a"));
    assert_eq!(g.commit(&identity(&a)), Ok(()));
    let old = Identity { generation: Generation(0), ..identity(&a) };
    assert_eq!(g.commit(&old), Err(Error::IllegalGeneration));
    let stranger = Identity { member: Some(MemberId::from("x")), ..identity(&a) };
    assert_eq!(g.commit(&stranger), Err(Error::UnknownMember));
    let without_generation = Identity { generation: Generation(-1), ..identity(&a) };
    assert_eq!(g.commit(&without_generation), Err(Error::IllegalGeneration));
    let unknown_instance = Identity { instance: Some(InstanceId::from("i")), ..identity(&a) };
    assert_eq!(g.commit(&unknown_instance), Err(Error::UnknownMember));
}

#[test]
fn a_member_may_commit_before_it_joins_again_but_not_before_it_syncs() {
    let mut g = Script::start();
    let a = g.alone(new("a"));
    let b = g.join(new("b"));
    assert_eq!(g.commit(&identity(&a)), Ok(()));
    let a = g.join(super::script::again(&a.member, "a"));
    let (a, _) = (g.joined(a), g.joined(b));
    assert_eq!(g.commit(&identity(&a)), Err(Error::RebalanceInProgress));
}

#[test]
fn a_commit_keeps_the_session() {
    let mut g = Script::start();
    let a = g.alone(new("a"));
    for _ in 0..5 {
        g.pass(SESSION - 1);
        assert_eq!(g.commit(&identity(&a)), Ok(()));
    }
}
