//! The elected controller, as one process reaches it.

use std::sync::Arc;

use async_trait::async_trait;
use weir_ids::NodeId;
use weir_rpc::{Failed, Links};

use super::{Answer, wire, wire::controller_client::ControllerClient as Client};
use crate::{
    controller::{Controller, Error, Question, Reply},
    store::StoreError,
    views::View,
};

/// Whoever `view` says is elected: the controller of this process directly, another over its links.
pub struct RemoteController {
    links: Links,
    view: View,
    own: Option<(NodeId, Arc<dyn Controller>)>,
}

fn unclear(reason: impl Into<String>) -> Error {
    StoreError::Unclear { reason: reason.into() }.into()
}

impl RemoteController {
    /// The controller that `view` shows; `own` is that of this process.
    pub fn new(links: Links, view: View, own: Option<(NodeId, Arc<dyn Controller>)>) -> Self {
        Self { links, view, own }
    }

    async fn ask_remote(&self, leader: NodeId, question: Question) -> Answer {
        let question = serde_json::to_vec(&question).map_err(|error| unclear(error.to_string()))?;
        let question = wire::Question { question: question.into() };
        let asked = self
            .links
            .call(leader, |channel| async move { Client::new(channel).ask(question).await });
        let answer = asked.await.map_err(|failed| match failed {
            Failed::Refused | Failed::Unreachable => Error::NotController { leader: None },
            Failed::Broken => unclear("the connection to the controller broke"),
        })?;
        let answer = serde_json::from_slice(&answer.answer);
        answer.unwrap_or_else(|error| {
            Err(unclear(format!("the controller's answer can't be read: {error}")))
        })
    }
}

#[async_trait]
impl Controller for RemoteController {
    async fn ask(&self, question: Question) -> Result<Reply, Error> {
        let leader = self.view.with(|now| now.controller());
        let leader = leader.ok_or(Error::NotController { leader: None })?;
        match &self.own {
            Some((own, controller)) if *own == leader => controller.ask(question).await,
            _ => self.ask_remote(leader, question).await,
        }
    }
}
