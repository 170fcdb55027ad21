//! What stays where it is and what is gathered. No I/O.
//!
//! What is gathered in one object has one lifetime: otherwise a little that stays for ever would keep in the store all that
//! lies around it. For the same reason a long run stays in its slot only if at least half of that is of its lifetime.

use std::collections::BTreeMap;

use weir_ids::{LeaderEpoch, Offset, TopicPartition};
use weir_segment_store::{
    ObjectName, Part, Reference,
    checkpoint::Listing,
    object::{BatchEntry, Builder, Chunk, ChunkSource},
};

use super::CheckpointSettings;
use crate::{
    Lifetime,
    wal::{DurableSlot, SlotChunk},
};

/// A run of one partition's batches, in the order of their offsets.
pub(super) enum Run<'a> {
    /// Long enough to stay where it is.
    InPlace(Reference, &'a SlotChunk),
    /// Small pieces of one epoch, to be gathered.
    Gather(Vec<&'a SlotChunk>),
}

/// The runs of each partition that the slots touch.
pub(super) type Plan<'a> = BTreeMap<TopicPartition, Vec<Run<'a>>>;

/// Decides for all chunks of `slots`, which follow one another.
pub(super) fn plan<'a>(slots: &'a [DurableSlot], settings: &CheckpointSettings) -> Plan<'a> {
    let mut plan = Plan::new();
    for slot in slots {
        let shares = shares(slot);
        let all: u64 = shares.values().sum();
        for (place, chunk) in slot.chunks.iter() {
            let runs = plan.entry(chunk.partition).or_default();
            let is_alike = shares.get(&chunk.lifetime).is_some_and(|share| share * 2 >= all);
            if place.data.len >= settings.in_place_bytes && is_alike {
                runs.push(Run::InPlace(place.reference(slot.object, slot.origin), chunk));
                continue;
            }
            match runs.last_mut() {
                Some(Run::Gather(pieces))
                    if (pieces[0].epoch, pieces[0].lifetime) == (chunk.epoch, chunk.lifetime) =>
                {
                    pieces.push(chunk);
                }
                _ => runs.push(Run::Gather(vec![chunk])),
            }
        }
    }
    plan
}

/// Bytes of each lifetime in a slot.
fn shares(slot: &DurableSlot) -> BTreeMap<Lifetime, u64> {
    let mut shares = BTreeMap::new();
    for (place, chunk) in slot.chunks.iter() {
        *shares.entry(chunk.lifetime).or_default() += u64::from(place.data.len);
    }
    shares
}

/// Pieces of one partition, and their bytes.
type Pieces<'a, 'p> = (&'p [&'a SlotChunk], u64);

/// The runs to gather, in groups that make one sorted object each: of one lifetime each.
pub(super) fn groups<'a, 'p>(
    plan: &'p Plan<'a>,
    settings: &CheckpointSettings,
) -> Vec<Vec<&'p [&'a SlotChunk]>> {
    let mut alike: BTreeMap<Lifetime, Vec<Pieces<'a, 'p>>> = BTreeMap::new();
    for run in plan.values().flatten() {
        if let Run::Gather(pieces) = run {
            let of_it = (pieces.as_slice(), bytes_of(pieces));
            alike.entry(pieces[0].lifetime).or_default().push(of_it);
        }
    }
    alike.into_values().flat_map(|gathered| of_one_lifetime(&gathered, settings)).collect()
}

/// Groups of about the same size, for each costs a request, however little is left for the last.
fn of_one_lifetime<'a, 'p>(
    gathered: &[Pieces<'a, 'p>],
    settings: &CheckpointSettings,
) -> Vec<Vec<&'p [&'a SlotChunk]>> {
    let total: u64 = gathered.iter().map(|(_, bytes)| bytes).sum();
    let count = ((total + settings.sorted_bytes / 2) / settings.sorted_bytes).max(1);
    let enough = total.div_ceil(count);
    let mut groups: Vec<Vec<&[&SlotChunk]>> = Vec::new();
    let mut last = u64::MAX;
    for (pieces, bytes) in gathered {
        if last >= enough {
            groups.push(Vec::new());
            last = 0;
        }
        last += bytes;
        if let Some(group) = groups.last_mut() {
            group.push(*pieces);
        }
    }
    groups
}

fn bytes_of(pieces: &[&SlotChunk]) -> u64 {
    pieces.iter().flat_map(|piece| &piece.entries).map(|entry| u64::from(entry.bytes)).sum()
}

/// Adds a gathered run to a body.
pub(super) fn add(builder: &mut Builder, pieces: &[&SlotChunk]) {
    let entries: Vec<BatchEntry> = pieces.iter().flat_map(|p| &p.entries).copied().collect();
    let batches = pieces.iter().flat_map(|p| &p.batches).cloned();
    builder.add(ChunkSource {
        partition: pieces[0].partition,
        epoch: pieces[0].epoch,
        batches: &entries,
        parts: batches.map(Part::Batch).collect(),
    });
}

/// What the plan adds to each partition's listing. `gathered` are the chunks of the sorted objects of all [`groups`].
pub(super) fn deltas(
    plan: &Plan<'_>,
    gathered: impl IntoIterator<Item = (ObjectName, Chunk)>,
) -> BTreeMap<TopicPartition, (LeaderEpoch, Listing)> {
    let of_run =
        |(object, chunk): (ObjectName, Chunk)| ((chunk.partition, chunk.base), (object, chunk));
    let gathered: BTreeMap<(TopicPartition, Offset), (ObjectName, Chunk)> =
        gathered.into_iter().map(of_run).collect();
    let mut deltas = BTreeMap::new();
    for (partition, runs) in plan {
        let mut delta = Listing::default();
        let mut latest = LeaderEpoch::NONE;
        for run in runs {
            match run {
                Run::InPlace(reference, chunk) => {
                    delta.append_chunk(*reference, &chunk.entries);
                    latest = chunk.epoch;
                }
                Run::Gather(pieces) => {
                    let first = pieces[0].entries[0].base;
                    let (object, chunk) = &gathered[&(*partition, first)];
                    let entries: Vec<BatchEntry> =
                        pieces.iter().flat_map(|p| &p.entries).copied().collect();
                    delta.append_chunk(chunk.reference(*object, 0), &entries);
                    latest = chunk.epoch;
                }
            }
        }
        deltas.insert(*partition, (latest, delta));
    }
    deltas
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use weir_ids::{SessionId, Slot};
    use weir_segment_store::{
        object::{Header, Kind},
        testing::{CLUSTER, batch, partition},
    };

    use super::*;
    use crate::TopicRules;

    const SESSION: SessionId = SessionId(2);

    fn header(number: u64) -> Header {
        Header { cluster: CLUSTER, session: SESSION, number, put_id: 1, kind: Kind::Slot }
    }

    /// A durable slot with one batch a chunk: (partition, epoch, first offset, records). Partitions from 100 on keep
    /// them for ever, others for a day.
    fn slot(number: u64, chunks: &[(u32, i32, i64, i64)]) -> DurableSlot {
        let mut builder = Builder::new(&header(number));
        let mut sources = Vec::new();
        for (index, epoch, base, count) in chunks {
            let batches = vec![batch(*epoch, *base, *count)];
            let entries: Vec<_> = batches.iter().map(|b| BatchEntry::from(&b.header())).collect();
            let epoch = LeaderEpoch(*epoch);
            let day = TopicRules { retention_ms: Some(86_400_000), ..TopicRules::default() };
            let lifetime = if *index < 100 { day.lifetime() } else { Lifetime::Endless };
            let chunk =
                SlotChunk { partition: partition(*index), epoch, lifetime, entries, batches };
            add(&mut builder, &[&chunk]);
            sources.push(chunk);
        }
        let body = builder.finish();
        DurableSlot {
            slot: Slot(number),
            object: ObjectName::WalFile { session: SESSION, file: 1 },
            origin: number * 1_000_000,
            bytes: body.len,
            chunks: Arc::new(body.chunks.into_iter().zip(sources).collect()),
        }
    }

    fn settings() -> CheckpointSettings {
        CheckpointSettings {
            in_place_bytes: 5_000,
            sorted_bytes: 1_000,
            ..CheckpointSettings::for_tests(1 << 20)
        }
    }

    /// Builds the sorted objects of a plan as the task does.
    fn gather(plan: &Plan<'_>) -> Vec<(ObjectName, Chunk)> {
        let mut chunks = Vec::new();
        for (number, group) in groups(plan, &settings()).into_iter().enumerate() {
            let mut builder = Builder::new(&header(0));
            group.into_iter().for_each(|pieces| add(&mut builder, pieces));
            let name = ObjectName::Sorted { session: SESSION, number: number as u64 };
            chunks.extend(builder.finish().chunks.into_iter().map(|chunk| (name, chunk)));
        }
        chunks
    }

    #[test]
    fn small_pieces_are_gathered_and_long_runs_stay() {
        let slots = [
            slot(1, &[(0, 1, 0, 2), (1, 1, 0, 1)]),
            slot(2, &[(0, 1, 2, 3)]),
            slot(3, &[(0, 1, 5, 90)]),
            slot(4, &[(0, 1, 95, 1), (1, 1, 1, 1)]),
        ];
        let plan = plan(&slots, &settings());
        let deltas = deltas(&plan, gather(&plan));
        let (epoch, first) = &deltas[&partition(0)];
        assert_eq!(*epoch, LeaderEpoch(1));
        let spans: Vec<_> = first
            .references
            .iter()
            .map(|r| (r.base.0, r.last.0, matches!(r.object, ObjectName::Sorted { .. })))
            .collect();
        assert_eq!(spans, [(0, 4, true), (5, 94, false), (95, 95, true)]);
        assert!(first.is_dense());
        assert_eq!(first.references[1].data.at, 3_000_000 + 64, "where it lies in the log");
        let (_, second) = &deltas[&partition(1)];
        assert_eq!(second.references.len(), 1, "one range a partition");
    }

    #[test]
    fn what_stays_for_ever_is_gathered_apart_from_what_goes() {
        let slots = [
            slot(1, &[(0, 1, 0, 2), (1, 1, 0, 1), (100, 1, 0, 1)]),
            slot(2, &[(0, 1, 2, 1), (100, 1, 1, 2), (101, 1, 0, 1)]),
        ];
        let plan = plan(&slots, &settings());
        let of_group = |group: &Vec<&[&SlotChunk]>| -> Vec<u32> {
            group.iter().map(|pieces| pieces[0].partition.partition.0).collect()
        };
        let grouped: Vec<_> = groups(&plan, &settings()).iter().map(of_group).collect();
        assert_eq!(grouped, [[0, 1], [100, 101]]);
        for (_, listing) in deltas(&plan, gather(&plan)).values() {
            assert!(listing.is_dense(), "{listing:?}");
        }
    }

    #[test]
    fn a_long_run_stays_only_among_what_goes_when_it_goes() {
        let is_in_place = |slot: DurableSlot| {
            let slots = [slot];
            let plan = plan(&slots, &settings());
            matches!(plan[&partition(100)][..], [Run::InPlace(..)])
        };
        assert!(is_in_place(slot(1, &[(0, 1, 0, 90), (100, 1, 0, 90)])), "half of it");
        assert!(!is_in_place(slot(1, &[(0, 1, 0, 90), (1, 1, 0, 90), (100, 1, 0, 90)])));
    }

    #[test]
    fn a_run_has_one_epoch() {
        let slots = [slot(1, &[(0, 1, 0, 1)]), slot(2, &[(0, 2, 1, 1)])];
        let plan = plan(&slots, &settings());
        let (epoch, delta) = &deltas(&plan, gather(&plan))[&partition(0)];
        assert_eq!((*epoch, delta.references.len()), (LeaderEpoch(2), 2));
        assert_eq!(delta.epoch_starts.len(), 2);
    }

    #[test]
    fn sorted_objects_are_about_of_the_size_that_they_should_have() {
        let batch = u64::from(BatchEntry::from(&batch(1, 0, 1).header()).bytes);
        let settings = CheckpointSettings { sorted_bytes: 10 * batch, ..settings() };
        for (chunks, expected) in [
            (1, &[1][..]),
            (10, &[10]),
            (14, &[14]),
            (15, &[8, 7]),
            (24, &[12, 12]),
            (25, &[9, 9, 7]),
        ] {
            let chunks: Vec<_> = (0..chunks).map(|index| (index, 1, 0, 1)).collect();
            let slots = [slot(1, &chunks)];
            let plan = plan(&slots, &settings);
            let sizes: Vec<_> = groups(&plan, &settings).iter().map(Vec::len).collect();
            assert_eq!(sizes, expected, "of {} chunks", chunks.len());
        }
    }
}
