//! What a node that may be elected offers.

use std::sync::Arc;

use weir_rpc::tonic::{self, Request, Response, Status};

use super::{Answer, wire};
use crate::controller::Controller;

/// The service of `controller`.
pub fn service(
    controller: Arc<dyn Controller>,
) -> wire::controller_server::ControllerServer<Service> {
    wire::controller_server::ControllerServer::new(Service(controller))
}

/// See the module.
pub struct Service(Arc<dyn Controller>);

#[tonic::async_trait]
impl wire::controller_server::Controller for Service {
    async fn ask(
        &self,
        request: Request<wire::Question>,
    ) -> Result<Response<wire::Answer>, Status> {
        let question = serde_json::from_slice(&request.into_inner().question);
        let question = question.map_err(|error| Status::invalid_argument(error.to_string()))?;
        let answer: Answer = self.0.ask(question).await;
        let answer =
            serde_json::to_vec(&answer).map_err(|error| Status::internal(error.to_string()))?;
        Ok(Response::new(wire::Answer { answer: answer.into() }))
    }
}
