//! What a developer or CI runs: test set-up, peers, code checks
fn main() {}
