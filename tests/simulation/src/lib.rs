//! A whole cluster in one thread on paused time, from one seed.
//!
//! Brokers, coordinators, controllers and proxies are the production code. What lies between them is
//! simulated: processes that are paused and killed ([`process`]), the network ([`net`]), the object store
//! and the metadata store with their faults ([`stores`]), and the clients ([`client`]), which speak
//! Kafka's protocol and record what they see. In the end the history is judged.
//!
//! The same seed gives the same run, byte by byte of its trace ([`trace`]): all chance comes from the
//! seed ([`chance`]), time is tokio's and stands still until nobody has anything to do, and everything
//! runs in one thread.

mod chance;
mod client;
mod clock;
mod net;
mod node;
mod process;
mod stores;
mod trace;
mod world;

use std::future::Future;

pub use trace::Digest;
pub use world::{Failure, Options, Outcome, run};

/// Runs what belongs to no process: the network, the stores, the clients.
fn free(task: impl Future<Output = ()> + Send + 'static) {
    #[expect(
        clippy::disallowed_methods,
        reason = "what it runs has no owner in the simulated world"
    )]
    tokio::spawn(task);
}
