//! Promises to consumers.

use weir_history::{Client, Event, Order, Source, Violation};

use super::story::{COMMITTED, READER, Story, any, place, seen, story};

/// A log of four records, all of them read by nobody yet.
fn four(tell: impl FnOnce(&mut Story) -> &mut Story) -> Story {
    story(|it| {
        (0..4).for_each(|number| _ = it.lands(0, any(number)));
        tell(it)
    })
}

#[test]
fn a_consumer_gets_what_stays() {
    let by = Source::Run { client: Client(1), at: Order(0) };
    let unsaid = Violation::Unsaid { seen: seen(0, 4, any(4)), by };
    assert_eq!(four(|it| it.polls(READER, 0, 4, any(4))).violations(), [unsaid]);
    assert!(four(|it| it.polls(READER, 0, 3, any(3))).found().is_empty());
    let instead = four(|it| it.polls(READER, 0, 3, any(4)));
    assert_eq!(instead.found(), ["two values"]);
}

#[test]
fn a_consumer_gets_every_record() {
    let bad = four(|it| it.polls(READER, 0, 1, any(1)).polls(READER, 0, 3, any(3)));
    let by = Source::Run { client: Client(1), at: Order(1) };
    let missed = seen(0, 2, any(2));
    assert_eq!(bad.violations(), [Violation::Skipped { missed, due: 2, at: 3, by }]);
    // Another consumer, or another partition, is somewhere else.
    let others = four(|it| {
        it.lands(1, any(4)).polls(READER, 0, 1, any(1));
        it.polls(COMMITTED, 0, 3, any(3)).polls(READER, 1, 0, any(4)).polls(READER, 0, 2, any(2))
    });
    assert!(others.found().is_empty());
}

#[test]
fn the_first_poll_after_a_start_is_where_it_started() {
    let from = |offset| {
        four(|it| it.then(READER, Event::Sought(place(0, offset))).polls(READER, 0, 2, any(2)))
    };
    assert_eq!(from(1).found(), ["skipped"]);
    assert_eq!(from(3).found(), ["went back"]);
    assert!(from(2).found().is_empty());
}

#[test]
fn a_consumer_does_not_go_back_unless_it_seeks() {
    let tell = |seek: bool| {
        four(|it| {
            it.polls(READER, 0, 1, any(1)).polls(READER, 0, 2, any(2));
            if seek {
                it.then(READER, Event::Sought(place(0, 1)));
            }
            it.polls(READER, 0, 1, any(1))
        })
    };
    assert_eq!(tell(false).found(), ["went back"]);
    assert!(tell(true).found().is_empty());
}

#[test]
fn a_rebalance_explains_going_back_to_the_committed_offset_only() {
    let tell = |resumed: i64, next: u32| {
        four(|it| {
            it.polls(READER, 0, 0, any(0)).polls(READER, 0, 1, any(1)).commits_offset(1);
            it.polls(READER, 0, 2, any(2)).resumes(READER, resumed);
            it.polls(READER, 0, i64::from(next), any(next))
        })
    };
    assert!(tell(1, 1).found().is_empty());
    assert_eq!(tell(1, 0).found(), ["went back"]);
    assert_eq!(tell(1, 2).found(), ["skipped"]);
    assert_eq!(tell(0, 0).found(), ["committed offset went back", "invented commit"]);
    assert_eq!(tell(3, 3).found(), ["invented commit"]);
}

#[test]
fn control_records_are_passed_over() {
    let tell = |control: bool| {
        story(|it| {
            it.writes_in(0, 0, any(0));
            if control {
                it.control(0);
            } else {
                it.lands(0, any(1));
            }
            it.lands(0, any(2)).polls(READER, 0, 0, any(0)).polls(READER, 0, 2, any(2))
        })
    };
    assert!(tell(true).found().is_empty());
    assert_eq!(tell(false).found(), ["skipped"]);
}

#[test]
fn deleted_records_are_not_missed() {
    let tell = |below| {
        four(|it| it.polls(READER, 0, 0, any(0)).polls(READER, 0, 3, any(3)).expires(0, below))
    };
    assert_eq!(tell(2).found(), ["skipped"]);
    assert!(tell(3).found().is_empty());
}

#[test]
fn out_of_range_is_only_where_the_log_does_not_reach() {
    let tell = |from: i64, to: i64, below: i64| {
        four(|it| {
            it.then(READER, Event::Sought(place(0, from)));
            it.then(READER, Event::Reset(place(0, to))).expires(0, below)
        })
    };
    assert_eq!(tell(1, 0, 0).found(), ["needless reset"]);
    assert_eq!(tell(4, 4, 0).found(), ["needless reset"]);
    assert!(tell(1, 2, 2).found().is_empty());
    assert!(tell(5, 4, 0).found().is_empty());
    // A consumer without any offset is reset, too.
    assert!(four(|it| it.then(READER, Event::Reset(place(0, 0)))).found().is_empty());
}

#[test]
fn a_record_after_a_reset_is_where_it_went() {
    let tell = |polled: u32| {
        four(|it| {
            it.then(READER, Event::Sought(place(0, 9))).then(READER, Event::Reset(place(0, 1)));
            it.polls(READER, 0, i64::from(polled), any(polled))
        })
    };
    assert!(tell(1).found().is_empty());
    assert_eq!(tell(2).found(), ["skipped"]);
}
