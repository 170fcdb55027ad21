use super::*;
use crate::checker::{Bounds, explore, follow};

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

/// A reference that only a memory holds when a round begins (the chains say where the record was gathered
/// to) goes into a chain, from there into the memory of a session that has reported already, and is
/// forgotten by the one that held it before that one reports.
const PASSES_A_ROUND: &[&str] = &[
    "session 0: claims partition 0",
    "session 0: acknowledges a record of partition 0",
    "session 0: sends the release of partition 0",
    "metadata: session 0's release of partition 0 arrives",
    "session 0: learns that it does not own partition 0 any more",
    "session 1: claims partition 0",
    "session 1: recovers partition 0: reads of session 0 where its checkpoint and trim are",
    "session 1: recovers partition 0: reads of session 0 its chain of checkpoints",
    "session 1: recovers partition 0: reads of session 0 its slots behind the checkpoint",
    "session 0: writes checkpoint 1 (full) and sends it out",
    "metadata: the publication of session 0's checkpoint 1 arrives",
    "session 0: learns that checkpoint 1 is published, and trims",
    "collector: begins a round and lists what is there",
    "collector: reads all logs and the published chains",
    "collector: session 0 reports what it refers to",
    "session 1: writes checkpoint 1 (full) and sends it out",
    "metadata: the publication of session 1's checkpoint 1 arrives",
    "session 1: learns that checkpoint 1 is published, and trims",
    "session 1: sends the release of partition 0",
    "metadata: session 1's release of partition 0 arrives",
    "session 1: learns that it does not own partition 0 any more",
    "session 0: claims partition 0",
    "session 0: recovers partition 0: reads of session 1 where its checkpoint and trim are",
    "session 0: recovers partition 0: reads of session 1 its chain of checkpoints",
    "session 0: recovers partition 0: reads of session 1 its slots behind the checkpoint",
    "session 0: writes checkpoint 2 (delta) and sends it out",
    "metadata: the publication of session 0's checkpoint 2 arrives",
    "session 0: learns that checkpoint 2 is published, and trims",
    "session 1: no longer covers partition 0",
    "session 1: writes checkpoint 2 (delta) and sends it out",
    "metadata: the publication of session 1's checkpoint 2 arrives",
    "session 1: learns that checkpoint 2 is published, and trims",
    "collector: session 1 reports what it refers to",
    "collector: has marked",
    "collector: sweeps what is not marked",
];

const ANOTHER_ROUND: &[&str] = &[
    "collector: begins a round and lists what is there",
    "collector: reads all logs and the published chains",
    "collector: session 0 reports what it refers to",
    "collector: session 1 reports what it refers to",
    "collector: has marked",
    "collector: sweeps what is not marked",
];

#[test]
fn a_reference_can_pass_one_round_unseen_but_not_two() {
    let scope = Owners { checkpoints: 2, claims: 3, rounds: 2, unclear: false, ..Owners::SMALL };
    let holds = |model: &Owners, story: &[&str]| {
        let state = follow(model, story);
        let properties = model.properties().iter();
        let broken = properties.filter(|property| !(property.holds)(model, &state));
        broken.map(|property| property.name).collect::<Vec<_>>()
    };
    let at_once = holds(&scope, PASSES_A_ROUND);
    assert!(at_once.contains(&"no_reference_to_deleted"), "{at_once:?}");
    let twice = Owners { at_once: false, ..scope };
    assert!(holds(&twice, PASSES_A_ROUND).is_empty());
    assert!(holds(&twice, &[PASSES_A_ROUND, ANOTHER_ROUND].concat()).is_empty());
}
