//! Taking over partitions: finding out what earlier owners left, by reference.
//!
//! Each earlier session is read once, however many partitions come from it: its seal, its chain of
//! checkpoints, and the indexes of the slots behind them ([`sessions`]). What that says of one
//! partition is then put together without I/O ([`listing`]). No record is read or copied.

mod census;
mod chain;
mod listing;
mod noted;
mod sessions;

pub(crate) use census::Census;
pub(crate) use chain::read_chain;
pub(crate) use listing::{Incomplete, recover};
pub(crate) use noted::Noted;
pub use sessions::SessionError;
pub(crate) use sessions::{Right, SessionLogs, Sessions, by_partition};
