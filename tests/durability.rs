//! Nothing acknowledged is lost: kill -9 under load, torn and damaged logs. The long runs are
//! `cargo xtask kill9`.

use weir_acceptance::durability::Kill9;
use weir_acceptance::{damage, failed_sync};
use weir_test_support::{Weir, server_under_test};

const WEIR: &str = env!("CARGO_BIN_EXE_weir");

#[test]
fn what_was_acknowledged_survives_kill_9_under_load() {
    let mut server = server_under_test(WEIR).unwrap();
    let run = Kill9 { cycles: 4, seed: 1, tear: false };
    run.run(&mut server).unwrap().check().unwrap();
}

#[test]
fn a_torn_log_tail_costs_nothing_acknowledged() {
    let mut server = Weir::new(WEIR).start().unwrap();
    // Its first kill comes as early as can be.
    let run = Kill9 { cycles: 4, seed: 8, tear: true };
    run.run(&mut server).unwrap().check().unwrap();
}

#[test]
fn a_cut_tail_loses_only_what_was_never_promised() {
    damage::cut_tail(&mut Weir::new(WEIR).start().unwrap()).unwrap();
}

#[test]
fn a_flipped_bit_below_a_synced_position_stops_the_start() {
    for seed in 0..3 {
        damage::flipped_bit(&mut Weir::new(WEIR).start().unwrap(), seed).unwrap();
    }
}

#[test]
fn a_failed_sync_ends_the_process_and_costs_nothing_acknowledged() {
    let mut server = Weir::new(WEIR).failing_sync(40).start().unwrap();
    failed_sync::run(&mut server).unwrap();
}
