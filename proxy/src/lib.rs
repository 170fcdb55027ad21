//! Everything that a Kafka client connects to.
//!
//! ```text
//! listener    accepts, within caps
//!    │
//! connection  frames in, answers out, in order; one task each
//!    │
//! handlers    what a request comes to: a file an API
//!    ├─ routing   which proxies a client is shown
//!    ├─ tail      waiting for records
//!    └─ brokers, coordinators, controller, reader: traits and types of other crates
//! ```
//!
//! A proxy is stateless: it may be killed, and another one serves the same clients. What it knows
//! of the cluster comes from a view that may lag; its answers may not, so ends of partitions, times
//! and epochs are asked of the owner. This crate never writes to a store and never decides what a
//! record batch may be: it hands slices of the frame to the broker, and slices of the broker's tail
//! or of stored objects to the socket.
//!
//! Everything that grows with what clients do is bounded by [`Settings`]: frames, decoded requests
//! and answers have byte budgets that are asked before memory is filled, connections and requests
//! under way are counted. A connection without a request costs a task and two timers that never
//! fire, a waiting fetch one timer that does.
//!
//! [`http`] is the other thing that a process listens on: health and metrics.

mod ahead;
mod budget;
mod cluster;
mod connection;
mod handlers;
pub mod http;
mod listener;
mod metrics;
mod proxy;
mod routing;
mod settings;
mod tail;
#[cfg(test)]
mod testing;

pub use listener::{ListenError, ListenerConfig};
pub use proxy::{BoundProxy, Proxy, ProxyConfig, ProxyDeps, StartError};
pub use settings::{Settings, SettingsError};
