//! What a person is told.

use weir_history::{Event, Isolation, KEPT_MAX, Place, Recorder, Seen, Value};

use super::story::{READER, any, each, once, story};

#[test]
fn a_violation_says_what_is_wrong_where_who_saw_it_and_why_it_is_wrong() {
    let bad = story(|it| {
        it.sent(0, once(0)).acked(0, 0, once(0)).lands(0, any(0)).lands(0, any(1));
        it.polls(READER, 0, 0, any(0)).polls(READER, 0, 2, any(2))
    });
    let words: Vec<String> = bad.violations().iter().map(ToString::to_string).collect();
    assert_eq!(
        words,
        [
            "two values: at 0@0 is 0-0 (client 0, event 1) and 2-0 (the end)",
            "lost: 0-0 at 0@0, acknowledged (client 0, event 1)",
            "unsaid: 2-2 at 0@2 was polled (client 1, event 3), in the end nothing is there",
            "skipped: 2-1 at 0@1 by a reader that was at 1 and went on at 2 (client 1, event 3)",
        ]
    );
}

#[test]
fn a_verdict_counts_all_and_keeps_some() {
    let bad = story(|it| {
        let count = u32::try_from(KEPT_MAX).unwrap() + 5;
        (0..count).for_each(|number| _ = it.sent(1, each(number)).lands(0, each(number)));
        it
    });
    assert_eq!(bad.violations().len(), KEPT_MAX);
    let history = weir_history::History { end: Some(bad.end), ..bad.history };
    let verdict = history.check();
    assert!(!verdict.is_clean());
    assert_eq!(verdict.count(), KEPT_MAX + 5);
    let shown = verdict.to_string();
    assert!(shown.contains("elsewhere: 1-0 at 0@0 (the end) was sent to partition 1"), "{shown}");
    assert!(shown.ends_with("  and 985 more\n1005 violations"), "{shown}");
}

#[test]
fn clients_record_into_one_log_in_the_order_of_the_world() {
    let recorder = Recorder::new();
    let writer = recorder.client(Isolation::ReadUncommitted);
    let reader = recorder.client(Isolation::ReadCommitted);
    let (value, place) = (Value { writer: 0, number: 0 }, Place { partition: 0, offset: 0 });
    writer.note(Event::Sent { value, partition: 0, transaction: None });
    let before = reader.now();
    std::thread::scope(|scope| {
        scope.spawn(|| writer.note(Event::Acked(Seen { place, value })));
    });
    reader.note_all([Event::Sought(place), Event::Polled(Seen { place, value })]);
    let history = recorder.history();
    assert_eq!(history.clients, [Isolation::ReadUncommitted, Isolation::ReadCommitted]);
    assert_eq!(history.log.len(), 4);
    assert_eq!(history.log[3].client, reader.client());
    assert!(before < reader.now());
    assert_eq!((before.0, reader.now().0), (1, 4));
}
