use super::*;
use crate::checker::{Bounds, explore};

const STATES_MAX: usize = 1_000_000;

#[test]
fn the_protocol_keeps_every_promise_and_everything_happens() {
    let found = explore(&Slots::SMALL, &Bounds { states_max: STATES_MAX, until: None });
    assert!(found.exhausted && found.violated.is_empty(), "{:#?}", found.violated);
    assert!(found.unseen_events.is_empty(), "never: {:?}", found.unseen_events);
}

#[test]
fn every_planted_bug_is_caught_by_its_property() {
    for (bug, property) in Bug::ALL {
        let model = Slots { bug: Some(*bug), ..Slots::SMALL };
        let found = explore(&model, &Bounds { states_max: STATES_MAX, until: Some(property) });
        assert!(found.violated.contains_key(property), "{bug:?} does not violate {property}");
    }
}

#[test]
fn a_trace_tells_what_happened() {
    let model = Slots { bug: Some(Bug::ConflictTakenForSuccess), ..Slots::SMALL };
    let found = explore(&model, &Bounds { states_max: STATES_MAX, until: None });
    assert_eq!(
        found.violated["acked_is_readable"],
        [
            "writer: sends the create of slot 1",
            "writer: slot 1 is said to exist, without cause",
            "writer: takes the conflict at slot 1 for its own success",
        ]
    );
}
