//! Record batches, magic 2 (KIP-98): what producers send, Weir stores, and consumers get.
//!
//! ```text
//!   0  base offset i64      ┐
//!   8  batch length i32     │ what follows these 12 bytes
//!  12  leader epoch i32     │ outside the CRC: patched by the broker
//!  16  magic i8 = 2         │
//!  17  crc u32              ┘ CRC-32C of all that follows
//!  21  attributes i16         codec 0-2, timestamp type 3, transactional 4, control 5,
//!                             delete horizon 6
//!  23  last offset delta i32
//!  27  base timestamp i64
//!  35  maximal timestamp i64
//!  43  producer id i64
//!  51  producer epoch i16
//!  53  base sequence i32
//!  57  record count i32
//!  61  records, compressed as one block if the codec says so
//! ```
//!
//! Invariants:
//! - Nothing here does I/O, and no bytes whatever make it panic or allocate beyond what the
//!   caller allows: lengths are checked against what is left, decompression has a cap.
//! - Payloads are never copied. A view is a slice of the frame it came in; patching makes a new
//!   head and shares the rest ([`patch`]).
//! - A [`VerifiedBatch`] has had its CRC compared, or was built here. Only such a batch can be
//!   patched, so what reaches the log was checked.
//!
//! The broker and the coordinator validate, patch and build; readers split stored ranges and
//! search them; only compaction, time look-ups and tools iterate over records.

mod attributes;
pub mod batch;
pub mod builder;
pub mod compression;
pub mod control;
pub mod crc;
pub mod inspect;
pub mod iter;
pub mod patch;
pub mod record;
pub mod search;
mod split;
pub mod validate;
mod varint;

pub use attributes::{Attributes, Compression, TimestampType};
pub use batch::{Batch, BatchHeader, VerifiedBatch};
pub use builder::BatchBuilder;
pub use control::{EndTransaction, Marker};
pub use crc::{Crc32c, crc32c};
pub use inspect::RecordRules;
pub use iter::RecordIter;
pub use patch::{PatchedBatch, Patcher};
pub use record::{Headers, Record};
pub use search::Found;
pub use split::split;
pub use validate::{ProduceRules, Rejection, validate_produced};

#[cfg(test)]
mod tests;
