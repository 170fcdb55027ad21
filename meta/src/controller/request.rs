//! What operators do: giving partitions to nodes, and draining nodes.

use weir_ids::{PartitionIndex, TopicPartition};

use super::{Drain, Error, MovePartitions, TopicRef, local::Inner, placement::Move};
use crate::{
    cas::{ATTEMPTS_MAX, Unclear, read},
    model::{Drained, Record},
    store::{Compare, Revision, Txn},
    views::Snapshot,
};

impl Inner {
    pub(super) async fn move_partitions(&self, wanted: MovePartitions) -> Result<(), Error> {
        let term = self.term()?;
        let MovePartitions { topic, partitions, to } = wanted;
        if !self.view.with(|now| now.brokers().contains(&to)) {
            return Err(Error::NoSuchBroker { node: to });
        }
        let assignment = self.metadata.assignment(topic).await?;
        let unknown = || Error::UnknownTopic { topic: TopicRef::Id(topic) };
        let nodes = assignment.ok_or_else(unknown)?.value.nodes;
        let moves = partitions.into_iter().map(|number| {
            let from = *nodes.get(number as usize).ok_or(Error::UnknownPartition { number })?;
            let partition = TopicPartition::new(topic, PartitionIndex(number));
            Ok(Move { partition, from, to })
        });
        let moves = moves.collect::<Result<Vec<_>, Error>>()?;
        tracing::info!(%topic, moves = moves.len(), %to, "moving partitions as asked");
        self.carry_out(term, moves).await
    }

    pub(super) async fn drain(&self, wanted: Drain) -> Result<(), Error> {
        let term = self.term()?;
        let Drain { node, drain } = wanted;
        let is_known = |now: &Snapshot| now.node(node).is_some() || now.session_of(node).is_some();
        if drain && !self.view.with(is_known) {
            return Err(Error::NoSuchNode { node });
        }
        let (key, mut unclear) = (Drained::key(node), Unclear::default());
        for _ in 0..ATTEMPTS_MAX {
            let found = read::<Drained>(self.store(), &key).await;
            let found = found.map_err(|error| unclear.or(error))?;
            let revision = match found {
                Some(_) if drain => return Ok(()),
                None if !drain => return Ok(()),
                Some(found) => found.revision,
                None => Revision::NONE,
            };
            let txn = Txn::new().when(Compare::unchanged(key.clone(), revision));
            let txn = match drain {
                true => txn.put(key.clone(), Drained {}.encode()),
                false => txn.delete(key.clone()),
            };
            if self.commit(term, &mut unclear, txn).await?.is_some() {
                tracing::info!(%node, drain, "a node is drained, or no longer");
                return Ok(());
            }
        }
        Err(unclear.or(crate::Error::Contended { key }).into())
    }
}
