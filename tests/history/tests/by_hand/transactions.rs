//! Promises to transactions and to those who read only what is committed.

use weir_history::{Source, Transaction, Unseen, Violation};

use super::story::{COMMITTED, READER, Story, once, place, seen, story};

/// Transaction 0 writes a record to each of two partitions.
fn open(it: &mut Story) -> &mut Story {
    it.writes_in(0, 0, once(0)).writes_in(0, 1, once(1))
}

/// Its control records.
fn ends(it: &mut Story) -> &mut Story {
    it.control(0).control(1)
}

#[test]
fn a_committed_transaction_shows_whole() {
    let tell = |values: &[_]| story(|it| ends(open(it).commits(0)).shows(values));
    assert!(tell(&[once(0), once(1)]).found().is_empty());
    assert_eq!(tell(&[once(0)]).found(), ["torn"]);
    assert_eq!(tell(&[]).found(), ["torn", "torn"]);
}

#[test]
fn a_transaction_of_unclear_outcome_shows_whole_or_not_at_all() {
    let tell = |values: &[_]| story(|it| ends(open(it).committing(0)).shows(values));
    assert!(tell(&[once(0), once(1)]).found().is_empty());
    assert!(tell(&[]).found().is_empty());
    assert_eq!(tell(&[once(1)]).found(), ["torn"]);
}

#[test]
fn an_unclear_record_may_be_missing_from_a_transaction() {
    let tell = |acked: bool| {
        story(|it| {
            open(it).sent_in(0, 1, once(2));
            if acked {
                it.acked(1, 1, once(2));
            }
            ends(it.commits(0)).shows(&[once(0), once(1)])
        })
    };
    assert!(tell(false).found().is_empty());
    assert_eq!(tell(true).found(), ["lost"]);
}

#[test]
fn a_transaction_is_whole_above_the_start_of_the_log() {
    let tell = |below| {
        story(|it| {
            ends(open(it).commits(0))
                .writes(0, once(2))
                .shows(&[once(1), once(2)])
                .expires(0, below)
        })
    };
    assert_eq!(tell(0).found(), ["torn"]);
    assert!(tell(1).found().is_empty());
}

#[test]
fn an_aborted_transaction_never_shows() {
    let tell = |values: &[_]| story(|it| ends(open(it).aborts(0)).shows(values));
    assert!(tell(&[]).found().is_empty());
    let bad = tell(&[once(0)]).violations();
    let by = Source::EndCommitted;
    assert!(
        matches!(bad[..], [Violation::AbortedRead { by: it, why: Unseen::Aborted(_), .. }] if it == by),
        "{bad:?}"
    );
}

#[test]
fn a_transaction_that_never_asked_to_commit_never_shows() {
    let bad = story(|it| ends(open(it)).shows(&[once(0), once(1)])).violations();
    let never =
        |it: &Violation| matches!(it, Violation::AbortedRead { why: Unseen::NeverCommitted, .. });
    assert_eq!(bad.len(), 2);
    assert!(bad.iter().all(never), "{bad:?}");
    assert!(story(|it| ends(open(it)).shows(&[])).found().is_empty());
}

#[test]
fn aborted_records_are_for_those_who_read_everything() {
    let tell = |client| {
        story(|it| ends(open(it).aborts(0)).shows(&[]).polls(client, 0, 0, once(0))).found()
    };
    assert_eq!(tell(COMMITTED), ["aborted read"]);
    assert!(tell(READER).is_empty());
}

#[test]
fn nothing_is_seen_of_a_transaction_before_it_asks_to_commit() {
    let early = story(|it| {
        ends(open(it).polls(COMMITTED, 0, 0, once(0)).commits(0)).shows(&[once(0), once(1)])
    });
    let bad = early.violations();
    assert!(matches!(bad[..], [Violation::AbortedRead { why: Unseen::NotYet(_), .. }]), "{bad:?}");
    // After the request has left, whenever its answer comes.
    let meanwhile = story(|it| {
        ends(open(it).committing(0).polls(COMMITTED, 0, 0, once(0)).commits(0))
            .shows(&[once(0), once(1)])
    });
    assert!(meanwhile.found().is_empty());
}

#[test]
fn what_was_seen_as_committed_is_committed_in_the_end() {
    let tell = |values: &[_]| {
        story(|it| ends(open(it).committing(0)).polls(COMMITTED, 0, 0, once(0)).shows(values))
    };
    assert!(tell(&[once(0), once(1)]).found().is_empty());
    assert_eq!(tell(&[]).found(), ["aborted read"]);
}

#[test]
fn who_reads_what_is_committed_passes_over_aborted_records_only() {
    let tell = |client, commits: bool| {
        story(|it| {
            it.writes(0, once(0)).writes_in(0, 0, once(1));
            if commits { it.commits(0) } else { it.aborts(0) }.control(0).writes(0, once(2));
            let shown = [once(0), once(2), once(1)];
            it.shows(if commits { &shown } else { &shown[..2] });
            it.polls(client, 0, 0, once(0)).polls(client, 0, 3, once(2))
        })
        .found()
    };
    assert!(tell(COMMITTED, false).is_empty());
    assert_eq!(tell(COMMITTED, true), ["skipped"]);
    assert_eq!(tell(READER, false), ["skipped"]);
}

#[test]
fn records_outside_transactions_show() {
    let tell = |values: &[_]| story(|it| it.writes(0, once(0)).writes(0, once(1)).shows(values));
    assert_eq!(tell(&[once(1)]).found(), ["skipped"]);
    assert!(tell(&[once(0), once(1)]).found().is_empty());
}

#[test]
fn what_shows_is_in_the_log_in_its_order() {
    let tell = |damage: fn(&mut Vec<_>)| {
        let mut story = story(|it| it.writes(0, once(0)).writes(0, once(1)));
        let mut read = story.end.read.clone();
        damage(&mut read);
        story.end.read_committed = Some(read);
        story.found()
    };
    assert!(tell(|_| {}).is_empty());
    assert_eq!(tell(|it| it.push(seen(0, 2, once(1)))), ["unsaid"]);
    assert_eq!(tell(|it| it[1].value = once(0)), ["two values"]);
    assert_eq!(tell(|it| it.swap(0, 1)), ["went back"]);
}

#[test]
fn a_transaction_has_one_outcome() {
    let tell = |aborts: bool| {
        story(|it| {
            open(it).commits(0);
            if aborts {
                it.aborts(0);
            }
            ends(it).shows(&[once(0), once(1)])
        })
    };
    let bad = tell(true).violations();
    let transaction = Transaction(0);
    assert!(
        matches!(bad[..], [Violation::TwoOutcomes { transaction: it, .. }] if it == transaction),
        "{bad:?}"
    );
    assert!(tell(false).found().is_empty());
}

#[test]
fn only_open_transactions_hold_up_what_follows() {
    let tell = |known: bool| {
        let mut story = story(|it| {
            it.writes(0, once(0)).writes_in(0, 0, once(1)).writes(0, once(2));
            if known { it.aborts(0) } else { it.committing(0) }.shows(&[once(0)])
        });
        story.end.partitions[0].stable = 1;
        story
    };
    let stuck = Violation::Stuck { stable: place(0, 1), end: 3 };
    assert_eq!(tell(true).violations(), [stuck]);
    assert!(tell(false).found().is_empty());
}
