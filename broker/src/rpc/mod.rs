//! The broker across processes: its gRPC service, and the client that implements [`BrokerClient`].
//!
//! [`BrokerClient`]: crate::client::BrokerClient
//!
//! - [`service`]: what a node with the broker role offers.
//! - [`RemoteBrokers`]: the brokers as one process reaches them, its own directly.
//! - [`RemoteProbe`]: asking a broker which session it runs, for the controller.
//!
//! Appends of one process to one broker travel on one stream and keep their order. While there is no
//! connection they wait for one; if none can be made they were surely not appended. When the connection
//! breaks, everything on it that has no answer is unclear, and the next append begins a new one.
//! Everything else is a call; one that is not answered says that this broker does not own the partition,
//! so that whoever asked looks at its view again.

mod appends;
mod brokers;
mod convert;
mod probe;
mod service;
mod shared;
mod tails;

#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic, reason = "generated")]
mod wire {
    weir_rpc::tonic::include_proto!("weir.broker.v1");
}

pub use brokers::RemoteBrokers;
pub use probe::RemoteProbe;
pub use service::service;
