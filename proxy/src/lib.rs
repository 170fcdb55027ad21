//! Everything that a Kafka client connects to

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
