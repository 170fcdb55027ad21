//! Garbage collection: mark and sweep over the whole store, by one elected collector.
//!
//! A round ([`round`]) lists the store and decides what may go if nobody names it ([`candidates`]), reads
//! the published chains of all sessions that some log needs, then asks every live session what it refers
//! to ([`marking`]). What nobody has named goes after a grace ([`grace`]), unless it is a fence ([`fences`]) or
//! a file that holds what may be needed ([`files`]). Owners are told of what little is needed of ([`thinning`]), for
//! objects go whole. Beside that the logs of sealed sessions are brought to their end ([`settling`]). The rules are those of `docs/proof.md`; the model in
//! `tests/model` is the specification.
//!
//! Invariants:
//! - Nothing is deleted that a reference leads to. Once nobody refers to an object nobody ever will again,
//!   for references are only copied, and names are never given twice; so it is harmless when a collector
//!   that was replaced goes on. The election saves work, no more.
//! - Fences and open markers are never deleted.
//! - Every change of the metadata is safe by its own compares.
//! - Nothing is deleted while the metadata may be older than the store ([`floor`]).
//!
//! Listings may be behind: what one misses is found by a later round, and what is gone already is no
//! error. Creates that were delayed land late and are swept again.
//!
//! Memory: some fifty bytes an object of the store while a round runs, and about as much for each that
//! waits; and what a live session reports, one at a time for a few sessions.

mod candidates;
mod condemned;
mod fences;
mod files;
mod floor;
mod grace;
mod marking;
mod marks;
mod round;
mod settling;
mod task;
mod thinning;
mod unneeded;

pub use floor::{FloorError, MetadataIsOlder, refuse_if_metadata_is_older};
pub use marking::Skipped;
pub use round::{Collected, RoundError};
pub use task::{Collector, CollectorDeps, CollectorSettings};
pub(crate) use unneeded::{UnneededError, unneeded};
