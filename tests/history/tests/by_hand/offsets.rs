//! Promises to groups about their committed offsets.

use weir_history::{Client, Event, Order, Source, Violation};

use super::story::{GROUP, READER, Story, any, once, place, story};

#[test]
fn a_committed_offset_does_not_go_back() {
    let tell = |read| story(|it| it.commits_offset(5).commits_offset(7).reads_offset(read));
    let by = Source::Run { client: Client(1), at: Order(4) };
    let known = Source::Run { client: Client(1), at: Order(3) };
    let now = place(0, 5);
    let back = Violation::OffsetWentBack { group: GROUP, now, by, was: 7, known };
    assert_eq!(tell(5).violations(), [back]);
    assert!(tell(7).found().is_empty());
    assert_eq!(tell(-1).found(), ["committed offset went back"]);
}

#[test]
fn an_unclear_commit_may_hold_or_not_but_once_seen_it_stays() {
    let tell = |reads: &[i64]| {
        let mut story = story(|it| it.commits_offset(5).sends_offset(7));
        reads.iter().for_each(|read| _ = story.reads_offset(*read));
        story.found()
    };
    assert!(tell(&[5, 5, 7, 7]).is_empty());
    assert_eq!(tell(&[5, 7, 5]), ["committed offset went back"]);
}

#[test]
fn a_commit_without_an_answer_may_arrive_late_and_once() {
    let tell = |reads: &[i64]| {
        let mut story = story(|it| it.sends_offset(5).commits_offset(7).commits_offset(9));
        reads.iter().for_each(|read| _ = story.reads_offset(*read));
        story.found()
    };
    assert!(tell(&[9, 5, 5]).is_empty());
    assert_eq!(tell(&[9, 7]), ["committed offset went back"], "that one has arrived");
    assert_eq!(tell(&[9, 5, 9, 5]), ["committed offset went back"]);
    let mut end = story(|it| it.sends_offset(5).commits_offset(7));
    end.end.offsets = vec![(GROUP, place(0, 5))];
    assert!(end.found().is_empty());
}

#[test]
fn who_asked_before_a_commit_arrived_late_may_be_told_what_was_before() {
    let tell = |asks_before: bool| {
        let mut story = story(|it| it.sends_offset(5).commits_offset(7));
        let before = story.now();
        story.reads_offset(5);
        let asked = if asks_before { before } else { story.now() };
        story.then(READER, Event::OffsetRead { group: GROUP, place: place(0, 7), asked });
        story.reads_offset(5).found()
    };
    assert!(tell(true).is_empty());
    assert_eq!(tell(false), ["committed offset went back"]);
}

#[test]
fn a_commit_that_arrives_late_may_overtake_what_is_not_yet_answered() {
    let tell = |sent_before: bool| {
        let mut story = story(|it| it.sends_offset(5).commits_offset(7));
        if sent_before {
            story.sends_offset(9).reads_offset(5).acks_offset(9);
        } else {
            story.reads_offset(5).sends_offset(9).acks_offset(9);
        }
        story.reads_offset(5).found()
    };
    assert!(tell(true).is_empty());
    assert_eq!(tell(false), ["committed offset went back"]);
}

#[test]
fn an_answer_is_bound_by_what_was_acknowledged_before_it_was_asked_for() {
    let tell = |asked: u64| {
        story(|it| {
            let asked = Order(asked);
            let event = Event::OffsetRead { group: GROUP, place: place(0, 5), asked };
            it.commits_offset(5).commits_offset(7).then(READER, event)
        })
    };
    assert!(tell(3).found().is_empty());
    assert_eq!(tell(4).found(), ["committed offset went back"]);
}

#[test]
fn who_commits_a_lower_offset_takes_it_back() {
    let tell = |last: &[i64]| {
        let mut story = story(|it| it.commits_offset(7).commits_offset(3));
        last.iter().for_each(|read| _ = story.reads_offset(*read));
        story.found()
    };
    assert!(tell(&[3]).is_empty());
    assert_eq!(tell(&[-1]), ["committed offset went back"]);
    // While that is unclear both may hold.
    let unclear = story(|it| it.commits_offset(7).sends_offset(3).reads_offset(7).reads_offset(3));
    assert!(unclear.found().is_empty());
    let forward =
        story(|it| it.commits_offset(7).commits_offset(3).commits_offset(6).reads_offset(3));
    assert_eq!(forward.found(), ["committed offset went back"]);
}

#[test]
fn a_committed_offset_was_sent() {
    let tell = |read| story(|it| it.commits_offset(5).sends_offset(7).reads_offset(read));
    assert_eq!(tell(6).found(), ["invented commit"]);
    assert!(tell(7).found().is_empty());
    // Where nobody told what was sent, nobody knows.
    assert!(story(|it| it.reads_offset(6).reads_offset(8)).found().is_empty());
    assert_eq!(
        story(|it| it.reads_offset(6).reads_offset(4)).found(),
        ["committed offset went back"]
    );
}

/// Transaction 0 commits an offset beside a record.
fn in_transaction(it: &mut Story) -> &mut Story {
    it.commits_offset(5).writes_in(0, 0, once(0)).sends_offset_in(0, 7).control(0)
}

#[test]
fn an_offset_of_a_transaction_holds_when_that_is_committed() {
    let tell = |read| {
        story(|it| in_transaction(it).commits(0).reads_offset(read).shows(&[once(0)])).found()
    };
    assert!(tell(7).is_empty());
    assert_eq!(tell(5), ["committed offset went back"]);
    let before = story(|it| in_transaction(it).reads_offset(5).commits(0).shows(&[once(0)]));
    assert!(before.found().is_empty());
}

#[test]
fn an_offset_of_an_aborted_transaction_never_holds() {
    let tell = |read| story(|it| in_transaction(it).aborts(0).reads_offset(read).shows(&[]));
    assert!(tell(5).found().is_empty());
    assert_eq!(tell(7).found(), ["aborted commit"]);
    // Sent once more alone it may.
    let again =
        story(|it| in_transaction(it).aborts(0).commits_offset(7).reads_offset(7).shows(&[]));
    assert!(again.found().is_empty());
}

#[test]
fn an_offset_that_was_also_sent_alone_may_hold() {
    let tell = |alone: bool| {
        story(|it| {
            if alone {
                it.commits_offset(7);
            }
            in_transaction(it).aborts(0).reads_offset(7).shows(&[])
        })
    };
    assert!(tell(true).found().is_empty());
    assert_eq!(tell(false).found(), ["aborted commit"]);
}

#[test]
fn an_unclear_transaction_binds_nobody_who_went_back_after_it() {
    let tell = |back: bool| {
        let mut story = story(|it| {
            in_transaction(it).committing(0).shows(&[once(0)]);
            if back { it.commits_offset(3) } else { it.sends_offset(9) }
        });
        story.end.offsets = vec![(GROUP, place(0, 3))];
        story.found()
    };
    assert!(tell(true).is_empty());
    assert_eq!(tell(false), ["committed offset went back", "invented commit"]);
}

#[test]
fn records_and_offsets_of_an_unclear_transaction_share_its_fate() {
    let tell = |shown: bool, offset: i64| {
        let mut story = story(|it| {
            let values = if shown { vec![once(0)] } else { vec![] };
            in_transaction(it).committing(0).shows(&values)
        });
        story.end.offsets = vec![(GROUP, place(0, offset))];
        story.found()
    };
    assert!(tell(true, 7).is_empty());
    assert!(tell(false, 5).is_empty());
    assert_eq!(tell(true, 5), ["committed offset went back"]);
    assert_eq!(tell(false, 7), ["aborted commit"]);
}

#[test]
fn a_committed_offset_holds_until_the_end() {
    let tell = |offset: i64| {
        let mut story = story(|it| it.commits_offset(5));
        story.end.offsets = vec![(GROUP, place(0, offset))];
        story.found()
    };
    assert!(tell(5).is_empty());
    assert_eq!(tell(-1), ["committed offset went back"]);
    assert_eq!(tell(6), ["invented commit"]);
}

#[test]
fn a_member_goes_on_where_the_group_is() {
    let tell = |resumed| story(|it| it.lands(0, any(0)).commits_offset(1).resumes(READER, resumed));
    assert!(tell(1).found().is_empty());
    assert_eq!(tell(0).found(), ["committed offset went back", "invented commit"]);
}
