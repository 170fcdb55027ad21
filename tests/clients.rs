//! Unchanged Kafka clients work: what one writes, with any codec, every other reads.

use weir_acceptance::matrix::Matrix;
use weir_test_support::server_under_test;

/// Each client writes with each codec and two others read it, taking turns; the long run
/// (`cargo xtask accept clients`) combines all with all.
#[test]
fn clients_read_what_others_wrote() {
    let server = server_under_test(env!("CARGO_BIN_EXE_weir")).unwrap();
    let matrix = Matrix { readers_per_topic: 2, ..Matrix::full(200) };
    matrix.run(&server).unwrap().check().unwrap();
}
