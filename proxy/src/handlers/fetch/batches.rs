//! Looking at batches that are about to be sent.

use bytes::Bytes;
use weir_ids::Offset;
use weir_protocol::{
    codec::Records,
    records::{Attributes, BatchHeader, Compression, batch::PREFIX_BYTES},
};

/// Where a batch's attributes end.
const LOOK_BYTES: usize = 23;

/// Whether a batch among `records` is compressed with zstd. Batches may lie across slices.
pub(super) fn any_zstd(records: &Records) -> bool {
    let mut head = [0; LOOK_BYTES];
    let mut filled = 0;
    let mut skip = 0;
    for mut slice in records.slices().map(|slice| &slice[..]) {
        while !slice.is_empty() {
            let skipped = skip.min(slice.len());
            slice = &slice[skipped..];
            skip -= skipped;
            let taken = (LOOK_BYTES - filled).min(slice.len());
            head[filled..filled + taken].copy_from_slice(&slice[..taken]);
            filled += taken;
            slice = &slice[taken..];
            if filled == LOOK_BYTES {
                if codec(&head) == Some(Compression::Zstd) {
                    return true;
                }
                skip = (length(&head) + PREFIX_BYTES).saturating_sub(LOOK_BYTES);
                filled = 0;
            }
        }
    }
    false
}

fn codec(head: &[u8; LOOK_BYTES]) -> Option<Compression> {
    Attributes(i16::from_be_bytes([head[21], head[22]])).compression()
}

fn length(head: &[u8; LOOK_BYTES]) -> usize {
    usize::try_from(i32::from_be_bytes([head[8], head[9], head[10], head[11]])).unwrap_or(0)
}

/// The whole batches at the start of `bytes` that begin below `end`.
pub(super) fn below(bytes: Bytes, end: Offset) -> Bytes {
    let mut len = 0;
    while let Ok(header) = BatchHeader::parse(&bytes[len..], len) {
        if header.base_offset >= end {
            break;
        }
        len += header.size();
    }
    bytes.slice(..len)
}

#[cfg(test)]
mod tests {
    use weir_protocol::records::BatchBuilder;

    use super::*;

    fn batch(base: i64, compression: Compression) -> Bytes {
        let mut batch = BatchBuilder::new().compression(compression).base_offset(Offset(base));
        let value = Bytes::from(vec![7; 300]);
        batch.push(weir_ids::Timestamp(1), None, Some(&value), &[]).unwrap();
        batch.build().unwrap().into_batch().into_bytes()
    }

    /// Cuts bytes into slices of `size`.
    fn sliced(bytes: &[u8], size: usize) -> Records {
        bytes.chunks(size).map(Bytes::copy_from_slice).collect()
    }

    #[test]
    fn zstd_is_found_however_the_batches_are_cut() {
        let plain = [batch(0, Compression::None), batch(1, Compression::Lz4)].concat();
        let zstd = [&plain[..], &batch(2, Compression::Zstd)].concat();
        for size in [1, 2, 7, 16, 61, 100, 5000] {
            assert!(any_zstd(&sliced(&zstd, size)), "in slices of {size}");
            assert!(!any_zstd(&sliced(&plain, size)), "in slices of {size}");
        }
        assert!(!any_zstd(&Records::new()));
    }

    #[test]
    fn batches_at_or_behind_the_end_are_cut_off() {
        let bytes: Vec<_> = (0..4).map(|base| batch(base, Compression::None)).collect();
        let all = Bytes::from(bytes.concat());
        assert_eq!(below(all.clone(), Offset(2)), bytes[..2].concat());
        assert_eq!(below(all.clone(), Offset(9)), all);
        assert!(below(all, Offset(0)).is_empty());
    }
}
