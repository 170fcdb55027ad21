//! What topics there are, by a catalog and by the partitions of which something is stored. No I/O.

use std::collections::BTreeMap;

use bytes::Bytes;
use weir_ids::{LeaderEpoch, NodeId, TopicId, TopicPartition};
use weir_meta::{
    backup::Contents,
    model::{Assignment, ModelError, Record, Topic, TopicState},
    store::Key,
};

/// Replicas that are shown of a topic which nobody knows: the usual number.
const REPLICATION_FACTOR: i16 = 3;

/// The topics of a cluster.
#[derive(Default)]
pub(super) struct Topics {
    by_id: BTreeMap<TopicId, (String, Topic)>,
    /// Those that were given names.
    pub(super) named: Vec<String>,
}

impl Topics {
    /// Those of `catalog`, with as many partitions as are `stored`; and those that it does not name.
    pub(super) fn of(
        catalog: &Contents,
        stored: impl Iterator<Item = TopicPartition>,
    ) -> Result<Self, ModelError> {
        let mut topics = Self::default();
        for (key, value) in &catalog.entries {
            if let Some(name) = Topic::name(key) {
                let topic = Topic::decode_bytes(key, value)?;
                topics.by_id.insert(topic.id, (name.to_owned(), topic));
            }
        }
        for partition in stored {
            let (_, topic) =
                topics.by_id.entry(partition.topic).or_insert_with(|| unknown(partition.topic));
            topic.partitions = topic.partitions.max(partition.partition.0 + 1);
        }
        let known = |name: &str| catalog.entries.contains_key(&Topic::key(name));
        let names = topics.by_id.values().map(|(name, _)| name);
        topics.named = names.filter(|name| !known(name)).cloned().collect();
        Ok(topics)
    }

    /// Those that clients may see.
    pub(super) fn live(&self) -> impl Iterator<Item = &Topic> {
        self.by_id.values().map(|(_, topic)| topic).filter(|topic| topic.is_live())
    }

    /// Their entries. A partition that nobody should own is given to `node`; the controller moves it.
    pub(super) fn entries(
        &self,
        catalog: &Contents,
        node: NodeId,
    ) -> Result<Vec<(Key, Bytes)>, ModelError> {
        let mut entries = Vec::new();
        for (name, topic) in self.by_id.values() {
            entries.push((Topic::key(name), topic.encode()));
            if topic.is_live() {
                let key = Assignment::key(topic.id);
                let known = catalog.entries.get(&key);
                let known = known.map(|value| Assignment::decode_bytes(&key, value)).transpose()?;
                let mut nodes = known.map_or_else(Vec::new, |known| known.nodes);
                nodes.resize(topic.partitions as usize, nodes.first().copied().unwrap_or(node));
                entries.push((key, Assignment { nodes }.encode()));
            }
        }
        Ok(entries)
    }
}

fn unknown(id: TopicId) -> (String, Topic) {
    let topic = Topic {
        id,
        partitions: 0,
        replication_factor: REPLICATION_FACTOR,
        configs: BTreeMap::new(),
        internal: false,
        highest_epoch: LeaderEpoch::NONE,
        state: TopicState::Live,
    };
    (format!("recovered-{id}"), topic)
}

#[cfg(test)]
mod tests {
    use weir_segment_store::testing::partition;

    use super::*;

    fn catalog(state: TopicState) -> Contents {
        let (_, topic) = unknown(partition(0).topic);
        let topic = Topic { partitions: 2, state, ..topic };
        let assignment = Assignment { nodes: vec![NodeId(7), NodeId(8)] };
        let entries = [
            (Topic::key("orders"), topic.encode()),
            (Assignment::key(topic.id), assignment.encode()),
        ];
        Contents { entries: entries.into(), ..Contents::default() }
    }

    fn nodes(catalog: &Contents, stored: &[TopicPartition]) -> Vec<Vec<NodeId>> {
        let topics = Topics::of(catalog, stored.iter().copied()).unwrap();
        let entries = topics.entries(catalog, NodeId(1)).unwrap();
        let assigned = entries.iter().filter(|(key, _)| Assignment::topic(key).is_some());
        assigned.map(|(key, value)| Assignment::decode_bytes(key, value).unwrap().nodes).collect()
    }

    #[test]
    fn a_topic_has_the_partitions_that_the_catalog_knows_and_those_of_which_something_is_stored() {
        let catalog = catalog(TopicState::Live);
        assert_eq!(nodes(&catalog, &[]), [[NodeId(7), NodeId(8)]]);
        let grown = nodes(&catalog, &[partition(3)]);
        assert_eq!(grown, [[NodeId(7), NodeId(8), NodeId(7), NodeId(7)]]);
    }

    #[test]
    fn a_topic_that_was_deleted_stays_so() {
        let catalog = catalog(TopicState::Gone);
        let topics = Topics::of(&catalog, [partition(1)].into_iter()).unwrap();
        assert_eq!((topics.live().count(), topics.named.len()), (0, 0));
        assert_eq!(nodes(&catalog, &[partition(1)]).len(), 0);
    }

    #[test]
    fn a_topic_that_nobody_knows_is_not_lost() {
        let topics = Topics::of(&Contents::default(), [partition(1)].into_iter()).unwrap();
        assert_eq!(topics.named, [format!("recovered-{}", partition(1).topic)]);
        assert_eq!(topics.live().next().unwrap().partitions, 2);
        assert_eq!(nodes(&Contents::default(), &[partition(1)]), [[NodeId(1), NodeId(1)]]);
    }
}
