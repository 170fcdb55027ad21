//! One round of a fetch: reads what there is for each of its partitions, within the memory that it
//! is given.
//!
//! A partition that is known to have nothing new is not asked about. The others are read in waves,
//! so that a fetch of ten thousand partitions and one megabyte does not gather more than about two
//! of them. When the allowance is used up, the rest are asked for their offsets alone.

use std::ops::Range;

use futures::{StreamExt, future::join_all, stream};
use tokio::time::{Duration, Instant, timeout_at};
use weir_broker::client::{Entries, Places, Read, ReadError, ReadOutcome};
use weir_ids::NodeId;
use weir_protocol::{ErrorCode, codec::Records};

use super::{
    batches,
    plan::{Found, Plan, Target},
    stored,
};
use crate::{
    budget::{ByteBudget, Reservation},
    handlers::{Handlers, codes},
};

/// A fetch takes at most this part of the free response memory: the less is left, the smaller the
/// answers, rather than fewer.
const SHARE: usize = 32;
/// The smallest answer that is worth giving.
const ANSWER_BYTES_MIN: usize = 64 * 1024;
/// How long to wait at least for memory for the smallest answer.
const MEMORY_WAIT_MIN: Duration = Duration::from_secs(1);
/// How many partitions of one fetch are read from the store at the same time.
const STORED_AT_ONCE: usize = 16;

/// What a round came to, beside what is in the plan.
pub(super) struct Round {
    /// Holds the memory of the plan's records.
    pub(super) memory: Reservation,
    /// Whether more was there than could be taken, so that waiting for more makes no sense.
    pub(super) limited: bool,
}

impl Round {
    /// A round that had nothing to read.
    pub(super) fn nothing() -> Self {
        Self { memory: Reservation::none(), limited: false }
    }
}

/// Reads all partitions of `plan` that are not known to be at their end.
pub(super) async fn run(handlers: &Handlers, plan: &mut Plan, deadline: Instant) -> Round {
    skip_known_ends(handlers, plan);
    let unread = |(place, partition): (usize, &super::plan::Partition)| {
        let target = partition.target.filter(|_| matches!(partition.found, Found::Unread))?;
        Some((place, target))
    };
    let unread: Vec<_> = plan.partitions.iter().enumerate().filter_map(unread).collect();
    if unread.is_empty() {
        return Round::nothing();
    }
    let wanted: usize = unread.iter().map(|(_, target)| target.max_bytes as usize).sum();
    let budget = &handlers.shared.response_memory;
    let wanted = wanted.clamp(1, plan.terms.max_bytes.max(1));
    let Some(mut memory) = reserve(budget, wanted, deadline).await else {
        let offsets =
            |(place, target): &(usize, Target)| (*place, Target { max_bytes: 0, ..*target });
        let rest: Vec<_> = unread.iter().map(offsets).collect();
        read(handlers, plan, &rest, &mut Allowance { left: 0, taken: true, limited: false }).await;
        return Round { memory: Reservation::none(), limited: true };
    };
    let mut allowance = Allowance { left: memory.bytes(), taken: false, limited: false };
    let mut done = 0;
    while done < unread.len() {
        let wave = allowance.wave(&unread, done);
        done = wave.end;
        let spent = allowance.is_spent();
        let limit = |(place, target): &(usize, Target)| {
            let max_bytes = if spent { 0 } else { target.max_bytes.min(allowance.left as u32) };
            (*place, Target { max_bytes, ..*target })
        };
        let wave: Vec<_> = unread[wave].iter().map(limit).collect();
        read(handlers, plan, &wave, &mut allowance).await;
    }
    let (granted, bytes) = (memory.bytes(), plan.bytes());
    // About full, and smaller than the client allows: there may well be more.
    let full = granted < wanted && bytes >= granted / 2;
    fit(budget, &mut memory, bytes).await;
    Round { memory, limited: allowance.limited || full }
}

/// Notes which partitions are known to have nothing behind the offset that was asked for.
fn skip_known_ends(handlers: &Handlers, plan: &mut Plan) {
    let isolation = plan.terms.isolation;
    let (by_owner, partitions) = plan.by_owner();
    for (owner, places) in by_owner {
        let Some(tail) = handlers.tail(owner) else { continue };
        let known = tail.known();
        for place in places {
            let partition = &mut partitions[place];
            let Some(target) = partition.target else { continue };
            let Some(offsets) = known.offsets(target.partition) else { continue };
            let same_epoch = target.epoch.is_none_or(|epoch| epoch == offsets.epoch);
            if same_epoch && target.offset == offsets.visible(isolation) {
                partition.found = Found::Empty(offsets);
            }
        }
    }
}

/// Memory for an answer of up to `wanted` bytes; `None` if there is none in time.
async fn reserve(budget: &ByteBudget, wanted: usize, deadline: Instant) -> Option<Reservation> {
    let least = wanted.min(ANSWER_BYTES_MIN);
    let share = (budget.free_bytes() / SHARE).max(least).min(wanted);
    if let Some(memory) = budget.try_reserve(share) {
        return Some(memory);
    }
    let patience = deadline.max(Instant::now() + MEMORY_WAIT_MIN);
    timeout_at(patience, budget.reserve(least)).await.ok()
}

/// Makes `memory` what `bytes` need: less, or more if a batch was larger than all that was asked.
async fn fit(budget: &ByteBudget, memory: &mut Reservation, bytes: usize) {
    memory.shrink_to(bytes);
    let missing = bytes - memory.bytes();
    if missing == 0 {
        return;
    }
    match budget.try_reserve(missing) {
        Some(more) => memory.absorb(more),
        // Who waits for memory must hold none, or two of them could wait for each other.
        None => {
            *memory = Reservation::none();
            *memory = budget.reserve(bytes).await;
        }
    }
}

/// How much may still be taken.
struct Allowance {
    left: usize,
    /// Something has been taken: the first batch may exceed everything (KIP-74).
    taken: bool,
    /// Something was left out.
    limited: bool,
}

impl Allowance {
    fn is_spent(&self) -> bool {
        self.taken && self.left == 0
    }

    /// The partitions to read next: about twice what may be taken.
    fn wave(&self, unread: &[(usize, Target)], from: usize) -> Range<usize> {
        if self.is_spent() {
            return from..unread.len();
        }
        let mut sum = 0;
        let more = unread[from..].iter().take_while(|(_, target)| {
            let wanted = sum < 2 * self.left.max(1);
            sum += target.max_bytes as usize;
            wanted
        });
        from..from + more.count().max(1)
    }

    /// Whether `bytes` of a partition that was limited to `max_bytes` can be taken.
    fn take(&mut self, bytes: usize, max_bytes: u32) -> bool {
        if self.taken && bytes > self.left.min(max_bytes as usize) {
            self.limited = true;
            // What comes after something that is too large for the rest would hardly fit either.
            if bytes > self.left {
                self.left = 0;
            }
            return false;
        }
        self.taken = true;
        self.left = self.left.saturating_sub(bytes);
        true
    }
}

/// Reads one wave.
async fn read(
    handlers: &Handlers,
    plan: &mut Plan,
    wave: &[(usize, Target)],
    allowance: &mut Allowance,
) {
    let mut in_store = Vec::new();
    for (place, target, outcome) in ask(handlers, plan, wave).await {
        match outcome {
            Ok(ReadOutcome { offsets, entries }) => {
                handlers.owners.note(target.partition, offsets.epoch, target.owner);
                plan.partitions[place].found = Found::Empty(offsets);
                match entries {
                    Entries::None => {}
                    Entries::Tail(slices) => {
                        take(plan, place, &target, slices.into_iter().collect(), allowance);
                    }
                    Entries::Stored(places) => in_store.push((place, target, places)),
                }
            }
            Err(error) => fail(handlers, plan, place, &target, &error),
        }
    }
    read_stored(handlers, plan, in_store, allowance).await;
}

async fn read_stored(
    handlers: &Handlers,
    plan: &mut Plan,
    in_store: Vec<(usize, Target, Places)>,
    allowance: &mut Allowance,
) {
    let isolation = plan.terms.isolation;
    let (mut expected, room) = (0, allowance.left.max(1) as u64);
    let reads = in_store.into_iter().filter_map(|(place, target, places)| {
        // What is read beyond that would be thrown away, and read again for the next answer.
        if allowance.is_spent() || expected >= room {
            allowance.limited = true;
            return None;
        }
        expected += places.bytes().unwrap_or(u64::MAX).min(u64::from(target.max_bytes));
        let end = plan.partitions[place].found.offsets()?.visible(isolation);
        Some((place, target, places, end))
    });
    let reads: Vec<_> = reads
        .map(|(place, target, places, end)| async move {
            (place, target, stored::read(handlers, &target, places, end).await)
        })
        .collect();
    let mut reads = stream::iter(reads).buffered(STORED_AT_ONCE);
    while let Some((place, target, read)) = reads.next().await {
        if allowance.is_spent() {
            allowance.limited = true;
            break;
        }
        match read {
            Ok(read) => {
                // Who is not given what was read asks for it again: it is still where it was.
                if take(plan, place, &target, read.records, allowance) {
                    handlers.ahead.has_read(target.partition, read.range, &read.references);
                }
            }
            Err(code) => plan.partitions[place].found = Found::Failed(code),
        }
    }
}

/// Takes records into the answer if there is room for them and the client can read them. Returns whether there is room.
fn take(
    plan: &mut Plan,
    place: usize,
    target: &Target,
    records: Records,
    allowance: &mut Allowance,
) -> bool {
    let Some(offsets) = plan.partitions[place].found.offsets() else { return false };
    if records.is_empty() || !allowance.take(records.len(), target.max_bytes) {
        return false;
    }
    plan.partitions[place].found = if !plan.terms.zstd && batches::any_zstd(&records) {
        Found::Failed(ErrorCode::UNSUPPORTED_COMPRESSION_TYPE)
    } else {
        Found::Records(offsets, records)
    };
    true
}

fn fail(handlers: &Handlers, plan: &mut Plan, place: usize, target: &Target, error: &ReadError) {
    if let ReadError::FencedEpoch { current, .. } | ReadError::UnknownEpoch { current, .. } = error
    {
        handlers.owners.note(target.partition, *current, target.owner);
    }
    if let ReadError::NotOwner(_) = error {
        handlers.owners.lost(target.partition, target.owner);
    }
    if let ReadError::Storage(reason) = error {
        tracing::warn!(partition = %target.partition, reason, "a fetch met a storage error");
    }
    let code = codes::of_read(error);
    plan.partitions[place].found = match error {
        ReadError::NotOwner(_) | ReadError::UnknownEpoch { .. } => Found::Moving(code),
        _ => Found::Failed(code),
    };
}

/// Asks the owners.
async fn ask(
    handlers: &Handlers,
    plan: &Plan,
    wave: &[(usize, Target)],
) -> Vec<(usize, Target, Result<ReadOutcome, ReadError>)> {
    let mut owners: Vec<NodeId> = wave.iter().map(|(_, target)| target.owner).collect();
    owners.sort_unstable();
    owners.dedup();
    let isolation = plan.terms.isolation;
    let asked = owners.into_iter().map(|owner| async move {
        let theirs = wave.iter().filter(|(_, target)| target.owner == owner);
        let reads = theirs.clone().map(|(_, target)| Read {
            partition: target.partition,
            epoch: target.epoch,
            offset: target.offset,
            max_bytes: target.max_bytes,
            isolation,
        });
        let outcomes = match handlers.brokers.broker(owner) {
            Some(broker) => broker.read(reads.collect()).await,
            None => reads.map(|read| Err(ReadError::NotOwner(read.partition))).collect(),
        };
        theirs
            .zip(outcomes)
            .map(|((place, target), outcome)| (*place, *target, outcome))
            .collect::<Vec<_>>()
    });
    let mut outcomes: Vec<_> = join_all(asked).await.into_iter().flatten().collect();
    // As they were asked for: the first that has records may exceed every limit.
    outcomes.sort_by_key(|(place, ..)| *place);
    outcomes
}
