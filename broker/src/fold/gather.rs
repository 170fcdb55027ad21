//! One object of what many ranges hold. No I/O.

use weir_ids::LeaderEpoch;
use weir_segment_store::{
    ObjectName, Part, Stored,
    object::{BatchEntry, Body, Builder, Chunk, ChunkSource, Header},
};

use super::{Due, Folded};

/// Ranges that were read: what is due, and all that its references lead to, in their order.
pub(crate) type Read = (Due, Vec<Stored>);

/// An object, and how many chunks of it are whose.
pub(super) struct Gathered {
    pub(super) body: Body,
    dues: Vec<(Due, usize)>,
}

/// Puts ranges one after the other: neighbours of one epoch become one chunk.
pub(super) fn gather(header: &Header, reads: Vec<Read>) -> Gathered {
    let mut builder = Builder::new(header);
    let mut dues = Vec::with_capacity(reads.len());
    for (due, stored) in reads {
        let epochs: Vec<LeaderEpoch> = due.references.iter().map(|it| it.epoch).collect();
        let (mut from, mut chunks) = (0, 0);
        for run in epochs.chunk_by(|one, next| one == next) {
            let of_run = &stored[from..from + run.len()];
            let batches: Vec<BatchEntry> =
                of_run.iter().flat_map(|it| &it.batches).copied().collect();
            builder.add(ChunkSource {
                partition: due.partition,
                epoch: run[0],
                batches: &batches,
                parts: of_run.iter().map(|it| Part::Bytes(it.bytes.clone())).collect(),
            });
            from += run.len();
            chunks += 1;
        }
        dues.push((due, chunks));
    }
    Gathered { body: builder.finish(), dues }
}

impl Gathered {
    /// What refers to the object instead of what was due, once it is written as `name`.
    pub(super) fn folded(self, name: ObjectName) -> Vec<Folded> {
        let mut chunks = self.body.chunks.into_iter();
        let of = |(due, count): (Due, usize)| {
            let own: Vec<Chunk> = chunks.by_ref().take(count).collect();
            let by = own.iter().map(|chunk| chunk.reference(name, 0)).collect();
            Folded { due, by }
        };
        self.dues.into_iter().map(of).collect()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use weir_ids::{Offset, SessionId};
    use weir_segment_store::{
        ByteRange, Reference,
        object::{Directory, Kind},
        testing::{CLUSTER, batch, partition},
    };

    use super::*;
    use crate::Lifetime;

    const SESSION: SessionId = SessionId(2);
    const NAME: ObjectName = ObjectName::Sorted { session: SESSION, number: 1 };

    /// One range with a batch each of these: (epoch, first offset, records).
    fn range(of: &[(i32, i64, i64)]) -> (Reference, Stored) {
        let made: Vec<_> =
            of.iter().map(|(epoch, base, count)| batch(*epoch, *base, *count)).collect();
        let batches: Vec<_> = made.iter().map(|it| BatchEntry::from(&it.header())).collect();
        let bytes: Vec<u8> =
            made.iter().flat_map(|it| it.pieces().map(|piece| piece.to_vec()).concat()).collect();
        let (first, last) = (batches[0], batches[batches.len() - 1]);
        let reference = Reference {
            object: ObjectName::WalFile { session: SESSION, file: 1 },
            base: first.base,
            last: last.last,
            epoch: LeaderEpoch(of[0].0),
            max_timestamp: last.max_timestamp,
            data: ByteRange { at: 0, len: bytes.len() as u32 },
            index: ByteRange { at: 0, len: 0 },
        };
        (reference, Stored { batches, bytes: Bytes::from(bytes) })
    }

    fn read(index: u32, ranges: &[(i32, i64, i64)]) -> Read {
        let (references, stored) = ranges.iter().map(|it| range(&[*it])).unzip();
        let (partition, lifetime) = (partition(index), Lifetime::Endless);
        let due = Due { partition, epoch: LeaderEpoch(9), lifetime, references };
        (due, stored)
    }

    #[test]
    fn neighbours_of_one_epoch_become_one_chunk() {
        let reads =
            vec![read(0, &[(1, 0, 2), (1, 2, 3), (4, 5, 1)]), read(1, &[(1, 7, 1), (1, 8, 2)])];
        let number = 1;
        let header =
            Header { cluster: CLUSTER, session: SESSION, number, put_id: 1, kind: Kind::Sorted };
        let gathered = gather(&header, reads);
        let mut bytes = Vec::new();
        gathered.body.parts.iter().for_each(|it| it.pieces(|piece| bytes.extend_from_slice(piece)));
        let folded = gathered.folded(NAME);
        let spans = |folded: &Folded| {
            let span = |it: &Reference| (it.epoch.0, it.base.0, it.last.0);
            folded.by.iter().map(span).collect::<Vec<_>>()
        };
        assert_eq!(spans(&folded[0]), [(1, 0, 4), (4, 5, 5)]);
        assert_eq!(spans(&folded[1]), [(1, 7, 9)]);
        let directory = Directory::of_body(&bytes).unwrap();
        let batches = directory.batches(&bytes, &directory.chunks[0]).unwrap();
        assert_eq!(batches.iter().map(|it| it.base).collect::<Vec<_>>(), [Offset(0), Offset(2)]);
        assert_eq!(directory.chunks[2].partition, partition(1));
    }
}
