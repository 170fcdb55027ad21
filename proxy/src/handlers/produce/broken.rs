//! Idempotent producers whose sequence an unanswered append has broken.
//!
//! A client has up to five requests under way. When one is given up, because its partition has no owner for
//! too long, those behind it may find one, and would be told that numbers are missing (`OUT_OF_ORDER_SEQUENCE`).
//! librdkafka takes that for a reason to begin anew under another epoch, in all partitions: there what it then
//! sends again is not recognised, and a record that it was unsure of is there twice. So they are given up as
//! well, until the one that was given up first comes again, as it does when its client has been told. No I/O.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;
use weir_broker::client::Append;
use weir_ids::{ProducerEpoch, ProducerId, Sequence, TopicPartition};
use weir_protocol::records::BatchHeader;

/// How long those behind may still be on their way. What comes later is judged by the broker: a client that
/// goes on without what it was not told of leaves a gap.
const UNDER_WAY: Duration = Duration::from_secs(5);

/// Of how many partitions of a connection this is known at most: some 80 KiB. Beyond, brokers judge.
const PARTITIONS_MAX: usize = 1_000;

/// See the module. Of one connection.
#[derive(Default)]
pub(super) struct Broken(BTreeMap<TopicPartition, Gap>);

struct Gap {
    missing: Numbered,
    since: Instant,
}

impl Gap {
    /// Whether what was under way behind it has arrived.
    fn is_over(&self) -> bool {
        self.since.elapsed() > UNDER_WAY
    }
}

/// Which batch of an idempotent producer one is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Numbered {
    producer: ProducerId,
    epoch: ProducerEpoch,
    first: Sequence,
}

impl Numbered {
    /// `None`: its producer does not number its batches.
    pub(super) fn of(append: &Append) -> Option<Self> {
        let header = BatchHeader::parse(&append.records, 0).ok()?;
        let (producer, epoch) = (header.producer_id, header.producer_epoch);
        header.has_producer().then_some(Self { producer, epoch, first: header.base_sequence })
    }

    /// Whether it comes after `other` of the same producer, as sequences go round (KIP-98).
    fn is_behind(self, other: Self) -> bool {
        let same = (self.producer, self.epoch) == (other.producer, other.epoch);
        let ahead = self.first.0.wrapping_sub(other.first.0) & i32::MAX;
        same && (1..i32::MAX / 2).contains(&ahead)
    }
}

impl Broken {
    /// An append was given up.
    pub(super) fn note(&mut self, append: &Append) {
        let Some(missing) = Numbered::of(append) else { return };
        let gap = Gap { missing, since: Instant::now() };
        if self.0.len() >= PARTITIONS_MAX {
            self.0.retain(|_, gap| !gap.is_over());
        }
        match self.0.get(&append.partition) {
            Some(before) if missing.is_behind(before.missing) => {}
            None if self.0.len() >= PARTITIONS_MAX => {}
            _ => drop(self.0.insert(append.partition, gap)),
        }
    }

    /// Whether an append is to be given up too. The one that was given up mends it.
    pub(super) fn holds_back(&mut self, append: &Append) -> bool {
        let Some(gap) = self.0.get(&append.partition) else { return false };
        let Some(numbered) = Numbered::of(append) else { return false };
        let is_over = gap.is_over();
        if !is_over && numbered.is_behind(gap.missing) {
            return true;
        }
        if is_over || numbered.producer == gap.missing.producer {
            self.0.remove(&append.partition);
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;
    use weir_broker::client::{Acks, Origin};
    use weir_ids::Timestamp;
    use weir_protocol::records::BatchBuilder;

    use super::*;
    use crate::testing::at;

    /// The `number`th batch of a producer in a partition.
    fn append(partition: u32, number: i32) -> Append {
        let mut builder =
            BatchBuilder::new().producer(ProducerId(7), ProducerEpoch(0), Sequence(number));
        builder.push(Timestamp(1), None, Some(b"value"), &[]).unwrap();
        Append {
            partition: at(1, partition),
            epoch: None,
            records: builder.build().unwrap().into_batch().into_bytes(),
            acks: Acks::Durable,
            expected: None,
            origin: Origin::Client,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn so_many_partitions_are_known_until_what_was_under_way_has_arrived() {
        let (mut broken, most) = (Broken::default(), PARTITIONS_MAX as u32);
        (0..=most).for_each(|partition| broken.note(&append(partition, 3)));
        assert!(broken.holds_back(&append(most - 1, 4)));
        assert!(!broken.holds_back(&append(most, 4)), "the broker judges");
        advance(UNDER_WAY + Duration::from_millis(1)).await;
        broken.note(&append(most, 3));
        assert!(broken.holds_back(&append(most, 4)), "what is over has made room");
        assert!(!broken.holds_back(&append(0, 4)));
    }
}
