//! Frames that no client sends do no harm.

use weir_acceptance::hostile;
use weir_test_support::server_under_test;

#[test]
fn hostile_frames_close_a_connection_and_nothing_else() {
    let server = server_under_test(env!("CARGO_BIN_EXE_weir")).unwrap();
    println!("{}", hostile::run(&server, 25, 1).unwrap());
}
