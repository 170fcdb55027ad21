//! One state of the cluster. Immutable once shown; cheap to derive the next one from.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, OnceLock},
};

use imbl::{OrdMap, OrdSet, ordmap::DiffItem};
use weir_ids::{NodeId, PartitionIndex, SessionId, TopicId, TopicPartition};

use crate::{
    model::{
        Assignment, Drained, HostPort, Leadership, ModelError, Node, Record, Role, Session, Topic,
    },
    store::{Entry, Event, Key, Revision},
    topic_config::TopicConfig,
};

/// A topic as others see it: live, with its configs parsed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TopicView {
    /// Its name.
    pub name: Arc<str>,
    /// Its identity.
    pub id: TopicId,
    /// How many partitions it has.
    pub partitions: u32,
    /// What clients are told.
    pub replication_factor: i16,
    /// Whether it belongs to Weir itself.
    pub internal: bool,
    /// The configs that were set.
    pub configs: Arc<BTreeMap<String, String>>,
    /// What the configs come to.
    pub config: Arc<TopicConfig>,
}

/// A registered broker session.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SessionView {
    /// Its id.
    pub id: SessionId,
    /// Where it runs and how it is reached.
    pub session: Session,
}

/// The state of the cluster as of about one moment. Every iteration is in the order of keys.
#[derive(Clone, Default, PartialEq)]
pub struct Snapshot {
    topics: OrdMap<Arc<str>, Arc<TopicView>>,
    by_id: OrdMap<TopicId, Arc<TopicView>>,
    assignments: OrdMap<TopicId, Arc<[NodeId]>>,
    sessions: OrdMap<SessionId, Arc<SessionView>>,
    nodes: OrdMap<NodeId, Arc<Node>>,
    drained: OrdSet<NodeId>,
    controller: Option<NodeId>,
    partitions: u64,
    /// Per prefix of [`PREFIXES`]: up to where it has been applied.
    applied: [Revision; PREFIXES.len()],
}

/// What a view follows.
pub(super) const PREFIXES: [&str; 6] = [
    Topic::PREFIX,
    Assignment::PREFIX,
    Session::PREFIX,
    Node::PREFIX,
    Drained::PREFIX,
    "controller",
];

impl Snapshot {
    /// The topic `name`.
    pub fn topic(&self, name: &str) -> Option<&Arc<TopicView>> {
        self.topics.get(name)
    }

    /// The topic with identity `id`.
    pub fn topic_by_id(&self, id: TopicId) -> Option<&Arc<TopicView>> {
        self.by_id.get(&id)
    }

    /// All topics, by name.
    pub fn topics(&self) -> impl Iterator<Item = &Arc<TopicView>> {
        self.topics.values()
    }

    /// How many topics there are.
    pub fn topic_count(&self) -> usize {
        self.topics.len()
    }

    /// How many partitions there are in all.
    pub fn partition_count(&self) -> u64 {
        self.partitions
    }

    /// The node that should own a partition; `None` while that is not known here.
    pub fn assigned(&self, of: TopicPartition) -> Option<NodeId> {
        self.assignments.get(&of.topic)?.get(of.partition.0 as usize).copied()
    }

    /// The nodes that should own the partitions of `topic`, in order. May be longer or shorter than
    /// its count for a moment.
    pub fn assignment(&self, topic: TopicId) -> Option<&Arc<[NodeId]>> {
        self.assignments.get(&topic)
    }

    /// The partitions of live topics that `node` should own, in the order of their keys.
    pub fn assigned_to(&self, node: NodeId) -> impl Iterator<Item = TopicPartition> {
        self.by_id.values().flat_map(move |topic| {
            let nodes = self.assignments.get(&topic.id).map_or(&[][..], |nodes| nodes);
            let counted = nodes.iter().take(topic.partitions as usize).enumerate();
            counted
                .filter(move |(_, assigned)| **assigned == node)
                .map(|(number, _)| TopicPartition::new(topic.id, PartitionIndex(number as u32)))
        })
    }

    /// The partitions that should have another owner than in an earlier snapshot, with who that was. Costs by
    /// the topics of which some have.
    pub fn moved_since<'a>(
        &'a self,
        earlier: &'a Self,
    ) -> impl Iterator<Item = (TopicPartition, NodeId)> + 'a {
        let changed = earlier.assignments.diff(&self.assignments);
        changed.flat_map(|item| {
            let (topic, before, now) = match item {
                DiffItem::Update { old: (topic, before), new: (_, now) } => {
                    (*topic, &before[..], &now[..])
                }
                DiffItem::Add(topic, _) | DiffItem::Remove(topic, _) => (*topic, &[][..], &[][..]),
            };
            let both = before.iter().zip(now).enumerate();
            both.filter(|(_, (before, now))| before != now).map(move |(number, (before, _))| {
                (TopicPartition::new(topic, PartitionIndex(number as u32)), *before)
            })
        })
    }

    /// The registered sessions.
    pub fn sessions(&self) -> impl Iterator<Item = &Arc<SessionView>> {
        self.sessions.values()
    }

    /// The session `id`, if it is registered.
    pub fn session(&self, id: SessionId) -> Option<&Arc<SessionView>> {
        self.sessions.get(&id)
    }

    /// The newest registered session of `node`.
    pub fn session_of(&self, node: NodeId) -> Option<&Arc<SessionView>> {
        self.sessions.values().rev().find(|view| view.session.node == node)
    }

    /// The registered nodes.
    pub fn nodes(&self) -> impl Iterator<Item = (NodeId, &Arc<Node>)> {
        self.nodes.iter().map(|(id, node)| (*id, node))
    }

    /// The node `id`, if it is registered.
    pub fn node(&self, id: NodeId) -> Option<&Arc<Node>> {
        self.nodes.get(&id)
    }

    /// Whether `node` is to have nothing: because it is about to end, or because an operator wants it so.
    pub fn is_draining(&self, node: NodeId) -> bool {
        self.drained.contains(&node) || self.nodes.get(&node).is_some_and(|node| node.draining)
    }

    /// The nodes that an operator wants to have nothing, registered or not.
    pub fn drained(&self) -> impl Iterator<Item = NodeId> {
        self.drained.iter().copied()
    }

    /// The nodes with `role` that are to stay; if none is, those that drain.
    pub fn staying(&self, role: Role) -> impl Iterator<Item = (NodeId, &Arc<Node>)> {
        let of_role = || self.nodes().filter(move |(_, node)| node.is(role));
        let none_stays = of_role().all(|(id, _)| self.is_draining(id));
        of_role().filter(move |(id, _)| none_stays || !self.is_draining(*id))
    }

    /// The brokers that partitions may be given to: those with a session that are to stay; if none is,
    /// those that drain.
    pub fn brokers(&self) -> BTreeSet<NodeId> {
        let alive = self.sessions.values().map(|session| session.session.node);
        let (leave, stay): (BTreeSet<_>, BTreeSet<_>) =
            alive.partition(|node| self.is_draining(*node));
        if stay.is_empty() { leave } else { stay }
    }

    /// The proxies, and the addresses that clients are told, by node.
    pub fn proxies(&self) -> impl Iterator<Item = (NodeId, &HostPort)> {
        let proxies = self.nodes().filter(|(_, node)| node.is(Role::Proxy));
        proxies.filter_map(|(id, node)| Some((id, node.kafka.as_ref()?)))
    }

    /// The elected controller.
    pub fn controller(&self) -> Option<NodeId> {
        self.controller
    }

    /// Everything up to this revision is in here.
    pub fn revision(&self) -> Revision {
        self.applied.iter().copied().min().unwrap_or(Revision::NONE)
    }

    #[cfg(test)]
    pub(super) fn pretend_applied(&mut self, revision: Revision) {
        self.applied = [revision; PREFIXES.len()];
    }

    pub(super) fn applied(&self, prefix: usize) -> Revision {
        self.applied[prefix]
    }

    /// Takes in all that is under a prefix at `revision`, and forgets what is not.
    pub(super) fn replace(
        &mut self,
        prefix: usize,
        entries: &[Entry],
        revision: Revision,
        troubles: &mut Vec<ModelError>,
    ) {
        match PREFIXES[prefix] {
            Topic::PREFIX => {
                self.topics.clear();
                self.by_id.clear();
                self.partitions = 0;
            }
            Assignment::PREFIX => self.assignments.clear(),
            Session::PREFIX => self.sessions.clear(),
            Node::PREFIX => self.nodes.clear(),
            Drained::PREFIX => self.drained.clear(),
            _ => self.controller = None,
        }
        for entry in entries {
            troubles.extend(self.put(entry).err());
        }
        self.applied[prefix] = revision;
    }

    /// Applies events of a prefix, in order; those already applied are ignored.
    pub(super) fn apply(
        &mut self,
        prefix: usize,
        events: &[Event],
        troubles: &mut Vec<ModelError>,
    ) {
        let applied = self.applied[prefix];
        for event in events.iter().filter(|event| event.revision() > applied) {
            match event {
                Event::Put(entry) => troubles.extend(self.put(entry).err()),
                Event::Delete { key, .. } => self.remove(key),
            }
            self.applied[prefix] = self.applied[prefix].max(event.revision());
        }
    }

    fn put(&mut self, entry: &Entry) -> Result<(), ModelError> {
        if let Some(name) = Topic::name(&entry.key) {
            let topic = Topic::decode(entry)?;
            self.remove_topic(name);
            if topic.is_live() {
                self.put_topic(name, topic);
            }
        } else if let Some(topic) = Assignment::topic(&entry.key) {
            let nodes = Assignment::decode(entry)?.nodes;
            self.assignments.insert(topic, nodes.into());
        } else if let Some(id) = Session::id(&entry.key) {
            let session = Session::decode(entry)?;
            self.sessions.insert(id, Arc::new(SessionView { id, session }));
        } else if let Some(id) = Node::id(&entry.key) {
            self.nodes.insert(id, Arc::new(Node::decode(entry)?));
        } else if let Some(id) = Drained::id(&entry.key) {
            let Drained {} = Drained::decode(entry)?;
            self.drained.insert(id);
        } else if entry.key == Leadership::key() {
            self.controller = Some(Leadership::decode(entry)?.node);
        }
        Ok(())
    }

    fn remove(&mut self, key: &Key) {
        if let Some(name) = Topic::name(key) {
            self.remove_topic(name);
        } else if let Some(topic) = Assignment::topic(key) {
            self.assignments.remove(&topic);
        } else if let Some(id) = Session::id(key) {
            self.sessions.remove(&id);
        } else if let Some(id) = Node::id(key) {
            self.nodes.remove(&id);
        } else if let Some(id) = Drained::id(key) {
            self.drained.remove(&id);
        } else if *key == Leadership::key() {
            self.controller = None;
        }
    }

    fn put_topic(&mut self, name: &str, topic: Topic) {
        let (configs, config) = configs(topic.configs);
        let view = Arc::new(TopicView {
            name: name.into(),
            id: topic.id,
            partitions: topic.partitions,
            replication_factor: topic.replication_factor,
            internal: topic.internal,
            configs,
            config,
        });
        self.partitions += u64::from(view.partitions);
        self.by_id.insert(view.id, Arc::clone(&view));
        self.topics.insert(Arc::clone(&view.name), view);
    }

    fn remove_topic(&mut self, name: &str) {
        if let Some(old) = self.topics.remove(name) {
            self.partitions -= u64::from(old.partitions);
            self.by_id.remove(&old.id);
        }
    }
}

type Configs = (Arc<BTreeMap<String, String>>, Arc<TopicConfig>);

/// A topic's configs as a view holds them; topics that set nothing share theirs.
fn configs(set: BTreeMap<String, String>) -> Configs {
    static UNSET: OnceLock<Configs> = OnceLock::new();
    if set.is_empty() {
        return UNSET.get_or_init(Default::default).clone();
    }
    let config = TopicConfig::new(&set);
    (Arc::new(set), Arc::new(config))
}
