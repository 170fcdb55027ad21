//! The controller across processes.
//!
//! What it is asked is rare and small, so questions and answers travel as JSON, as the metadata itself is
//! kept: a node of another version reads what it knows.

mod client;
mod service;

pub use client::RemoteController;
pub use service::service;

use super::{Error, Reply};

#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic, reason = "generated")]
mod wire {
    weir_rpc::tonic::include_proto!("weir.controller.v1");
}

type Answer = Result<Reply, Error>;
