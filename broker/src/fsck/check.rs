//! Following the metadata to all that they need.

use std::collections::{BTreeMap, BTreeSet};

use weir_ids::{ClaimNumber, PartitionIndex, SessionId, TopicId, TopicPartition};
use weir_meta::{
    Error as MetaError,
    model::{Assignment, Log, LogState, Owner, Record, Topic},
    store::list_together,
};
use weir_segment_store::{ObjectName, StoreError, journal};

use super::{
    Fsck, Problem, REQUESTS, Report,
    follow::{Depth, Follow},
};
use crate::{
    catalog::{self, CatalogError},
    collector::{UnneededError, unneeded},
    recovery::{Census, Right, Sessions, recover},
};

/// Why nothing is known of a cluster.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The metadata can't be read.
    #[error(transparent)]
    Metadata(#[from] MetaError),
    /// The store can't be listed or read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A log can't be read.
    #[error(transparent)]
    Journal(#[from] journal::Error),
    /// No copy of what topics are called can be read.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}

impl From<UnneededError> for CheckError {
    fn from(error: UnneededError) -> Self {
        match error {
            UnneededError::Store(error) => Self::Store(error),
            UnneededError::Journal(error) => Self::Journal(error),
        }
    }
}

/// How often something must be missing while brokers run: they replace things all the time.
const LOOKS: usize = 3;

/// What a look has read of the metadata.
struct Known {
    census: Census,
    logs: BTreeMap<TopicPartition, Log>,
    topics: BTreeMap<String, Topic>,
    /// How many partitions are assigned.
    assigned: BTreeMap<TopicId, usize>,
}

impl Fsck {
    /// Looks at everything that the metadata lead to, and changes nothing.
    ///
    /// # Errors
    /// When so much can't be read that nothing can be said. What can't be read of one partition is in the report.
    pub async fn check(&self, depth: Depth) -> Result<Report, CheckError> {
        let mut report = self.look(depth).await?;
        for _ in 1..LOOKS {
            if report.problems.is_empty() || report.live == 0 {
                break;
            }
            let before = report.problems;
            report = self.look(depth).await?;
            report.problems.retain(|problem| before.contains(problem));
        }
        Ok(report)
    }

    /// Deletes what a check found that nobody needs. Only when no session is live: who is has a collector.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn sweep(&self, report: &Report) -> Result<(), StoreError> {
        assert_eq!(report.live, 0, "live sessions may need what nobody else leads to");
        self.store.delete_all(&report.unneeded).await
    }

    async fn look(&self, depth: Depth) -> Result<Report, CheckError> {
        // The store first: whose objects are listed is in the metadata that are read then, unless it was forgotten.
        let listed = self.store.list(None).await?;
        let known = self.known().await?;
        let mut report = Report {
            partitions: known.logs.len(),
            sessions: known.census.needed.len(),
            live: known.census.wals.values().filter(|(wal, _)| wal.sealed.is_none()).count(),
            problems: known.misfits(),
            ..Report::default()
        };
        self.find_strangers(&listed, &known.census, &mut report).await?;
        let copied = catalog::newest(&self.store).await?.map(|(_, copy)| copy).unwrap_or_default();
        let is_copied = |name: &String| copied.entries.contains_key(&Topic::key(name));
        report.uncopied = known.live().filter(|(name, _)| !is_copied(name)).count();
        let (sessions, unread) = self.read(&known).await;
        report.problems.extend(unread);
        let mut follow = Follow::new(&self.store, &self.reader, &listed, depth);
        follow.need(sessions.all().values().flat_map(|logs| logs.chain.checkpoints()));
        for (partition, log) in &known.logs {
            match recover(*partition, &as_claimed(log), sessions.all()) {
                Ok(listing) => follow.listing(*partition, &listing).await?,
                Err(what) => {
                    let what = what.to_string();
                    report.problems.insert(Problem::Incomplete { partition: *partition, what });
                }
            }
        }
        let needed = follow.report_to(&mut report);
        self.count(listed, &known.census, &needed, &mut report).await?;
        Ok(report)
    }

    async fn known(&self) -> Result<Known, CheckError> {
        let census = Census::take(&self.metadata).await?;
        let prefixes = [Log::PREFIX, Topic::PREFIX, Assignment::PREFIX];
        let listed = list_together(self.metadata.store(), prefixes).await;
        let ([logs, topics, assignments], _) = listed.map_err(MetaError::from)?;
        let (mut known_logs, mut known_topics, mut assigned) =
            (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        for entry in &logs {
            let log = Log::decode(entry).map_err(MetaError::from)?;
            known_logs.extend(Log::partition(&entry.key).map(|partition| (partition, log)));
        }
        for entry in &topics {
            let topic = Topic::decode(entry).map_err(MetaError::from)?;
            known_topics.extend(Topic::name(&entry.key).map(|name| (name.to_owned(), topic)));
        }
        for entry in &assignments {
            let nodes = Assignment::decode(entry).map_err(MetaError::from)?.nodes.len();
            assigned.extend(Assignment::topic(&entry.key).map(|topic| (topic, nodes)));
        }
        Ok(Known { census, logs: known_logs, topics: known_topics, assigned })
    }

    async fn find_strangers(
        &self,
        listed: &[(ObjectName, u64)],
        census: &Census,
        report: &mut Report,
    ) -> Result<(), CheckError> {
        let mut there: BTreeSet<SessionId> = self.journal.sessions().await?.into_iter().collect();
        there.extend(listed.iter().map(|(name, _)| name.session()));
        for session in there {
            if !census.wals.contains_key(&session) && !self.journal.is_forgotten(session).await? {
                report.problems.insert(Problem::UnknownSession(session));
            }
        }
        Ok(())
    }

    /// Reads the sessions that are needed, as far as they can be read without being ended.
    async fn read(&self, known: &Known) -> (Sessions, Vec<Problem>) {
        let (metadata, store) = (self.metadata.clone(), self.store.clone());
        let mut sessions = Sessions::new(metadata, store, self.journal.clone(), Right::Sole);
        let (mut asked, mut unread) = (BTreeSet::new(), Vec::new());
        for part in known.logs.values().flat_map(|log| as_claimed(log).inherited) {
            let is_new = asked.insert((part.session, part.end_slot));
            if !is_new || !known.census.needed.contains(&part.session) {
                continue;
            }
            let read = match part.end_slot {
                Some(end) => sessions.read(part.session, Some(end)).await,
                None => sessions.look(part.session).await,
            };
            if let Err(what) = read {
                let (session, what) = (part.session, what.to_string());
                unread.push(Problem::Session { session, what });
            }
        }
        (sessions, unread)
    }

    async fn count(
        &self,
        listed: Vec<(ObjectName, u64)>,
        census: &Census,
        needed: &BTreeSet<ObjectName>,
        report: &mut Report,
    ) -> Result<(), CheckError> {
        let unneeded =
            unneeded(&self.store, &*self.journal, &listed, census, needed, REQUESTS).await?;
        // What a live session has written, that session may know to be needed.
        let is_live = |name: &ObjectName| {
            census.wals.get(&name.session()).is_some_and(|(wal, _)| wal.sealed.is_none())
        };
        let unneeded: BTreeSet<ObjectName> =
            unneeded.into_iter().filter(|name| !is_live(name)).collect();
        for (name, bytes) in listed {
            if unneeded.contains(&name) {
                report.orphans.add(bytes);
            } else if needed.contains(&name) {
                report.needed.add(bytes);
            } else if is_live(&name) {
                report.unpublished.add(bytes);
            }
        }
        report.unneeded = unneeded.into_iter().collect();
        Ok(())
    }
}

/// As whoever claims it next would find it.
fn as_claimed(log: &Log) -> Log {
    let nobody = Owner { session: SessionId(u64::MAX), claim: ClaimNumber::NONE };
    log.claimed(nobody, ClaimNumber::NONE)
}

impl Known {
    /// The topics that clients see.
    fn live(&self) -> impl Iterator<Item = (&String, &Topic)> {
        self.topics.iter().filter(|(_, topic)| topic.is_live())
    }

    /// Where topics, their assignments and their logs do not fit together.
    fn misfits(&self) -> BTreeSet<Problem> {
        let mut problems = BTreeSet::new();
        let topics: BTreeSet<TopicId> = self.topics.values().map(|topic| topic.id).collect();
        for (_, topic) in self.live() {
            if self.assigned.get(&topic.id) != Some(&(topic.partitions as usize)) {
                problems.insert(Problem::NoAssignment(topic.id));
            }
            let partitions =
                (0..topic.partitions).map(|it| TopicPartition::new(topic.id, PartitionIndex(it)));
            problems
                .extend(partitions.filter(|it| !self.logs.contains_key(it)).map(Problem::NoLog));
        }
        let logs = self.logs.iter().filter(|(_, log)| log.state != LogState::Dropped);
        let lost = logs.filter(|(partition, _)| !topics.contains(&partition.topic));
        problems.extend(lost.map(|(partition, _)| Problem::NoTopic(*partition)));
        problems
    }
}
