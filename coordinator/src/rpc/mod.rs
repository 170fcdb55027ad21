//! Coordinators across processes. Kafka's own requests and responses travel, in the version in which a
//! client has asked: so nothing is lost on the way that the client could see.

mod client;
mod service;

#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic, reason = "generated")]
mod wire {
    weir_rpc::tonic::include_proto!("weir.coordinator.v1");
}

pub use client::RemoteCoordinators;
pub use service::service;
