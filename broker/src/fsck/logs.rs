//! Which sessions a partition's log is in, told by what they hold. No I/O.

use std::collections::{BTreeMap, BTreeSet};

use weir_ids::{ClaimNumber, LeaderEpoch, Offset, ProducerId, SessionId, Slot, TopicPartition};
use weir_meta::model::{Inherited, Log, LogState, Owner, Seal, Wal};
use weir_segment_store::checkpoint::Chain;

use super::Problem;
use crate::recovery::{SessionLogs, recover};

/// By how much leader epochs are above what can be seen: an owner that wrote nothing left no trace of its own.
const EPOCHS_AHEAD: i32 = 1_000;

/// The claim of the session that is said to have owned everything last.
const ONLY_CLAIM: ClaimNumber = ClaimNumber(1);

/// Partitions by what sessions hold of them, and by a last owner that wrote nothing.
pub(super) struct Logs {
    sessions: BTreeMap<SessionId, SessionLogs>,
    /// Who wrote each partition under which epoch.
    parts: BTreeMap<TopicPartition, BTreeSet<(LeaderEpoch, SessionId)>>,
    last_owner: SessionId,
}

impl Logs {
    /// What `sessions` hold. `last_owner` is a session that never was.
    pub(super) fn new(
        mut sessions: BTreeMap<SessionId, SessionLogs>,
        last_owner: SessionId,
    ) -> Self {
        let mut parts: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for (session, logs) in &sessions {
            let mut add = |partition: TopicPartition, epoch| {
                parts.entry(partition).or_default().insert((epoch, *session));
            };
            logs.chain.partitions.iter().for_each(|(it, listing)| add(*it, listing.epoch));
            for (partition, chunks) in &logs.chunks {
                chunks.iter().for_each(|(_, reference, _)| add(*partition, reference.epoch));
            }
        }
        let nothing = SessionLogs::new(Slot::OPEN.next(), Chain::empty(), BTreeMap::new());
        sessions.insert(last_owner, nothing);
        Self { sessions, parts, last_owner }
    }

    /// The partitions of which there is anything.
    pub(super) fn partitions(&self) -> impl Iterator<Item = TopicPartition> {
        self.parts.keys().copied()
    }

    /// The log of a partition, whose epochs are above `floor`.
    pub(super) fn log(&self, partition: TopicPartition, floor: LeaderEpoch) -> Log {
        let none = BTreeSet::new();
        let parts = self.parts.get(&partition).unwrap_or(&none);
        let highest = parts.last().map_or(floor, |(epoch, _)| floor.max(*epoch));
        let mut inherited = Vec::new();
        for (epoch, session) in parts.iter().rev() {
            let (claim, end_slot, end_offset) = (ClaimNumber::NONE, None, None);
            inherited.push(Inherited {
                session: *session,
                epoch: *epoch,
                claim,
                end_slot,
                end_offset,
            });
            let listed = self.sessions[session].chain.partitions.get(&partition);
            if listed.is_some_and(|listing| listing.epoch >= *epoch) {
                break; // It had adopted what was before it.
            }
        }
        inherited.reverse();
        Log {
            leader_epoch: LeaderEpoch(highest.0.saturating_add(EPOCHS_AHEAD)),
            owner: Some(Owner { session: self.last_owner, claim: ONLY_CLAIM }),
            state: LogState::Open,
            log_start: Offset::ZERO,
            manifest: None,
            inherited,
        }
    }

    /// What keeps a broker from opening `partition` with that log, if anything does.
    pub(super) fn problem(&self, partition: TopicPartition, log: &Log) -> Option<Problem> {
        let next = Owner { session: SessionId(u64::MAX), claim: ONLY_CLAIM };
        let claimed = log.claimed(next, ClaimNumber::NONE);
        let what = recover(partition, &claimed, &self.sessions).err()?.to_string();
        Some(Problem::Incomplete { partition, what })
    }

    /// The ended logs of all sessions.
    pub(super) fn wals(&self) -> impl Iterator<Item = (SessionId, Wal)> {
        self.sessions.iter().map(|(session, logs)| {
            let wal = logs.wal.clone().unwrap_or_default();
            let sealed = Some(Seal { at: logs.end, detail: None });
            (*session, Wal { sealed, ..wal })
        })
    }

    /// The highest id of any producer.
    pub(super) fn highest_producer(&self) -> Option<ProducerId> {
        let of_session = |logs: &SessionLogs| {
            let listed = logs.chain.partitions.values().flat_map(|it| it.producers.keys().copied());
            let batches = logs.chunks.values().flatten().flat_map(|(.., batches)| batches);
            let written = batches.filter_map(|batch| Some(batch.producer?.id));
            listed.chain(written).max()
        };
        self.sessions.values().filter_map(of_session).max()
    }
}

#[cfg(test)]
mod tests {
    use weir_ids::Timestamp;
    use weir_segment_store::{
        ByteRange, ObjectName, Reference,
        checkpoint::{Checkpoint, Line, Listing},
        testing::partition,
    };

    use super::*;

    const LAST: SessionId = SessionId(90);

    fn reference(session: u64, epoch: i32, base: i64, last: i64) -> Reference {
        Reference {
            object: ObjectName::WalSlot {
                session: SessionId(session),
                slot: Slot(base as u64 + 1),
            },
            base: Offset(base),
            last: Offset(last),
            epoch: LeaderEpoch(epoch),
            max_timestamp: Timestamp(1),
            data: ByteRange { at: 0, len: 10 },
            index: ByteRange { at: 10, len: 1 },
        }
    }

    /// A session whose checkpoint lists up to an offset under an epoch, if so, and slots behind it.
    fn session(
        session: u64,
        listed: Option<(i32, i64)>,
        slots: &[(i32, i64, i64)],
    ) -> (SessionId, SessionLogs) {
        let mut chain = Chain::empty();
        if let Some((epoch, next)) = listed {
            let mut listing = Listing { epoch: LeaderEpoch(epoch), ..Listing::default() };
            listing.append_chunk(reference(session, epoch, 0, next - 1), &[]);
            let checkpoint = Checkpoint {
                session: SessionId(session),
                number: 1,
                full: 1,
                covers_below: Slot(5),
                adopted_through: ClaimNumber(1),
                partitions: vec![(partition(0), Line::Whole(listing))],
            };
            chain.add(checkpoint).unwrap();
        }
        let chunks = slots.iter().enumerate().map(|(place, (epoch, base, last))| {
            (Slot(5 + place as u64), reference(session, *epoch, *base, *last), Vec::new())
        });
        let chunks: Vec<_> = chunks.collect();
        let chunks = BTreeMap::from([(partition(0), chunks)]);
        (SessionId(session), SessionLogs::new(Slot(20), chain, chunks))
    }

    fn log_of(sessions: impl IntoIterator<Item = (SessionId, SessionLogs)>) -> (Logs, Log) {
        let logs = Logs::new(sessions.into_iter().collect(), LAST);
        let log = logs.log(partition(0), LeaderEpoch(-1));
        (logs, log)
    }

    fn inherited(log: &Log) -> Vec<(u64, i32)> {
        log.inherited.iter().map(|part| (part.session.0, part.epoch.0)).collect()
    }

    #[test]
    fn a_log_goes_back_to_the_session_that_had_adopted_all_before_it() {
        let (logs, log) = log_of([
            session(3, Some((1, 10)), &[(1, 10, 14)]),
            session(7, Some((2, 20)), &[(2, 20, 24)]),
            session(8, None, &[(3, 25, 29), (3, 30, 30)]),
        ]);
        assert_eq!(inherited(&log), [(7, 2), (8, 3)]);
        assert_eq!(log.leader_epoch, LeaderEpoch(1_003));
        assert_eq!(log.owner.unwrap().session, LAST);
        assert_eq!(logs.problem(partition(0), &log), None);
        let next = log.claimed(log.owner.unwrap(), ClaimNumber::NONE);
        assert_eq!(recover(partition(0), &next, &logs.sessions).unwrap().next, Offset(31));
    }

    #[test]
    fn a_session_that_came_back_is_there_twice() {
        let (logs, log) = log_of([
            session(3, Some((1, 10)), &[(1, 10, 14), (4, 20, 22)]),
            session(7, None, &[(2, 15, 19)]),
        ]);
        assert_eq!(inherited(&log), [(3, 1), (7, 2), (3, 4)]);
        assert_eq!(logs.problem(partition(0), &log), None);
    }

    #[test]
    fn a_hole_is_told() {
        let (logs, log) =
            log_of([session(3, Some((1, 10)), &[]), session(7, None, &[(2, 12, 19)])]);
        let told = logs.problem(partition(0), &log).unwrap().to_string();
        assert!(told.contains("goes on at offset 12"), "{told}");
    }

    #[test]
    fn a_partition_of_which_there_is_nothing_begins_above_all_epochs_of_its_name() {
        let (logs, _) = log_of([]);
        let log = logs.log(partition(5), LeaderEpoch(70));
        assert_eq!((log.leader_epoch, inherited(&log)), (LeaderEpoch(1_070), vec![]));
        assert_eq!(logs.problem(partition(5), &log), None);
    }

    #[test]
    fn every_session_is_ended_and_the_last_owner_too() {
        let (logs, _) = log_of([session(3, Some((1, 10)), &[])]);
        let wals: Vec<_> =
            logs.wals().map(|(session, wal)| (session.0, wal.sealed.unwrap().at.0)).collect();
        assert_eq!(wals, [(3, 20), (90, 1)]);
    }
}
