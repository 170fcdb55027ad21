//! Where clients connect: an address to listen on, the name that clients are told, and the caps
//! that keep one client, or a flood of them, from taking every connection.

mod accept;
mod admission;
mod reception;

pub use accept::ListenError;
pub(crate) use accept::Listener;
pub(crate) use admission::Admission;
pub(crate) use reception::Reception;

/// One Kafka listener, as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerConfig {
    /// What it is called in logs.
    pub name: String,
    /// `HOST:PORT` to listen on; port 0 takes any that is free.
    pub listen: String,
    /// The host and port that clients are told to connect to. `None`: the host of `listen` and the
    /// port that was bound; if that is every address, each client is told the one that it has found,
    /// which does for a cluster of one node.
    pub advertise: Option<(String, u16)>,
    /// The zone that its clients are in: they are shown this zone's proxies.
    pub zone: String,
}

/// A listener that is bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    pub(crate) name: String,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) zone: String,
}
