//! Models of the two protocols that keep acknowledged records safe, explored exhaustively.
//!
//! [`slots`] is the write-ahead log in an object store and its fence; [`owners`] is who may write a
//! partition, what checkpoints say of it, and what may be swept. Where the decision is a plain function
//! of production, the model calls it, so that the code is proved and not a copy. `docs/proof.md` tells
//! what was found.
//!
//! # Why a checker of our own
//!
//! Weighed: the crate `stateright` 0.31, maintained and well made. What is needed here is a breadth-first
//! search that keeps going after the first violation (a planted bug must break the property that is named
//! for it, whatever it breaks on the way), tells the shortest trace to each, and counts which events
//! happened on transitions, so that a model that shows nothing is noticed. `stateright` ends a property at
//! its first discovery and has "sometimes" properties of states only; symmetry it reduces only depth
//! first, where traces are long. What is left of it for us is a loop over a hash set, for the price of an
//! HTTP server and a dozen crates. The loop is [`checker`].
//!
//! Given up with it: liveness properties, a browser for states, more than one core. None is needed yet.

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
