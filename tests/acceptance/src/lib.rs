//! What a server must show: client matrix, durability, scale, figures beside Apache Kafka.
//!
//! Each module is one scenario that takes a running [`weir_test_support::Server`] and its size, so that
//! the same code is a short test in `tests/` and a long run with figures by `cargo xtask accept`. All of
//! them are proven against Apache Kafka first: a suite that the original does not pass is wrong.

pub mod bench;
pub mod burst;
pub mod chance;
pub mod clients;
pub mod cluster;
pub mod damage;
pub mod disk_full;
pub mod durability;
pub mod failed_sync;
pub mod fragile;
pub mod group;
pub mod hostile;
pub mod load;
pub mod matrix;
pub mod records;
pub mod scale;
pub mod startup;
pub mod storage;
pub mod table;
pub mod wal;
