//! The controller across processes.
//!
//! What it is asked is rare and small, so questions and answers travel as JSON, as the metadata itself is
//! kept: a node of another version reads what it knows.

mod client;
mod service;

use serde::{Deserialize, Serialize};
use weir_ids::SessionId;

pub use client::RemoteController;
pub use service::service;

use super::{
    AlterConfigs, CreatePartitions, CreateTopic, CreatedTopic, DeletedTopic, Error, TopicRef,
};

#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic, reason = "generated")]
mod wire {
    weir_rpc::tonic::include_proto!("weir.controller.v1");
}

/// What the controller is asked.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
enum Question {
    CreateTopic(CreateTopic),
    DeleteTopic(TopicRef),
    CreatePartitions(CreatePartitions),
    AlterConfigs(AlterConfigs),
    ReportBroken(SessionId),
}

/// What it answers, if it is no error.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
enum Reply {
    Created(CreatedTopic),
    Deleted(DeletedTopic),
    Done,
}

type Answer = Result<Reply, Error>;
