//! The elected controller across the network.

use std::sync::Arc;

use async_trait::async_trait;
use futures::future::BoxFuture;
use weir_ids::NodeId;
use weir_meta::{
    controller::{Controller, Error, Question, Reply},
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
}

#[async_trait]
impl Controller for LinkedController {
    async fn ask(&self, question: Question) -> Result<Reply, Error> {
        let leader = self.view.with(|now| now.controller());
        let leader = leader.ok_or(Error::NotController { leader: None })?;
        if let Some((own, controller)) = &self.own
            && *own == leader
        {
            return controller.ask(question).await;
        }
        let what = format!("{question:?}");
        let asked = self.links.call(leader, &what, |services| {
            let controller = services.controller.clone()?;
            let asked: BoxFuture<'static, _> =
                Box::pin(async move { controller.ask(question).await });
            Some(asked)
        });
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
