//! The judge judged: a good history passes, and each way of being bad is caught.

use super::*;

fn value(writer: u8, number: u64) -> Value {
    Value { writer, number }
}

fn seen(partition: i32, offset: i64, writer: u8, number: u64) -> Seen {
    Seen { place: Place { partition, offset }, value: value(writer, number) }
}

fn commit(partition: i32, offset: i64, read_back: bool) -> Commit {
    Commit { place: Place { partition, offset }, read_back }
}

/// Writer 0 is idempotent, writer 1 is not and was not sure about its first value.
fn good() -> History {
    History {
        writers: vec![Writer { idempotent: true, sent: 3 }, Writer { idempotent: false, sent: 2 }],
        acknowledged: vec![seen(0, 0, 0, 0), seen(1, 0, 0, 1), seen(0, 3, 1, 0), seen(0, 1, 0, 2)],
        polls: vec![vec![seen(0, 0, 0, 0), seen(0, 1, 0, 2)], vec![seen(0, 2, 1, 0)]],
        commits: vec![commit(0, 1, false), commit(0, 1, true), commit(0, 2, false)],
        log_start: vec![0, 0],
        read: vec![
            seen(0, 0, 0, 0),
            seen(0, 1, 0, 2),
            seen(0, 2, 1, 0),
            seen(0, 3, 1, 0),
            seen(1, 0, 0, 1),
        ],
    }
}

/// What is found after `damage`.
fn found(damage: impl FnOnce(&mut History)) -> Vec<Violation> {
    let mut history = good();
    damage(&mut history);
    history.check()
}

#[test]
fn a_good_history_passes() {
    assert_eq!(good().check(), []);
}

#[test]
fn a_lost_value_at_the_end_is_caught() {
    let lost = Violation::Lost { acknowledged: seen(1, 0, 0, 1), instead: None };
    assert_eq!(found(|it| it.read.truncate(4)), [lost]);
}

#[test]
fn a_lost_value_in_the_middle_is_a_gap_too() {
    let violations = found(|it| it.read.retain(|seen| seen.place.offset != 2));
    let gap = Violation::Gap { at: Place { partition: 0, offset: 3 }, due: 2 };
    let unsaid = Violation::Unsaid { seen: seen(0, 2, 1, 0), instead: None };
    assert_eq!(violations, [gap, unsaid]);
}

#[test]
fn another_value_at_an_acknowledged_place_is_caught() {
    let violations = found(|it| it.read[3].value = value(1, 1));
    let instead = Some(value(1, 1));
    assert_eq!(violations, [Violation::Lost { acknowledged: seen(0, 3, 1, 0), instead }]);
}

#[test]
fn two_acknowledgements_of_one_place_are_caught() {
    let violations = found(|it| it.acknowledged.push(seen(0, 3, 1, 1)));
    let place = Place { partition: 0, offset: 3 };
    let shared = Violation::SharedPlace { place, values: [value(1, 0), value(1, 1)] };
    assert!(violations.contains(&shared), "{violations:?}");
}

#[test]
fn a_duplicate_is_caught_of_idempotent_writers_only() {
    let violations = found(|it| it.read.push(seen(1, 1, 0, 1)));
    let places = [Place { partition: 1, offset: 0 }, Place { partition: 1, offset: 1 }];
    assert_eq!(violations, [Violation::Duplicate { value: value(0, 1), places }]);
    assert_eq!(found(|it| it.read.push(seen(1, 1, 1, 0))), []);
}

#[test]
fn values_out_of_order_are_caught_of_idempotent_writers_only() {
    let swap = |it: &mut History| {
        it.acknowledged.clear();
        it.polls.clear();
        it.read[0].value = value(0, 2);
        it.read[1].value = value(0, 0);
    };
    let reordered = Violation::Reordered { value: value(0, 2), earlier: seen(0, 1, 0, 0) };
    assert_eq!(found(swap), [reordered]);
    assert_eq!(found(|it| (swap(it), it.writers[0].idempotent = false).1), []);
}

#[test]
fn an_invented_value_is_caught() {
    let invented = Violation::Invented(seen(1, 1, 1, 2));
    assert_eq!(found(|it| it.read.push(seen(1, 1, 1, 2))), [invented]);
    let of_nobody = Violation::Invented(seen(1, 1, 7, 0));
    assert_eq!(found(|it| it.read.push(seen(1, 1, 7, 0))), [of_nobody]);
}

#[test]
fn a_log_that_does_not_begin_at_its_start_is_caught() {
    let gap = Violation::Gap { at: Place { partition: 1, offset: 0 }, due: 5 };
    assert_eq!(found(|it| it.log_start[1] = 5), [gap]);
}

#[test]
fn a_skipping_poll_is_caught() {
    let gap = Violation::Gap { at: Place { partition: 0, offset: 3 }, due: 2 };
    assert_eq!(found(|it| it.polls[0].push(seen(0, 3, 1, 0))), [gap]);
}

#[test]
fn a_poll_of_what_was_not_durable_is_caught() {
    let unsaid = Violation::Unsaid { seen: seen(0, 3, 1, 1), instead: Some(value(1, 0)) };
    assert_eq!(found(|it| it.polls[1].push(seen(0, 3, 1, 1))), [unsaid]);
}

#[test]
fn a_commit_that_goes_back_is_caught() {
    let now = Place { partition: 0, offset: 1 };
    let back = Violation::CommitWentBack { now, was: 2 };
    assert_eq!(found(|it| it.commits.push(commit(0, 1, true))), [back]);
}
