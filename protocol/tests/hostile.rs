//! Frames that promise more than they hold: what they cost is counted byte by byte.
//!
//! One test alone in its process, so that nobody else's allocations are counted.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use weir_protocol::codec::{DECODED_BYTES_FLOOR, DECODED_BYTES_PER_FRAME_BYTE, Decoder};
use weir_protocol::messages::{FetchRequest, MetadataRequest, MetadataResponse, ProduceRequest};
use weir_protocol::{ApiKey, Message, RequestBody};

/// The system's allocator, with a count of what is held and the most that was.
struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

#[expect(unsafe_code, reason = "an allocator can't be written without it")]
// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let held = HELD.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK.fetch_max(held, Ordering::Relaxed);
        // SAFETY: the caller's contract is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's contract is the same.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The most memory that `work` holds at a time beyond what was held before.
fn cost<T>(work: impl FnOnce() -> T) -> (usize, T) {
    let before = HELD.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    let outcome = work();
    (PEAK.load(Ordering::Relaxed) - before, outcome)
}

fn decode<M: Message>(frame: &[u8], version: i16) -> (usize, Result<M, String>) {
    let frame = Bytes::copy_from_slice(frame);
    let (cost, outcome) = cost(|| M::decode(&mut Decoder::new(frame), version));
    (cost, outcome.map_err(|error| error.to_string()))
}

fn big_counts_cost_nothing() {
    // Two billion topics in four bytes.
    let (cost, outcome) = decode::<MetadataRequest>(&[0x7f, 0xff, 0xff, 0xff], 0);
    assert_eq!(cost, 0);
    let error = outcome.unwrap_err();
    assert_eq!(
        error,
        "cannot decode MetadataRequest (MetadataRequest.Topics) at byte 4: \
         2147483647 bytes are needed and 0 are left"
    );

    // The same in the compact form, and as large as that form goes.
    let (cost, outcome) = decode::<MetadataRequest>(&[0xff, 0xff, 0xff, 0xff, 0x0f], 12);
    assert_eq!((cost, outcome.is_err()), (0, true));

    // A string, a record set, a tagged section and a tagged field.
    for frame in [
        &[0x7f, 0xff][..],
        &[0xff, 0xff, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0x7f, 0, 0, 0],
    ] {
        let (cost, outcome) = decode::<ProduceRequest>(frame, 3);
        assert!(outcome.is_err());
        assert!(cost < 1024, "{cost} bytes for {frame:?}");
    }
    for tags in [&[0xff, 0xff, 0xff, 0xff, 0x0f][..], &[1, 0, 0xff, 0xff, 0xff, 0xff, 0x07]] {
        let mut frame = vec![0, 0, 0];
        frame.extend(tags);
        let (cost, outcome) = decode::<MetadataRequest>(&frame, 12);
        assert_eq!((cost, outcome.is_err()), (0, true), "{tags:?}");
    }
}

fn thin_elements_cost_what_the_budget_says() {
    // Each byte of the frame is a topic with an empty name: 16 times its size, and much more.
    for bytes in [1 << 10, 100 << 10, 8 << 20] {
        let mut frame = vec![0; bytes];
        let count = bytes as i32 - 4;
        frame[..4].copy_from_slice(&count.to_be_bytes());
        let (cost, _) = decode::<MetadataRequest>(&frame, 0);
        let budget = DECODED_BYTES_FLOOR + bytes * DECODED_BYTES_PER_FRAME_BYTE;
        assert!(cost <= budget, "{cost} bytes for {bytes}");
    }

    // Lists in lists: every topic's list of partitions is charged to the same budget.
    let bytes = 1 << 20;
    let mut frame = vec![0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0];
    frame.resize(bytes, 0x7f);
    let (cost, _) = decode::<FetchRequest>(&frame, 12);
    assert!(cost <= DECODED_BYTES_FLOOR + bytes * DECODED_BYTES_PER_FRAME_BYTE);
}

fn the_thinnest_honest_request_passes() {
    // A hundred thousand topics with names of one letter.
    let count = 100_000u32;
    let mut frame = vec![];
    let compact = count + 1;
    frame.extend([compact as u8 | 0x80, (compact >> 7) as u8 | 0x80, (compact >> 14) as u8]);
    (0..count).for_each(|_| frame.extend([2, b't', 0]));
    frame.extend([0, 0, 0, 0]);
    let (_, outcome) = decode::<MetadataRequest>(&frame, 9);
    assert_eq!(outcome.unwrap().topics.unwrap().len(), count as usize);
}

fn a_trusted_peer_may_send_more() {
    let mut frame = vec![0; 200 << 10];
    frame[..4].copy_from_slice(&(100i32 << 10).to_be_bytes());
    let brokers = |budget| {
        let mut d = Decoder::with_budget(Bytes::from(frame.clone()), budget);
        MetadataResponse::decode(&mut d, 0)
    };
    let refused = brokers(1 << 20).unwrap_err().to_string();
    assert!(refused.ends_with("exceeds the 1048576 that the frame may still take"), "{refused}");
    assert!(!brokers(64 << 20).unwrap_err().to_string().contains("memory"));
}

fn all_ones_and_all_zeros_in_every_version() {
    for api in ApiKey::ALL {
        for version in api.decodable().iter() {
            for byte in [0x00, 0x01, 0x7f, 0x80, 0xff] {
                let frame = Bytes::from(vec![byte; 4096]);
                let (cost, _) =
                    cost(|| RequestBody::decode(*api, &mut Decoder::new(frame), version));
                let budget = DECODED_BYTES_FLOOR + 4096 * DECODED_BYTES_PER_FRAME_BYTE;
                assert!(cost <= budget, "{api} {version}: {cost} bytes");
            }
        }
    }
}

#[test]
fn hostile_frames_cost_no_memory() {
    big_counts_cost_nothing();
    thin_elements_cost_what_the_budget_says();
    the_thinnest_honest_request_passes();
    a_trusted_peer_may_send_more();
    all_ones_and_all_zeros_in_every_version();
}
