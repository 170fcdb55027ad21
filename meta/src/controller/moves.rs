//! Changing the assignments of topics: one rewrite a topic, many topics a transaction.

use std::collections::BTreeMap;

use async_trait::async_trait;
use weir_ids::{PartitionIndex, TopicId};

use super::{election::Term, error::Error, local::Inner, placement::Move};
use crate::{
    cas::{self, Plan, Round, read},
    model::{Assignment, Leadership, Record},
    store::{Compare, MetaStore, Txn},
};

impl Inner {
    /// Carries out `moves`; those that somebody has made already change nothing.
    pub(super) async fn carry_out(&self, term: Term, moves: Vec<Move>) -> Result<(), Error> {
        let mut by_topic: BTreeMap<TopicId, Vec<Move>> = BTreeMap::new();
        for one in moves {
            by_topic.entry(one.partition.topic).or_default().push(one);
        }
        let plan = MovePlan { store: self.store(), term };
        let items: Vec<_> = by_topic.into_iter().collect();
        for result in cas::rounds(self.store(), &plan, &items).await {
            result?;
        }
        Ok(())
    }
}

/// Changes the assignments of topics.
struct MovePlan<'a> {
    store: &'a dyn MetaStore,
    term: Term,
}

#[async_trait]
impl Plan for MovePlan<'_> {
    type Item = (TopicId, Vec<Move>);
    type Result = Result<(), crate::Error>;

    async fn round(&self, items: &[Self::Item]) -> Result<Round<Self::Result>, crate::Error> {
        let mut txn = Txn::new().when(Compare::unchanged(Leadership::key(), self.term.revision));
        for (topic, moves) in items {
            let key = Assignment::key(*topic);
            // A topic that is gone needs no move.
            let Some(found) = read::<Assignment>(self.store, &key).await? else { continue };
            let mut assignment = found.value.clone();
            for Move { partition, from, to } in moves {
                let PartitionIndex(number) = partition.partition;
                if let Some(node) = assignment.nodes.get_mut(number as usize)
                    && node == from
                {
                    *node = *to;
                }
            }
            if assignment != found.value {
                let same = Compare::unchanged(key.clone(), found.revision);
                txn = txn.when(same).put(key, assignment.encode());
            }
        }
        Ok(Round { txn, results: items.iter().map(|_| Ok(())).collect() })
    }

    fn failed(&self, error: crate::Error) -> Self::Result {
        Err(error)
    }
}
