//! Promises to producers.

use super::story::{READER, Story, WRITER, any, each, once, place, seen, story};
use weir_history::{Client, Event, Order, Place, Source, Violation};

#[test]
fn an_acknowledged_value_that_is_not_there_is_lost() {
    let mut bad = story(|it| it.writes(0, once(0)).writes(0, once(1)));
    bad.end.read.pop();
    bad.end.partitions[0].end = 1;
    let by = Source::Run { client: Client(0), at: Order(3) };
    assert_eq!(bad.violations(), [Violation::Lost { acked: seen(0, 1, once(1)), by }]);
    let unclear = story(|it| it.writes(0, once(0)).sent(0, once(1)));
    assert!(unclear.found().is_empty());
    let expired = story(|it| it.writes(0, once(0)).writes(0, once(1)).expires(0, 2));
    assert!(expired.found().is_empty());
}

#[test]
fn a_value_that_nobody_acknowledged_may_be_there() {
    assert!(story(|it| it.sent(0, once(0)).lands(0, once(0))).found().is_empty());
}

#[test]
fn a_value_acknowledged_without_its_place_must_be_somewhere() {
    let gone = |it: &mut Story| {
        it.sent(0, once(0)).acked(0, -1, once(0));
    };
    assert_eq!(story(|it| (gone(it), it).1).found(), ["lost"]);
    assert!(story(|it| (gone(it), it.lands(0, once(0))).1).found().is_empty());
    let deleted = story(|it| (gone(it), it.lands(0, once(0)).expires(0, 1)).1);
    assert!(deleted.found().is_empty());
}

#[test]
fn a_place_has_one_value() {
    let another = story(|it| it.writes(0, each(0)).sent(0, each(1)).acked(0, 0, each(1)));
    assert_eq!(another.found(), ["two values", "lost"]);
    let next = story(|it| it.writes(0, each(0)).writes(0, each(1)));
    assert!(next.found().is_empty());
}

#[test]
fn a_place_has_one_value_also_where_the_log_is_gone() {
    let tell = |other| {
        story(|it| {
            it.sent(0, each(0)).sent(0, each(1)).lands(0, each(0)).lands(0, each(1));
            it.acked(0, 0, each(0)).polls(READER, 0, 0, other).expires(0, 2)
        })
    };
    assert_eq!(tell(each(1)).found(), ["two values"]);
    assert!(tell(each(0)).found().is_empty());
}

#[test]
fn a_record_read_twice_with_two_values_is_caught() {
    let mut bad = story(|it| it.writes(0, any(0)));
    bad.end.read.push(seen(0, 0, any(1)));
    assert_eq!(bad.found(), ["two values"]);
    bad.end.read[1].place.offset = 1;
    bad.end.partitions[0].end = 2;
    assert!(bad.found().is_empty());
}

#[test]
fn an_idempotent_value_is_there_once_however_often_it_is_sent() {
    let again = |it: &mut Story| {
        it.writes(0, once(0)).sent(0, once(0));
    };
    let bad = story(|it| (again(it), it.lands(0, once(0))).1);
    let places = [place(0, 0), place(0, 1)];
    let duplicate = Violation::Duplicate { value: once(0), places, allowed: 1 };
    assert!(bad.violations().contains(&duplicate), "{:?}", bad.found());
    let original = story(|it| (again(it), it.acked(0, 0, once(0))).1);
    assert!(original.found().is_empty());
}

#[test]
fn a_duplicate_is_caught_when_its_original_has_expired() {
    let tell = |at| {
        story(|it| {
            it.writes(0, once(0)).writes(0, once(1)).lands(0, once(at));
            it.expires(0, 1)
        })
    };
    assert_eq!(tell(0).found(), ["reordered", "duplicate"]);
    let fresh = story(|it| {
        it.writes(0, once(0)).writes(0, once(1)).writes(0, once(2));
        it.expires(0, 1)
    });
    assert!(fresh.found().is_empty());
}

#[test]
fn a_value_without_idempotence_is_there_at_most_as_often_as_it_was_sent() {
    let twice = |it: &mut Story| {
        it.writes(0, each(0)).lands(0, each(0));
    };
    assert_eq!(story(|it| (twice(it), it).1).found(), ["duplicate"]);
    // The second copy came from a second sending.
    assert!(story(|it| (twice(it), it.sent(0, each(0))).1).found().is_empty());
    let refused = story(|it| {
        twice(it);
        it.sent(0, each(0)).then(WRITER, Event::Refused(each(0)))
    });
    assert_eq!(refused.found(), ["duplicate"]);
    // Nobody knows how often a library sent it.
    let library = story(|it| it.lands(0, any(0)).lands(0, any(0)).acked(0, 1, any(0)));
    assert!(library.found().is_empty());
}

#[test]
fn a_refused_value_is_not_there() {
    let tell = |value, sends: usize| {
        story(|it| {
            (0..sends).for_each(|_| _ = it.sent(0, value));
            it.lands(0, value).then(WRITER, Event::Refused(value))
        })
    };
    for value in [once(0), each(0), any(0)] {
        assert_eq!(tell(value, 1).found(), ["revived"]);
        assert!(tell(value, 2).found().is_empty());
    }
}

#[test]
fn idempotent_values_keep_their_order() {
    let tell = |value: fn(u32) -> _| {
        story(|it| {
            it.sent(0, value(0)).sent(0, value(1));
            it.lands(0, value(1)).lands(0, value(0))
        })
    };
    let reordered =
        Violation::Reordered { later: seen(0, 0, once(1)), earlier: seen(0, 1, once(0)) };
    assert_eq!(tell(once).violations(), [reordered]);
    assert!(tell(each).found().is_empty());
    let further = story(|it| {
        (0..3).for_each(|number| _ = it.sent(0, once(number)));
        it.lands(0, once(0)).lands(0, once(2)).lands(0, once(1))
    });
    assert_eq!(further.found(), ["reordered"]);
    // In different partitions there is no order.
    let apart = story(|it| it.writes(1, once(0)).writes(0, once(1)));
    assert!(apart.found().is_empty());
}

#[test]
fn a_value_that_nobody_sent_is_invented() {
    assert_eq!(story(|it| it.lands(0, once(0))).found(), ["invented"]);
    assert_eq!(story(|it| it.lands(0, any(10))).found(), ["invented"]);
    assert!(story(|it| it.lands(0, any(9))).found().is_empty());
}

#[test]
fn a_value_lies_in_its_partition() {
    assert_eq!(story(|it| it.sent(1, each(0)).lands(0, each(0))).found(), ["elsewhere"]);
    assert!(story(|it| it.sent(1, each(0)).lands(1, each(0))).found().is_empty());
}

#[test]
fn a_value_lies_behind_what_was_acknowledged_before_it_was_sent() {
    let hole = |it: &mut Story, acked_first: bool| {
        let late = each(1);
        if acked_first {
            it.sent(0, each(0)).acked(0, 1, each(0)).sent(0, late);
        } else {
            it.sent(0, each(0)).sent(0, late).acked(0, 1, each(0));
        }
        it.lands(0, late).lands(0, each(0));
    };
    let backdated = Violation::Backdated { seen: seen(0, 0, each(1)), by: Source::End, acked: 1 };
    assert_eq!(story(|it| (hole(it, true), it).1).violations(), [backdated]);
    assert!(story(|it| (hole(it, false), it).1).found().is_empty());
    // The highest counts, not the last.
    let crossed = story(|it| {
        it.sent(0, each(0)).sent(0, each(1)).acked(0, 2, each(1)).acked(0, 0, each(0));
        it.lands(0, each(0)).sent(0, each(2)).lands(0, each(2)).lands(0, each(1))
    });
    assert_eq!(crossed.found(), ["backdated"]);
}

#[test]
fn offsets_are_dense() {
    let mut bad = story(|it| it.writes(0, any(0)).lands(0, any(1)).writes(0, any(2)));
    bad.end.read.remove(1);
    let gap = |offset, due| Violation::Gap { at: Place { partition: 0, offset }, due };
    assert_eq!(bad.violations(), [gap(2, 1)]);
    bad.end.read.truncate(1);
    bad.history.log.truncate(2);
    assert_eq!(bad.violations(), [gap(3, 1)]);
    bad.end.partitions[0].end = 1;
    assert!(bad.found().is_empty());
}

#[test]
fn control_records_explain_a_gap() {
    let with = |controls: Option<Vec<Place>>| {
        let mut story = story(|it| it.writes_in(0, 0, once(0)).control(0).writes(0, any(0)));
        story.end.controls = controls;
        story.found()
    };
    assert!(with(Some(vec![place(0, 1)])).is_empty());
    assert_eq!(with(Some(vec![place(1, 1)])), ["gap"]);
    // Nobody looked, but a transaction wrote here.
    assert!(with(None).is_empty());
    let untouched = story(|it| it.writes_in(0, 1, once(0)).control(0).writes(0, any(0)));
    assert_eq!(untouched.found(), ["gap"]);
}

#[test]
fn only_deletion_and_retention_raise_the_start() {
    let tell = |asked: Option<i64>| {
        let mut story = story(|it| it.writes(0, any(0)).writes(0, any(1)).writes(0, any(2)));
        if let Some(offset) = asked {
            story.then(READER, Event::DeleteSent(place(0, offset)));
        }
        story.starts_at(0, 2).found()
    };
    assert_eq!(tell(None), ["truncated"]);
    assert_eq!(tell(Some(1)), ["truncated"]);
    assert!(tell(Some(2)).is_empty());
    assert!(tell(Some(-1)).is_empty());
}

#[test]
fn without_an_end_contradictions_within_the_run_are_found() {
    let tell = |value| {
        let story = story(|it| it.writes(0, once(0)).polls(READER, 0, 0, value));
        story.history.check().count()
    };
    assert_eq!(tell(once(0)), 0);
    assert!(tell(once(1)) > 0);
}
