//! Which ranges of an object are read together. No I/O.
//!
//! A request costs money and the time to the first byte; bytes that nobody asked for cost little. So ranges that lie
//! close together are read in one request, up to a length that is still read in a moment.

use std::ops::Range;

use crate::ByteRange;

/// What may lie between two ranges that are read together.
const GAP_BYTES: u64 = 64 << 10;
/// How long a request that reads several may be.
const TOGETHER_BYTES: u64 = 16 << 20;

/// A request, and which of the wanted ranges it brings, by their places.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Request {
    pub(crate) range: ByteRange,
    pub(crate) brings: Vec<usize>,
}

/// The requests that bring all of `wanted`.
pub(crate) fn together(wanted: &[ByteRange]) -> Vec<Request> {
    let mut places: Vec<usize> = (0..wanted.len()).collect();
    places.sort_by_key(|place| wanted[*place].at);
    let mut requests: Vec<Request> = Vec::new();
    for place in places {
        let range = wanted[place];
        match requests.last_mut().and_then(|last| Some((joined(last.range, range)?, last))) {
            Some((whole, last)) => {
                last.range = whole;
                last.brings.push(place);
            }
            None => requests.push(Request { range, brings: vec![place] }),
        }
    }
    requests
}

/// Both ranges and what lies between them, if that is worth it. `second` does not begin before `first`.
fn joined(first: ByteRange, second: ByteRange) -> Option<ByteRange> {
    let end = first.end().max(second.end());
    let len = end - first.at;
    let close = second.at <= first.end().saturating_add(GAP_BYTES) && len <= TOGETHER_BYTES;
    close.then_some(ByteRange { at: first.at, len: u32::try_from(len).ok()? })
}

/// Where `range` lies within `request`, which brings it.
pub(crate) fn place_in(request: ByteRange, range: ByteRange) -> Range<usize> {
    let start = (range.at - request.at) as usize;
    start..start + range.len as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(at: u64, len: u32) -> ByteRange {
        ByteRange { at, len }
    }

    #[test]
    fn neighbours_are_read_together_in_whichever_order_they_come() {
        let wanted = [range(5_000, 10), range(0, 100), range(100, 50), range(1 << 30, 7)];
        let requests = together(&wanted);
        assert_eq!(requests.len(), 2);
        assert_eq!(requests[0], Request { range: range(0, 5_010), brings: vec![1, 2, 0] });
        assert_eq!(requests[1], Request { range: range(1 << 30, 7), brings: vec![3] });
        assert_eq!(place_in(requests[0].range, wanted[2]), 100..150);
        assert_eq!(together(&[]), []);
    }

    #[test]
    fn what_lies_apart_or_is_long_is_read_alone() {
        let apart = [range(0, 10), range(11 + GAP_BYTES, 10)];
        assert_eq!(together(&apart).len(), 2);
        let long = TOGETHER_BYTES as u32;
        assert_eq!(together(&[range(0, long), range(u64::from(long), 1)]).len(), 2);
        assert_eq!(together(&[range(0, long + 1)]).len(), 1, "one by itself may be longer");
        let last = u64::MAX - 9;
        assert_eq!(together(&[range(last, 9), range(last, 9)]).len(), 1);
    }
}
