//! Consumer groups move their partitions when members die and join, and skip nothing.

use weir_acceptance::group::Group;
use weir_test_support::server_under_test;

/// Runs one after the other: each has four clients of its own.
#[test]
fn groups_of_every_client_keep_their_commits_through_a_kill_and_a_join() {
    let server = server_under_test(env!("CARGO_BIN_EXE_weir")).unwrap();
    for group in Group::ALL {
        println!("{}", group.run(&server).unwrap());
    }
}
