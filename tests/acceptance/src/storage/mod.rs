//! What storage for years must show: reads that saturate the store, readers of old data who are not felt by others, log
//! compaction, and space that is given back.
//!
//! Each run has a cluster of its own: some brokers, one proxy, and one node that is coordinator and controller, over a
//! real etcd and the small and fast store of `tests/store`. What is read is compared with what was written batch by
//! batch (`load::ledger`), or record by record by librdkafka. Figures are printed and never judged.

mod beside;
pub mod catch_up;
pub mod compaction;
mod costs;
pub mod fan_out;
pub mod lagging;
mod ranges;
mod report;
pub mod retention;
mod site;
pub mod stored;
pub mod tester;

pub use report::Report;
