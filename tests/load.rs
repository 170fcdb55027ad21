//! Short forms of the long runs (`cargo xtask accept`): many partitions, many idle consumers, a burst, a
//! start with data. Bounds here are wide, for a debug build on a busy machine; the figures that count
//! come from the long runs.

use std::time::Duration;

use weir_acceptance::burst::Burst;
use weir_acceptance::{scale, startup};
use weir_test_support::Weir;

const WEIR: &str = env!("CARGO_BIN_EXE_weir");

#[test]
fn many_partitions_survive_restarts_and_hold_no_files() {
    let mut server = Weir::new(WEIR).start().unwrap();
    println!("{}", scale::partitions(&mut server, 400, 2, Duration::from_millis(500)).unwrap());
}

#[test]
fn idle_consumers_cost_little() {
    for sessions in [false, true] {
        let server = Weir::new(WEIR).start().unwrap();
        let idle = scale::idle_consumers(&server, 200, sessions, Duration::from_secs(3)).unwrap();
        assert!(idle.cpu_percent < 50.0, "{idle}");
    }
}

#[test]
fn a_burst_beside_a_slow_consumer_loses_nothing() {
    let server = Weir::new(WEIR).start().unwrap();
    let time = Duration::from_secs(5);
    let burst = Burst { read_a_second: 200, times: 10, time, value_bytes: 1_024 };
    println!("{}", burst.run(&server).unwrap());
}

#[test]
fn a_start_with_data_is_quick() {
    let mut server = Weir::new(WEIR).start().unwrap();
    let report = startup::run(&mut server, 64 << 20).unwrap();
    let longest = report.empty.max(report.after_stop).max(report.after_kill);
    assert!(longest < Duration::from_secs(10), "{report}");
}
