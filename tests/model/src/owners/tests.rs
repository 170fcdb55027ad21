use super::*;
use crate::checker::{Bounds, explore};

const STATES_MAX: usize = 400_000;

#[test]
fn ownership_keeps_every_promise() {
    let found = explore(&Owners::SMALL, &Bounds { states_max: STATES_MAX, until: None });
    assert!(found.exhausted && found.violated.is_empty(), "{:#?}", found.violated);
}

#[test]
fn planted_bugs_are_caught_by_their_properties() {
    // These lie deeper than a debug build should dig: `--planted` finds them.
    let deep = [
        Bug::RecoveryNotReported,
        Bug::SweepableDecidedLate,
        Bug::UnansweredNotReported,
        Bug::ReportsBeforeChains,
    ];
    for (bug, property, scope) in Bug::ALL.iter().filter(|(bug, ..)| !deep.contains(bug)) {
        let model = Owners { bug: Some(*bug), ..*scope };
        let found = explore(&model, &Bounds { states_max: STATES_MAX, until: Some(property) });
        assert!(found.violated.contains_key(property), "{bug:?} does not violate {property}");
    }
}

#[test]
fn a_trace_tells_what_happened() {
    let model = Owners { bug: Some(Bug::ClaimReplacesInherited), ..Owners::SMALL };
    let found = explore(&model, &Bounds { states_max: STATES_MAX, until: None });
    assert_eq!(
        found.violated["acked_is_readable"],
        [
            "session 0: claims partition 0",
            "session 0: acknowledges a record of partition 0",
            "session 0: sends the release of partition 0",
            "session 0: goes on with partition 0",
        ]
    );
}
