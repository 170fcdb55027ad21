//! Promises about where a log begins and ends.

use weir_history::{Client, Edge, Order, Source, Violation};

use super::story::{COMMITTED, READER, Story, WRITER, any, place, story};

/// Five records that nobody has acknowledged.
fn five(tell: impl FnOnce(&mut Story) -> &mut Story) -> Story {
    story(|it| {
        (0..5).for_each(|number| _ = it.lands(0, any(number)));
        tell(it)
    })
}

#[test]
fn an_edge_does_not_go_back() {
    for edge in [Edge::Stable, Edge::End] {
        let bad = five(|it| it.told(READER, edge, 3).told(READER, edge, 2));
        let [by, known] = [1, 0].map(|at| Source::Run { client: Client(1), at: Order(at) });
        let now = place(0, 2);
        assert_eq!(bad.violations(), [Violation::EdgeWentBack { edge, now, by, was: 3, known }]);
        assert!(five(|it| it.told(READER, edge, 3).told(READER, edge, 3)).found().is_empty());
        // Another client may be told by somebody who lags.
        assert!(five(|it| it.told(READER, edge, 3).told(WRITER, edge, 2)).found().is_empty());
    }
    let starts = |one, two| {
        five(|it| it.told(READER, Edge::Start, one).told(READER, Edge::Start, two).expires(0, 4))
    };
    assert_eq!(starts(3, 2).found(), ["log start went back"]);
    assert!(starts(2, 3).found().is_empty());
}

#[test]
fn a_new_epoch_starts_anew() {
    let tell = |epoch| {
        five(|it| {
            it.told(READER, Edge::End, 3);
            let asked = it.now();
            it.told_of(READER, Edge::End, 2, epoch, asked)
        })
    };
    assert!(tell(2).found().is_empty());
    assert_eq!(tell(1).found(), ["high watermark went back"]);
}

#[test]
fn answers_to_requests_that_were_under_way_together_may_cross() {
    let tell = |asked| {
        five(|it| it.told(READER, Edge::End, 3).told_of(READER, Edge::End, 2, 1, Order(asked)))
    };
    assert!(tell(0).found().is_empty());
    assert_eq!(tell(1).found(), ["high watermark went back"]);
}

#[test]
fn nobody_was_ever_told_more_than_there_is_in_the_end() {
    assert!(five(|it| it.told(READER, Edge::End, 5)).found().is_empty());
    assert_eq!(five(|it| it.told(READER, Edge::End, 6)).found(), ["high watermark went back"]);
    assert_eq!(five(|it| it.told(READER, Edge::Start, 1)).found(), ["log start went back"]);
}

#[test]
fn the_latest_offset_lies_behind_what_its_asker_saw_acknowledged() {
    let tell = |client, end| five(|it| it.acked(0, 3, any(3)).told(client, Edge::End, end));
    let [by, known] = [1, 0].map(|at| Source::Run { client: WRITER, at: Order(at) });
    let end = place(0, 3);
    let below = Violation::EndBelowAcked { end, by, acked: 3, known };
    assert_eq!(tell(WRITER, 3).violations(), [below]);
    assert!(tell(WRITER, 4).found().is_empty());
    // Others need not know yet, unless it is promised.
    let mut other = tell(READER, 3);
    assert!(other.found().is_empty());
    other.history.ends_bind_all = true;
    assert_eq!(other.violations().len(), 1);
    // An open transaction may hold the stable offset anywhere.
    assert!(five(|it| it.acked(0, 3, any(3)).told(WRITER, Edge::Stable, 3)).found().is_empty());
}

#[test]
fn what_was_acknowledged_after_asking_binds_nobody() {
    let tell =
        |asked| five(|it| it.acked(0, 3, any(3)).told_of(WRITER, Edge::End, 2, 1, Order(asked)));
    assert!(tell(0).found().is_empty());
    assert_eq!(tell(1).violations().len(), 1);
    assert!(five(|it| it.told(COMMITTED, Edge::End, 0).acked(0, 3, any(3))).found().is_empty());
}
