//! How long a failover takes, in the simulation's own time.

use std::collections::BTreeSet;

use weir_history::{Event, Value};

use super::*;

const PARTITIONS: u32 = 48;
/// The goal of FAILURES row 35.
const WITHIN: Duration = Duration::from_secs(3);

/// Six brokers, two proxies, and two of what else there is.
fn roles() -> Vec<Roles> {
    let broker = Roles { broker: true, ..Roles::default() };
    let proxy = Roles { proxy: true, ..Roles::default() };
    let inner = Roles { coordinator: true, controller: true, ..Roles::default() };
    [vec![broker; 6], vec![proxy; 2], vec![inner; 2]].concat()
}

/// The partitions to which something was acknowledged that was first sent behind place `from`.
pub(super) fn written_since(shared: &Shared, from: usize) -> BTreeSet<i32> {
    let log = shared.recorder.history().log;
    let sent = |entry: &weir_history::Entry| match entry.event {
        Event::Sent { value, .. } => Some(value),
        _ => None,
    };
    let before: BTreeSet<Value> = log[..from].iter().filter_map(sent).collect();
    let acked = log[from..].iter().filter_map(|entry| match entry.event {
        Event::Acked(seen) if !before.contains(&seen.value) => Some(seen.place.partition),
        _ => None,
    });
    acked.collect()
}

async fn kill_a_third(seed: u64) -> Duration {
    let world = World::new(seed, &Trace::new(None), roles(), Pace::Steady, false);
    let shared = clients(&world, Topics::new(vec![("alpha".to_owned(), PARTITIONS)], None));
    for node in world.fleet.nodes() {
        world.fleet.start(node.id);
    }
    timeout(HEALS_WITHIN, client::create(&shared, u16::MAX - 1)).await.expect("there are topics");
    let crowd = Crowd::begin(&world, &shared);
    sleep(Duration::from_secs(10)).await;
    let all = PARTITIONS as usize;
    assert_eq!(written_since(&shared, 0).len(), all, "every partition is written to");
    let (from, killed) = (shared.recorder.history().log.len(), Instant::now());
    assert!(world.fleet.kill(NodeId(1)) && world.fleet.kill(NodeId(2)));
    while written_since(&shared, from).len() < all {
        assert!(killed.elapsed() < HEALS_WITHIN, "{:?}", written_since(&shared, from));
        sleep(Duration::from_millis(50)).await;
    }
    let took = killed.elapsed();
    let history = crowd.finish(&world, &shared).await;
    let verdict = history.unwrap_or_else(|failure| panic!("seed {seed}: {failure}")).check();
    assert!(verdict.is_clean(), "seed {seed}: {verdict}");
    world.end();
    took
}

#[test]
fn every_partition_is_writable_soon_after_a_third_of_the_brokers_died_at_once() {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_time().start_paused(true).build().unwrap();
    for seed in 0..3 {
        let took = runtime.block_on(kill_a_third(seed));
        assert!(took < WITHIN, "seed {seed}: {took:?}");
    }
}
