//! Saying who one is.

use tonic::{Request, Response, Status};
use weir_ids::NodeId;

use crate::Identity;

#[allow(missing_docs, clippy::pedantic, unreachable_pub, reason = "generated")]
mod wire {
    tonic::include_proto!("weir.hello.v1");
}

pub(crate) use wire::{Greeting, hello_client::HelloClient, hello_server::HelloServer};

/// Answers who we are, to whoever asks.
pub(crate) struct Greeter(pub(crate) Identity);

#[tonic::async_trait]
impl wire::hello_server::Hello for Greeter {
    async fn greet(&self, _from: Request<Greeting>) -> Result<Response<Greeting>, Status> {
        Ok(Response::new(Greeting::from(&self.0)))
    }
}

impl From<&Identity> for Greeting {
    fn from(identity: &Identity) -> Self {
        Self { cluster: identity.cluster.clone(), node: identity.node.0 }
    }
}

impl From<Greeting> for Identity {
    fn from(greeting: Greeting) -> Self {
        Self { cluster: greeting.cluster, node: NodeId(greeting.node) }
    }
}
