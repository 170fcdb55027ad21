//! The elected controller across the network.

use std::sync::Arc;

use async_trait::async_trait;
use futures::future::BoxFuture;
use weir_ids::{NodeId, SessionId};
use weir_meta::{
    controller::{
        AlterConfigs, Controller, CreatePartitions, CreateTopic, CreatedTopic, DeletedTopic, Error,
        TopicRef,
    },
    store::StoreError,
    views::View,
};

use super::{Links, links::Failed};

/// The controller as one process reaches it: whoever its view says is elected.
pub(crate) struct LinkedController {
    links: Links,
    view: View,
    own: Option<(NodeId, Arc<dyn Controller>)>,
}

impl LinkedController {
    pub(crate) fn new(
        links: Links,
        view: View,
        own: Option<(NodeId, Arc<dyn Controller>)>,
    ) -> Self {
        Self { links, view, own }
    }

    async fn ask<T: Send + 'static>(
        &self,
        what: &str,
        ask: impl FnOnce(Arc<dyn Controller>) -> BoxFuture<'static, Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        let leader = self.view.with(|now| now.controller());
        let leader = leader.ok_or(Error::NotController { leader: None })?;
        if let Some((own, controller)) = &self.own
            && *own == leader
        {
            return ask(Arc::clone(controller)).await;
        }
        let asked = self.links.call(leader, what, |services| services.controller.clone().map(ask));
        asked.await.unwrap_or_else(|failed| {
            Err(match failed {
                Failed::Refused | Failed::Unreachable => Error::NotController { leader: None },
                Failed::Broken => {
                    let reason = "the connection to the controller broke".to_owned();
                    StoreError::Unclear { reason }.into()
                }
            })
        })
    }
}

#[async_trait]
impl Controller for LinkedController {
    async fn create_topic(&self, topic: CreateTopic) -> Result<CreatedTopic, Error> {
        let ask = |to: Arc<dyn Controller>| -> BoxFuture<'static, _> {
            Box::pin(async move { to.create_topic(topic).await })
        };
        self.ask("create a topic", ask).await
    }

    async fn delete_topic(&self, topic: TopicRef) -> Result<DeletedTopic, Error> {
        let ask = |to: Arc<dyn Controller>| -> BoxFuture<'static, _> {
            Box::pin(async move { to.delete_topic(topic).await })
        };
        self.ask("delete a topic", ask).await
    }

    async fn create_partitions(&self, wanted: CreatePartitions) -> Result<(), Error> {
        let ask = |to: Arc<dyn Controller>| -> BoxFuture<'static, _> {
            Box::pin(async move { to.create_partitions(wanted).await })
        };
        self.ask("create partitions", ask).await
    }

    async fn report_broken(&self, session: SessionId) -> Result<(), Error> {
        let ask = move |to: Arc<dyn Controller>| -> BoxFuture<'static, _> {
            Box::pin(async move { to.report_broken(session).await })
        };
        self.ask("report a broken connection", ask).await
    }

    async fn alter_configs(&self, wanted: AlterConfigs) -> Result<(), Error> {
        let ask = |to: Arc<dyn Controller>| -> BoxFuture<'static, _> {
            Box::pin(async move { to.alter_configs(wanted).await })
        };
        self.ask("alter configs", ask).await
    }
}
