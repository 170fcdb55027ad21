//! Judging an append and giving it its offsets.

use weir_ids::{LeaderEpoch, Timestamp, TopicPartition};
use weir_protocol::records::{
    Patcher, ProduceRules, RecordRules, VerifiedBatch, inspect, validate_produced,
};
use weir_runtime::planted::{Bug, is_planted};
use weir_segment_store::object::BatchEntry;

use super::{
    Partition, TailBatch,
    pending::{Answered, Waiting},
    producers::Sequenced,
};
use crate::{
    Lifetime,
    client::{Acks, Append, AppendError, Appended, Origin, Refused, Resolver},
};

/// A batch on its way to the log.
pub(crate) struct Accepted {
    pub(crate) partition: TopicPartition,
    pub(crate) epoch: LeaderEpoch,
    pub(crate) entry: BatchEntry,
    pub(crate) batch: weir_protocol::records::PatchedBatch,
    /// A coordinator waits for it, and clients for the coordinator.
    pub(crate) urgent: bool,
    pub(crate) lifetime: Lifetime,
}

/// What became of an append.
pub(crate) enum Verdict {
    /// It goes to the log; its answer follows, or is here already.
    Accepted(Accepted, Option<Answered>),
    /// It goes nowhere, but its answer follows: a duplicate of a batch that is not yet durable.
    Waiting,
    /// It is answered.
    Answered(Answered),
}

/// The decompressed size up to which a broker looks into a batch.
const MAX_LOOK_INTO_BYTES: usize = 128 << 20;

impl Partition {
    /// Judges an append at time `now`. `reserved` bytes of the broker's buffers go with it.
    pub(crate) fn append(
        &mut self,
        append: Append,
        resolver: Resolver,
        reserved: u64,
        now: Timestamp,
        patcher: &mut Patcher,
    ) -> Verdict {
        let urgent = append.origin == Origin::Coordinator;
        match self.judge(append, now) {
            Ok(Judged::New(batch, acks)) => {
                let place = Place { resolver, reserved, urgent };
                self.accept(batch, acks, place, now, patcher)
            }
            Ok(Judged::Duplicate(appended))
                if appended.last < self.durable || is_planted(Bug::DuplicateAnsweredEarly) =>
            {
                Verdict::Answered(Answered::new(resolver, Ok(appended)))
            }
            Ok(Judged::Duplicate(Appended { base, last, log_append_time, .. })) => {
                self.pending.push(Waiting { base, last, log_append_time, resolver });
                Verdict::Waiting
            }
            Err(error) => Verdict::Answered(Answered::new(resolver, Err(error))),
        }
    }

    fn judge(&self, append: Append, now: Timestamp) -> Result<Judged, AppendError> {
        if self.frozen && !is_planted(Bug::AcceptAfterRelease) {
            return Err(AppendError::NotOwner(self.id));
        }
        if let Some(asked) = append.epoch.filter(|asked| *asked != self.epoch) {
            let (partition, current) = (self.id, self.epoch);
            return Err(AppendError::WrongEpoch { partition, asked, current });
        }
        let batch = self.validate(&append, now)?;
        let header = batch.header();
        if header.attributes.is_transactional() {
            return Err(Refused::Transactional.into());
        }
        if header.has_producer() {
            let sequenced = self.producers.judge(header, now, self.rules.producer_expiry_ms)?;
            if let Sequenced::Duplicate(past) = sequenced {
                return Ok(Judged::Duplicate(Appended {
                    base: past.base,
                    last: past.end,
                    // What it was is not remembered; Kafka says the same of a duplicate.
                    log_append_time: None,
                    log_start: self.listing.log_start,
                    epoch: self.epoch,
                }));
            }
        }
        if let Some(expected) = append.expected.filter(|expected| *expected != self.next) {
            return Err(AppendError::Conflict { expected, next: self.next });
        }
        Ok(Judged::New(batch, append.acks))
    }

    fn validate(&self, append: &Append, now: Timestamp) -> Result<VerifiedBatch, AppendError> {
        let rules = &self.rules;
        let by_client = append.origin == Origin::Client;
        let timestamps = (!rules.log_append_time && by_client).then(|| {
            let from = now.0.saturating_sub(rules.timestamp_before_max_ms);
            (Timestamp(from), Timestamp(now.0.saturating_add(rules.timestamp_after_max_ms)))
        });
        // Which codecs a request's version allows is the proxy's to say.
        let produce =
            ProduceRules { max_batch_bytes: rules.max_batch_bytes, zstd: true, timestamps };
        let batch = validate_produced(append.records.clone(), &produce).map_err(Refused::from)?;
        let each = RecordRules {
            keys: rules.compacted && by_client,
            // The batch's largest timestamp has been looked at; records need it only for old ones.
            timestamps: timestamps.filter(|_| rules.timestamp_before_max_ms != i64::MAX),
        };
        batch.inspect(&each, MAX_LOOK_INTO_BYTES).map_err(|error| match error {
            inspect::Error::Unfit { first, others } => {
                Refused::Records(std::iter::once(first).chain(others).collect())
            }
            inspect::Error::Unreadable(error) => Refused::Unreadable(error.to_string()),
        })?;
        Ok(batch)
    }

    fn accept(
        &mut self,
        batch: VerifiedBatch,
        acks: Acks,
        place: Place,
        now: Timestamp,
        patcher: &mut Patcher,
    ) -> Verdict {
        let Place { resolver, reserved, urgent } = place;
        let log_append_time = self.rules.log_append_time.then_some(now);
        let patched = match log_append_time {
            Some(time) => patcher.patch_append_time(batch, self.next, self.epoch, time),
            None => patcher.patch(batch, self.next, self.epoch),
        };
        let header = patched.header();
        let (base, last) = (header.base_offset, header.last_offset());
        if header.has_producer() {
            self.producers.note(&header, now, self.rules.producer_expiry_ms);
        }
        self.next = last.plus(1);
        self.passed += reserved;
        self.tail.push(TailBatch {
            base,
            last,
            max_timestamp: header.max_timestamp,
            batch: patched.clone(),
            reserved,
        });
        let answered = match acks {
            Acks::Durable if !is_planted(Bug::AckBeforeDurable) => {
                self.pending.push(Waiting { base, last, log_append_time, resolver });
                None
            }
            Acks::Buffered | Acks::Durable => {
                let (log_start, epoch) = (self.listing.log_start, self.epoch);
                let appended = Appended { base, last, log_append_time, log_start, epoch };
                Some(Answered::new(resolver, Ok(appended)))
            }
        };
        let entry = BatchEntry::from(&header);
        let (partition, epoch) = (self.id, self.epoch);
        let lifetime = self.rules.lifetime();
        let accepted = Accepted { partition, epoch, entry, batch: patched, urgent, lifetime };
        Verdict::Accepted(accepted, answered)
    }
}

/// What comes with an append besides its batch.
struct Place {
    resolver: Resolver,
    reserved: u64,
    urgent: bool,
}

enum Judged {
    New(VerifiedBatch, Acks),
    Duplicate(Appended),
}
