use std::time::Duration;

use super::room::{Room, everything, key, nobody};
use crate::{
    group::{Error, Generation, GroupId, Identity, MemberId},
    groups::Reply,
    image::Cursor,
    records::{Change, Committed},
    settings::Settings,
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[test]
fn an_offset_is_seen_when_it_is_durable() {
    let mut room = Room::new();
    let token = room.commit("g", &nobody(), key("t", 0), 5);
    room.waits(token);
    assert_eq!(room.fetched("g", key("t", 0)), None);
    room.durable();
    assert_eq!(room.done(token), Ok(()));
    assert_eq!(room.fetched("g", key("t", 0)), Some(5));
    assert_eq!(room.fetched("g", key("t", 1)), None);
    assert_eq!(room.fetched("h", key("t", 0)), None);
}

#[test]
fn a_read_between_two_commits_sees_the_first() {
    let mut room = Room::new();
    let first = room.commit("g", &nobody(), key("t", 0), 5);
    let second = room.commit("g", &nobody(), key("t", 0), 6);
    room.durable_one();
    assert_eq!(room.done(first), Ok(()));
    room.waits(second);
    assert_eq!(room.fetched("g", key("t", 0)), Some(5));
    room.durable();
    assert_eq!(room.fetched("g", key("t", 0)), Some(6));
}

#[test]
fn a_commit_without_offsets_is_answered_at_once() {
    let mut room = Room::new();
    let token = room.commit_all("g", &nobody(), Vec::new());
    assert_eq!(room.done(token), Ok(()));
    assert!(room.writes.is_empty());
}

#[test]
fn a_commit_of_a_generation_needs_its_group() {
    let mut room = Room::new();
    let member = Identity { member: Some(MemberId::from("m")), ..nobody() };
    let member = Identity { generation: Generation(3), ..member };
    let unknown = room.commit("g", &member, key("t", 0), 1);
    assert_eq!(room.done(unknown), Err(Error::GroupNotFound));
    room.commit("g", &nobody(), key("t", 0), 1);
    room.durable();
    let not_a_member = room.commit("g", &member, key("t", 0), 2);
    assert_eq!(room.done(not_a_member), Err(Error::UnknownMember));
}

#[test]
fn members_come_back_from_the_log_and_commit_on() {
    let mut room = Room::new();
    let a = room.alone("g");
    room.crash();
    assert_eq!(room.heartbeat("g", &a), Ok(()));
    let token = room.commit("g", &Room::identity(&a), key("t", 0), 1);
    room.durable();
    assert_eq!(room.done(token), Ok(()));
    room.pass(Duration::from_secs(10));
    assert_eq!(room.heartbeat("g", &a), Err(Error::UnknownMember));
    assert_eq!(room.groups.describe(&GroupId::from("g")).unwrap().state, "Empty");
}

#[test]
fn a_leave_is_answered_when_the_empty_group_is_durable() {
    let mut room = Room::new();
    let a = room.alone("g");
    let token = room.leave("g", &a);
    room.waits(token);
    room.durable();
    let reply = room.replies.remove(&token);
    assert!(matches!(reply, Some(Reply::Leave(_, Ok(results))) if results == [Ok(())]));
    // Nothing of it is in memory but what the log says; that says enough.
    assert!(room.groups.live.is_empty());
    assert_eq!(room.groups.list()[0].state, "Empty");
    assert_eq!(&*room.groups.list()[0].protocol_type, "consumer");
    let token = room.join("g", "b", None);
    assert_eq!(room.joined(token).generation, Generation(a.generation.0 + 2));
}

#[test]
fn a_group_with_members_is_not_deleted() {
    let mut room = Room::new();
    room.alone("g");
    let token = room.delete("g");
    assert_eq!(room.done(token), Err(Error::NonEmptyGroup));
    let token = room.delete("h");
    assert_eq!(room.done(token), Err(Error::GroupNotFound));
}

#[test]
fn deleting_a_group_deletes_its_offsets_and_what_is_about_to_be_committed() {
    let mut room = Room::new();
    room.commit("g", &nobody(), key("t", 0), 1);
    room.durable();
    let about = room.commit("g", &nobody(), key("t", 1), 2);
    let delete = room.delete("g");
    room.durable();
    assert_eq!((room.done(about), room.done(delete)), (Ok(()), Ok(())));
    assert_eq!(room.groups.fetch_all(&GroupId::from("g")), []);
    assert!(room.groups.list().is_empty());
    assert!(room.groups.image().is_empty());
    assert_eq!(room.groups.image().live_bytes(), 0);
}

#[test]
fn a_commit_behind_a_deletion_stays() {
    let mut room = Room::new();
    room.commit("g", &nobody(), key("t", 0), 1);
    room.delete("g");
    room.commit("g", &nobody(), key("t", 0), 2);
    room.durable();
    assert_eq!(room.fetched("g", key("t", 0)), Some(2));
}

#[test]
fn what_a_deleted_group_waited_for_does_not_reach_the_next_of_its_name() {
    let mut room = Room::new();
    let first = room.join("g", "a", None);
    let first = room.joined(first);
    room.sync("g", &first, "old, to");
    room.leave("g", &first);
    room.delete("g");
    // A new group, whose first generation has the number of the old one's.
    let second = room.join("g", "b", None);
    let second = room.joined(second);
    let sync = room.sync("g", &second, "new, to");
    assert_eq!(second.generation, first.generation);
    // The old assignment, the old empty state and the deletion become durable.
    for _ in 0..3 {
        room.durable_one();
    }
    room.waits(sync);
    room.durable();
    let reply = room.replies.remove(&sync);
    assert!(
        matches!(reply, Some(Reply::Sync(_, Ok(synced))) if synced.assignment.starts_with(b"new"))
    );
}

#[test]
fn offsets_expire_when_the_group_has_been_empty_for_long_enough() {
    let mut room = Room::with(Settings { offsets_retention: 2 * DAY, ..Settings::dev() });
    let a = room.alone("g");
    room.commit("g", &Room::identity(&a), key("t", 0), 1);
    room.durable();
    // As long as the member lives, nothing expires.
    for _ in 0..4 * 24 * 60 * 60 / 9 {
        room.pass(Duration::from_secs(9));
        assert_eq!(room.heartbeat("g", &a), Ok(()));
    }
    room.leave("g", &a);
    room.durable();
    room.pass(2 * DAY - Duration::from_secs(1));
    assert!(room.writes.is_empty());
    assert_eq!(room.fetched("g", key("t", 0)), Some(1));
    room.pass(Duration::from_secs(601));
    room.durable();
    assert_eq!(room.fetched("g", key("t", 0)), None);
    assert!(room.groups.list().is_empty());
}

#[test]
fn offsets_of_nobody_expire_one_by_one() {
    let mut room = Room::with(Settings { offsets_retention: 2 * DAY, ..Settings::dev() });
    room.commit("g", &nobody(), key("t", 0), 1);
    room.durable();
    room.pass(DAY);
    room.commit("g", &nobody(), key("t", 1), 2);
    room.durable();
    room.pass(DAY + DAY / 2);
    room.durable();
    assert_eq!(room.fetched("g", key("t", 0)), None);
    assert_eq!(room.fetched("g", key("t", 1)), Some(2));
    room.pass(DAY);
    room.durable();
    assert!(room.groups.image().is_empty());
}

#[test]
fn an_offset_with_its_own_time_goes_then() {
    let mut room = Room::new();
    let mut committed = room.committed(1);
    committed.expires = Some(weir_ids::Timestamp(committed.at.0 + 60_000));
    room.commit_all("g", &nobody(), vec![(key("t", 0), committed)]);
    room.durable();
    room.pass(Duration::from_secs(11 * 60));
    room.durable();
    assert!(room.groups.image().is_empty());
}

#[test]
fn expiry_does_not_take_back_a_commit_that_is_on_its_way() {
    let mut room = Room::with(Settings { offsets_retention: DAY, ..Settings::dev() });
    room.commit("g", &nobody(), key("t", 0), 1);
    room.durable();
    room.pass(DAY - Duration::from_secs(1));
    let token = room.commit("g", &nobody(), key("t", 0), 2);
    room.pass(Duration::from_secs(700));
    room.durable();
    assert_eq!(room.done(token), Ok(()));
    assert_eq!(room.fetched("g", key("t", 0)), Some(2));
}

#[test]
fn offsets_of_topics_that_are_gone_go_from_groups_with_members_too() {
    let mut room = Room::new();
    let a = room.alone("g");
    for topic in ["kept", "gone"] {
        room.commit("g", &Room::identity(&a), key(topic, 0), 1);
        room.commit("nobody", &nobody(), key(topic, 0), 1);
    }
    room.commit("only-gone", &nobody(), key("gone", 0), 1);
    room.durable();
    room.gone.insert("gone".to_owned());
    for _ in 0..70 {
        room.pass(Duration::from_secs(9));
        room.heartbeat("g", &a).unwrap();
    }
    room.durable();
    for group in ["g", "nobody"] {
        assert_eq!(room.fetched(group, key("gone", 0)), None);
        assert_eq!(room.fetched(group, key("kept", 0)), Some(1));
    }
    let left: Vec<_> = room.groups.list().into_iter().map(|group| group.group).collect();
    assert_eq!(left, [GroupId::from("g"), GroupId::from("nobody")]);
}

#[test]
fn a_group_that_was_only_asked_for_an_id_leaves_nothing() {
    let mut room = Room::new();
    let token = room.token();
    let join = crate::group::Join { id_first: true, ..super::random::any_join(token, "a") };
    room.join_as("g", join);
    assert_eq!(room.groups.list().len(), 1);
    room.pass(Duration::from_secs(10));
    assert!(room.groups.list().is_empty() && room.groups.live.is_empty());
    assert!(room.writes.is_empty() && room.log.is_empty());
}

#[test]
fn groups_are_bounded() {
    let mut room = Room::with(Settings { groups_max: 2, ..Settings::dev() });
    room.alone("a");
    room.commit("b", &nobody(), key("t", 0), 1);
    room.durable();
    let commit = room.commit("c", &nobody(), key("t", 0), 1);
    assert_eq!(room.done(commit), Err(Error::MaxSizeReached));
    let join = room.join("c", "c", None);
    assert!(matches!(room.replies.remove(&join), Some(Reply::Join(_, Err(_)))));
    let known = room.commit("b", &nobody(), key("t", 1), 1);
    room.durable();
    assert_eq!(room.done(known), Ok(()));
}

#[test]
fn a_walk_in_pages_sees_all_and_nothing_twice() {
    let mut room = Room::new();
    room.alone("b");
    for group in ["a", "b", "c"] {
        let member = |room: &Room| match group {
            "b" => Room::identity(&room_member(room)),
            _ => nobody(),
        };
        for partition in 0..5 {
            let from = member(&room);
            room.commit(group, &from, key("t", partition), 1);
        }
    }
    room.durable();
    let whole = everything(room.groups.image());
    assert_eq!(whole.len(), 16);
    for bytes in [1, 100, 250] {
        let mut cursor = Cursor::default();
        let mut paged = Vec::new();
        loop {
            let page = room.groups.image().page(&mut cursor, bytes);
            if page.is_empty() {
                break;
            }
            paged.extend(page);
        }
        assert_eq!(paged, whole);
    }
}

/// The one member of group `b`.
fn room_member(room: &Room) -> crate::group::Joined {
    let described = room.groups.describe(&GroupId::from("b")).unwrap();
    let member = described.members[0].member.clone();
    crate::group::Joined {
        generation: Generation(1),
        protocol_type: None,
        protocol: None,
        leader: member.clone(),
        member,
        members: Vec::new(),
        skip_assignment: false,
    }
}

#[test]
fn a_topic_is_named_once_in_memory() {
    let mut room = Room::new();
    for partition in 0..3 {
        room.commit(
            "g",
            &nobody(),
            key("a-long-name-of-a-topic-that-is-not-inlined", partition),
            1,
        );
    }
    room.durable();
    let offsets: Vec<(_, Committed)> = room.groups.fetch_all(&GroupId::from("g"));
    let first = offsets[0].0.topic.as_ptr();
    assert!(offsets.iter().all(|(key, _)| key.topic.as_ptr() == first));
}

#[test]
fn a_group_state_that_can_not_be_read_counts_as_none() {
    let mut image = crate::image::Image::default();
    let id = GroupId::from("g");
    let damaged = Change::Group(id.clone(), Some(bytes::Bytes::from_static(b"\0\x09rubbish")));
    assert!(image.apply(damaged).is_err());
    assert!(image.group(&id).is_none());
    assert_eq!(image.live_bytes(), 0);
}
