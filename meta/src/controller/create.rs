//! Creating topics and adding partitions to them.

use std::collections::BTreeSet;

use weir_ids::{LeaderEpoch, NodeId, TopicId};

use super::{
    CONSUMER_OFFSETS_TOPIC, CreatePartitions, CreateTopic, CreatedTopic, Error, ManualAssignment,
    TRANSACTION_STATE_TOPIC,
    election::Term,
    local::{Inner, Settings},
    partitions::NewPartitions,
    placement,
};
use crate::{
    cas::{ATTEMPTS_MAX, Found, Unclear, read},
    model::{Assignment, Creation, PARTITIONS_PER_TOPIC_MAX, Topic, TopicState, check_topic_name},
    store::Revision,
    topic_config,
    views::Snapshot,
};

/// The replication factors that are accepted.
const REPLICATION_FACTORS: std::ops::RangeInclusive<i16> = 1..=3;

/// What a request to create a topic comes to.
struct Counts {
    partitions: u32,
    replication_factor: i16,
}

/// Checks all of a request that does not depend on which topics there are.
fn check(wanted: &CreateTopic, settings: Settings) -> Result<Counts, Error> {
    let asked = wanted.partitions.filter(|count| *count != -1);
    let factor = wanted.replication_factor.filter(|factor| *factor != -1);
    let counts = if wanted.assignments.is_empty() {
        let partitions = asked.map_or(Ok(settings.default_partitions), |asked| {
            u32::try_from(asked).map_err(|_| Error::InvalidPartitions { asked })
        })?;
        let replication_factor = factor.unwrap_or(settings.default_replication_factor);
        Counts { partitions, replication_factor }
    } else if asked.is_some() || factor.is_some() {
        let reason = "it and a count or a replication factor are given; give one of both";
        return Err(Error::InvalidAssignment { reason: reason.into() });
    } else {
        check_assignments(&wanted.assignments)?
    };
    if !(1..=PARTITIONS_PER_TOPIC_MAX).contains(&counts.partitions) {
        let asked = asked.unwrap_or_else(|| i32::try_from(counts.partitions).unwrap_or(i32::MAX));
        return Err(Error::InvalidPartitions { asked });
    }
    if !REPLICATION_FACTORS.contains(&counts.replication_factor) {
        return Err(Error::InvalidReplicationFactor { asked: counts.replication_factor });
    }
    topic_config::check(&wanted.configs)?;
    Ok(counts)
}

/// Checks an assignment by hand by Kafka's rules; which brokers it names does not matter.
fn check_assignments(assignments: &[ManualAssignment]) -> Result<Counts, Error> {
    let invalid = |reason: &'static str| Error::InvalidAssignment { reason: reason.into() };
    let numbers: BTreeSet<i32> = assignments.iter().map(|wanted| wanted.partition).collect();
    let count = i32::try_from(assignments.len()).map_err(|_| invalid("it is too long"))?;
    if numbers.len() != assignments.len() {
        return Err(invalid("it names a partition twice"));
    }
    if !numbers.into_iter().eq(0..count) {
        return Err(invalid("its partitions are not numbered from 0 on without a gap"));
    }
    let factor = check_brokers(assignments.iter().map(|wanted| &wanted.brokers[..]))?;
    Ok(Counts { partitions: count.unsigned_abs(), replication_factor: factor })
}

/// Checks the brokers of partitions; how many each has.
fn check_brokers<'a>(partitions: impl Iterator<Item = &'a [i32]>) -> Result<i16, Error> {
    let invalid = |reason: &'static str| Error::InvalidAssignment { reason: reason.into() };
    let mut factor = None;
    for brokers in partitions {
        if brokers.is_empty() {
            return Err(invalid("a partition has no broker"));
        }
        if brokers.iter().collect::<BTreeSet<_>>().len() != brokers.len() {
            return Err(invalid("a partition names a broker twice"));
        }
        if *factor.get_or_insert(brokers.len()) != brokers.len() {
            return Err(invalid("its partitions differ in how many brokers they have"));
        }
    }
    i16::try_from(factor.unwrap_or_default()).map_err(|_| invalid("it names too many brokers"))
}

/// The topic whose name differs from `name` in `.` and `_` only.
fn colliding(name: &str, now: &Snapshot) -> Option<String> {
    let folded = |byte: u8| if byte == b'.' { b'_' } else { byte };
    if !name.contains(['.', '_']) {
        return None;
    }
    let collides = |other: &str| {
        other != name
            && other.len() == name.len()
            && other.bytes().map(folded).eq(name.bytes().map(folded))
    };
    now.topics().map(|topic| &*topic.name).find(|other| collides(other)).map(str::to_owned)
}

impl Inner {
    pub(super) async fn create_topic(&self, wanted: CreateTopic) -> Result<CreatedTopic, Error> {
        let term = self.term()?;
        check_topic_name(&wanted.name)?;
        let _alone = self.lock_name(&wanted.name).await;
        let id = TopicId(self.runtime.uuid());
        let mut unclear = Unclear::default();
        let mut placed: Option<Vec<NodeId>> = None;
        for _ in 0..ATTEMPTS_MAX {
            let found = self.metadata.topic(&wanted.name).await;
            let found = found.map_err(|error| unclear.or(error))?;
            if let Some(found) = found.as_ref().filter(|found| found.value.id == id) {
                return Ok(created(&found.value, found.revision));
            }
            let floor = free(&wanted.name, found.as_ref())?;
            let counts = check(&wanted, self.settings)?;
            if let Some(existing) = self.view.with(|now| colliding(&wanted.name, now)) {
                return Err(Error::NameCollides { name: wanted.name, existing });
            }
            let topic = topic(id, &wanted, &counts, floor);
            if wanted.validate_only {
                return Ok(created(&Topic { id: TopicId::NIL, ..topic }, Revision::NONE));
            }
            let nodes = match placed.take() {
                Some(nodes) => nodes,
                None => self.place(&[], counts.partitions)?,
            };
            let new = NewPartitions {
                name: wanted.name.clone(),
                assignment: Assignment { nodes },
                from: 0,
                topic_revision: found.map_or(Revision::NONE, |found| found.revision),
                assignment_revision: Revision::NONE,
                topic,
            };
            if let Some(revision) = self.make(term, &mut unclear, &new).await? {
                tracing::info!(name = %new.name, %id, partitions = counts.partitions, "topic created");
                return Ok(created(&new.topic, revision));
            }
            placed = Some(new.assignment.nodes);
        }
        Err(unclear.or(crate::Error::Contended { key: Topic::key(&wanted.name) }).into())
    }

    fn place(&self, existing: &[NodeId], count: u32) -> Result<Vec<NodeId>, Error> {
        let nodes = placement::place(&mut self.loads(), &self.zones(), existing, count);
        if nodes.is_empty() { Err(Error::NoBrokers) } else { Ok(nodes) }
    }

    pub(super) async fn create_partitions(&self, wanted: CreatePartitions) -> Result<(), Error> {
        let term = self.term()?;
        let _alone = self.lock_name(&wanted.topic).await;
        let mut unclear = Unclear::default();
        let mut sent = None;
        for _ in 0..ATTEMPTS_MAX {
            let topic = self.metadata.topic(&wanted.topic).await;
            let topic = topic.map_err(|error| unclear.or(error))?;
            let topic = topic.filter(|topic| topic.value.is_live());
            let topic = topic.ok_or_else(|| Error::unknown(&wanted.topic))?;
            if sent == Some((topic.value.id, topic.value.partitions)) {
                return Ok(());
            }
            let total = check_growth(&wanted, &topic.value)?;
            if wanted.validate_only {
                return Ok(());
            }
            let Some(new) = self.growth(term, &wanted.topic, topic, total).await? else { continue };
            if self.grow(term, &mut unclear, &new).await? {
                return Ok(());
            }
            sent = Some((new.topic.id, total));
        }
        Err(unclear.or(crate::Error::Contended { key: Topic::key(&wanted.topic) }).into())
    }

    async fn grow(
        &self,
        term: Term,
        unclear: &mut Unclear,
        new: &NewPartitions,
    ) -> Result<bool, Error> {
        let grown = self.make(term, unclear, new).await?.is_some();
        if grown {
            let (name, partitions) = (&new.name, new.topic.partitions);
            tracing::info!(%name, partitions, "topic has more partitions");
        }
        Ok(grown)
    }

    /// What it takes to bring `topic` to `total` partitions; `None` if it is changing just now.
    async fn growth(
        &self,
        term: Term,
        name: &str,
        topic: Found<Topic>,
        total: u32,
    ) -> Result<Option<NewPartitions>, Error> {
        let id = topic.value.id;
        let Some(assignment) = self.metadata.assignment(id).await? else { return Ok(None) };
        let left = read::<Creation>(self.store(), &Creation::key(id)).await?;
        if left.is_some_and(|left| left.value.to != total) && !self.undo_creation(term, id).await? {
            return Ok(None);
        }
        let from = topic.value.partitions;
        let mut nodes = assignment.value.nodes;
        nodes.truncate(from as usize);
        let more = self.place(&nodes, total - from)?;
        nodes.extend(more);
        Ok(Some(NewPartitions {
            name: name.to_owned(),
            topic: Topic { partitions: total, ..topic.value },
            assignment: Assignment { nodes },
            from,
            topic_revision: topic.revision,
            assignment_revision: assignment.revision,
        }))
    }
}

/// The epoch floor of a name that may be used; an error if it is taken.
fn free(name: &str, found: Option<&Found<Topic>>) -> Result<LeaderEpoch, Error> {
    let name = name.to_owned();
    match found.map(|found| &found.value) {
        None => Ok(LeaderEpoch::NONE),
        Some(topic) => match topic.state {
            TopicState::Gone => Ok(topic.highest_epoch),
            TopicState::Live => Err(Error::TopicExists { name }),
            TopicState::Deleting => Err(Error::BeingDeleted { name }),
        },
    }
}

fn topic(id: TopicId, wanted: &CreateTopic, counts: &Counts, floor: LeaderEpoch) -> Topic {
    let kafkas = [CONSUMER_OFFSETS_TOPIC, TRANSACTION_STATE_TOPIC];
    Topic {
        id,
        partitions: counts.partitions,
        replication_factor: counts.replication_factor,
        configs: wanted.configs.clone(),
        internal: wanted.internal || kafkas.contains(&wanted.name.as_str()),
        highest_epoch: floor,
        state: TopicState::Live,
    }
}

fn created(topic: &Topic, revision: Revision) -> CreatedTopic {
    CreatedTopic {
        id: topic.id,
        partitions: topic.partitions,
        replication_factor: topic.replication_factor,
        configs: topic.configs.clone(),
        revision,
    }
}

/// Checks a request for more partitions; how many it asks for in all.
fn check_growth(wanted: &CreatePartitions, topic: &Topic) -> Result<u32, Error> {
    let (name, asked) = (wanted.topic.clone(), wanted.total);
    if topic.internal {
        return Err(Error::InternalTopic { name });
    }
    let total = u32::try_from(asked).ok().filter(|total| *total > topic.partitions);
    let total =
        total.ok_or(Error::PartitionsOnlyGrow { name, current: topic.partitions, asked })?;
    if total > PARTITIONS_PER_TOPIC_MAX {
        return Err(Error::InvalidPartitions { asked });
    }
    if let Some(assignments) = &wanted.assignments {
        if assignments.len() != (total - topic.partitions) as usize {
            let reason = "it is not as long as there are new partitions";
            return Err(Error::InvalidAssignment { reason: reason.into() });
        }
        check_brokers(assignments.iter().map(|brokers| &brokers[..]))?;
    }
    Ok(total)
}
