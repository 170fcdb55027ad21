//! The elected controller, as one process reaches it.

use std::sync::Arc;

use async_trait::async_trait;
use weir_ids::{NodeId, SessionId};
use weir_rpc::{Failed, Links};

use super::{Answer, Question, Reply, wire, wire::controller_client::ControllerClient as Client};
use crate::{
    controller::{
        AlterConfigs, Controller, CreatePartitions, CreateTopic, CreatedTopic, DeletedTopic, Error,
        TopicRef,
    },
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

    fn leader(&self) -> Result<NodeId, Error> {
        let leader = self.view.with(|now| now.controller());
        leader.ok_or(Error::NotController { leader: None })
    }

    /// The controller of this process, if it is the one.
    fn local(&self, leader: NodeId) -> Option<&dyn Controller> {
        self.own.as_ref().filter(|(own, _)| *own == leader).map(|(_, controller)| &**controller)
    }

    async fn ask(&self, leader: NodeId, question: Question) -> Answer {
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

    async fn done(&self, leader: NodeId, question: Question) -> Result<(), Error> {
        match self.ask(leader, question).await? {
            Reply::Done => Ok(()),
            other => Err(strange(&other)),
        }
    }
}

fn strange(reply: &Reply) -> Error {
    unclear(format!("the controller answers another question: {reply:?}"))
}

#[async_trait]
impl Controller for RemoteController {
    async fn create_topic(&self, topic: CreateTopic) -> Result<CreatedTopic, Error> {
        let leader = self.leader()?;
        if let Some(local) = self.local(leader) {
            return local.create_topic(topic).await;
        }
        match self.ask(leader, Question::CreateTopic(topic)).await? {
            Reply::Created(created) => Ok(created),
            other => Err(strange(&other)),
        }
    }

    async fn delete_topic(&self, topic: TopicRef) -> Result<DeletedTopic, Error> {
        let leader = self.leader()?;
        if let Some(local) = self.local(leader) {
            return local.delete_topic(topic).await;
        }
        match self.ask(leader, Question::DeleteTopic(topic)).await? {
            Reply::Deleted(deleted) => Ok(deleted),
            other => Err(strange(&other)),
        }
    }

    async fn create_partitions(&self, wanted: CreatePartitions) -> Result<(), Error> {
        let leader = self.leader()?;
        match self.local(leader) {
            Some(local) => local.create_partitions(wanted).await,
            None => self.done(leader, Question::CreatePartitions(wanted)).await,
        }
    }

    async fn alter_configs(&self, wanted: AlterConfigs) -> Result<(), Error> {
        let leader = self.leader()?;
        match self.local(leader) {
            Some(local) => local.alter_configs(wanted).await,
            None => self.done(leader, Question::AlterConfigs(wanted)).await,
        }
    }

    async fn report_broken(&self, session: SessionId) -> Result<(), Error> {
        let leader = self.leader()?;
        match self.local(leader) {
            Some(local) => local.report_broken(session).await,
            None => self.done(leader, Question::ReportBroken(session)).await,
        }
    }
}
