//! The judge judged by chance: whatever a cluster that keeps every promise lets its clients see is
//! clean, and a single lie in it is caught.

mod chance;
mod cluster;
mod damage;
mod run;

use std::collections::HashMap;

use chance::Chance;
use damage::DAMAGES;
use weir_history::{Event, History};

/// Seeds that are tried.
const SEEDS: u64 = 300;
/// Steps of each run.
const STEPS: usize = 400;
/// How often each damage must find something to damage.
const DAMAGED: usize = 100;

#[test]
fn a_good_history_is_clean() {
    for seed in 0..SEEDS {
        let verdict = run::history(seed, STEPS).check();
        assert!(verdict.is_clean(), "seed {seed}:\n{verdict}");
    }
}

/// Nothing that is allowed is tried unless it happens.
#[test]
fn runs_have_everything_in_them() {
    let mut offsets_sent_back = 0;
    let mut counts = [0; 6];
    for seed in 0..SEEDS {
        let history = run::history(seed, STEPS);
        let end = history.end.as_ref().unwrap();
        let count = |is: fn(&Event) -> bool| history.log.iter().filter(|it| is(&it.event)).count();
        let edges = &end.partitions;
        let here = [
            count(|it| matches!(it, Event::Reset(_))),
            count(|it| matches!(it, Event::Resumed { .. })),
            count(|it| matches!(it, Event::Refused(_))),
            count(|it| matches!(it, Event::Committing(_)))
                - count(|it| matches!(it, Event::Committed(_))),
            edges.iter().filter(|it| it.stable < it.end).count(),
            edges.iter().filter(|it| it.log_start > 0).count(),
        ];
        counts.iter_mut().zip(here).for_each(|(sum, here)| *sum += here);
        offsets_sent_back += sent_back(&history);
    }
    let everything = counts.iter().all(|count| *count > 50) && offsets_sent_back > 50;
    assert!(everything, "{counts:?}, offsets sent back {offsets_sent_back} times");
}

/// How often a group's offset was sent lower than before.
fn sent_back(history: &History) -> usize {
    let mut last = HashMap::new();
    let sent = history.log.iter().filter_map(|it| match it.event {
        Event::OffsetSent { group, place, .. } => Some(((group, place.partition), place.offset)),
        _ => None,
    });
    sent.filter(|(key, offset)| last.insert(*key, *offset).is_some_and(|it| *offset < it)).count()
}

#[test]
fn a_single_lie_is_caught() {
    for (name, names, damage) in DAMAGES {
        let mut damaged = 0;
        for seed in 0..SEEDS {
            let mut history = run::history(seed, STEPS);
            if damage(&mut history, &mut Chance::new(!seed)).is_none() {
                continue;
            }
            damaged += 1;
            let verdict = history.check();
            let caught = verdict.violations().iter().map(ToString::to_string);
            let is_caught =
                caught.into_iter().any(|it| names.iter().any(|name| it.starts_with(name)));
            assert!(is_caught, "{name} with seed {seed} went unnoticed:\n{verdict}");
        }
        assert!(damaged >= DAMAGED, "{name} damaged only {damaged} histories");
    }
}
