//! A store that is overloaded for minutes, in the simulation's own time.

use super::{failover::written_since, *};
use crate::stores::Mood;

const PARTITIONS: u32 = 12;
const STORM: Duration = Duration::from_secs(300);
/// The goals of FAILURES row 19.
const NORMAL_WITHIN: Duration = Duration::from_secs(30);
/// Within which every partition takes something even meanwhile.
const PROGRESS_WITHIN: Duration = Duration::from_secs(60);

/// Four brokers, two proxies, and two of what else there is.
fn roles() -> Vec<Roles> {
    let broker = Roles { broker: true, ..Roles::default() };
    let proxy = Roles { proxy: true, ..Roles::default() };
    let inner = Roles { coordinator: true, controller: true, ..Roles::default() };
    [vec![broker; 4], vec![proxy; 2], vec![inner; 2]].concat()
}

/// Waits until every partition has acknowledged what was sent from now on; how long that took.
async fn every_partition_takes(shared: &Shared, within: Duration) -> Duration {
    let (from, begun) = (shared.recorder.history().log.len(), Instant::now());
    while written_since(shared, from).len() < PARTITIONS as usize {
        assert!(begun.elapsed() < within, "{:?} have", written_since(shared, from));
        sleep(Duration::from_secs(2)).await;
    }
    begun.elapsed()
}

fn weather(world: &World, mood: Mood) {
    world.fleet.nodes().for_each(|node| node.mishaps.set_objects(mood));
}

async fn weather_a_storm(seed: u64) {
    let world = World::new(seed, &Trace::new(None), roles(), Pace::Steady, false);
    let shared = clients(&world, Topics::new(vec![("alpha".to_owned(), PARTITIONS)], None));
    for node in world.fleet.nodes() {
        world.fleet.start(node.id);
    }
    timeout(HEALS_WITHIN, client::create(&shared, u16::MAX - 1)).await.expect("there are topics");
    let crowd = Crowd::begin(&world, &shared);
    every_partition_takes(&shared, NORMAL_WITHIN).await;
    let begun = Instant::now();
    weather(&world, Mood::Storm);
    every_partition_takes(&shared, PROGRESS_WITHIN).await;
    // Recovery meets the storm, too.
    assert!(world.fleet.kill(NodeId(1)));
    every_partition_takes(&shared, PROGRESS_WITHIN).await;
    world.fleet.start(NodeId(1));
    while begun.elapsed() < STORM {
        every_partition_takes(&shared, PROGRESS_WITHIN).await;
    }
    weather(&world, Mood::Calm);
    every_partition_takes(&shared, NORMAL_WITHIN).await;
    let history = crowd.finish(&world, &shared).await;
    let verdict = history.unwrap_or_else(|failure| panic!("seed {seed}: {failure}")).check();
    assert!(verdict.is_clean(), "seed {seed}: {verdict}");
    world.end();
}

#[test]
fn five_minutes_of_an_overloaded_store_lose_nothing_and_are_over_soon() {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_time().start_paused(true).build().unwrap();
    runtime.block_on(weather_a_storm(0));
}
