//! Coordinators across processes. Kafka's own requests and responses travel, in the version in which a
//! client has asked: so nothing is lost on the way that the client could see.

mod client;
mod service;
#[cfg(test)]
mod tests;

#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic, reason = "generated")]
mod wire {
    weir_rpc::tonic::include_proto!("weir.coordinator.v1");
}

pub use client::{RemoteCoordinators, is_undone_by_later};
pub use service::service;
pub use weir_rpc::promptness;

use std::time::Duration;

use self::promptness::Moment;

/// Within this a request is to be begun at its coordinator, or never. One that arrived any later could undo what
/// its client has asked for since: a committed offset would go back.
pub const PROMPTLY: Duration = Duration::from_secs(2);

impl From<Moment> for wire::Moment {
    fn from(Moment { process, millis }: Moment) -> Self {
        Self { process, millis }
    }
}

impl From<wire::Moment> for Moment {
    fn from(wire::Moment { process, millis }: wire::Moment) -> Self {
        Self { process, millis }
    }
}
