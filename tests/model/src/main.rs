//! Models of the two protocols that keep acknowledged records safe, explored exhaustively.
//!
//! [`slots`] is the write-ahead log in an object store and its fence; [`owners`] is who may write a
//! partition, what checkpoints say of it, and what may be swept. Where the decision is a plain function
//! of production, the model calls it, so that the code is proved and not a copy. `docs/proof.md` tells
//! what was found.
//!
//! # Why a checker of our own (weighed: the crate `stateright` 0.31, alive and well made)
//!
//! - Both models have twins (two fencers, sessions that differ in nothing but their number).
//!   `stateright` takes advantage of symmetry only when it goes depth first, and finds shortest traces
//!   only when it goes breadth first. Short traces are what a person reads; the search here has both.
//! - It explores with a `DashMap` of fingerprints and a boxed path a job; a state costs about three times
//!   the 20 bytes that it costs in [`checker`].
//! - Its price is an HTTP server and a dozen crates for a search that is one file.
//!
//! What we give up: liveness properties, a browser for states, more than one core. None is needed yet.

mod checker;
mod owners;
mod report;
mod slots;

use std::process::ExitCode;

use clap::Parser;

/// Explores the models of Weir's protocols.
#[derive(Parser)]
struct Arguments {
    /// Only the planted bugs: each must be caught by the property that is named for it
    #[arg(long)]
    planted: bool,
    /// Plant this bug and tell how it breaks which property
    #[arg(long, value_name = "NAME", conflicts_with = "planted")]
    bug: Option<String>,
    /// Smaller scopes, as the unit tests use: seconds instead of minutes
    #[arg(long)]
    small: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let fine = match (&arguments.bug, arguments.planted) {
        (Some(name), _) => report::explain(name),
        (None, true) => report::planted(),
        (None, false) => report::clean(arguments.small),
    };
    if fine { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
