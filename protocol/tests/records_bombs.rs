//! A compressed block can claim and hold far more than it weighs. It is refused in bounded memory.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use weir_protocol::records::{Compression, compression};

/// What the allocator has given out, and the most that it ever had.
static NOW: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

struct Counting;

#[allow(unsafe_code)]
// SAFETY: hands every call on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = NOW.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK.fetch_max(now, Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const MAX_BYTES: usize = 8 << 20;

/// The most that was allocated at once beyond what is there now while `work` ran.
fn peak_bytes<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = NOW.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    let done = work();
    (done, PEAK.load(Ordering::Relaxed) - before)
}

/// About a MiB that expands as far as the codec can.
fn bomb(codec: Compression) -> Bytes {
    match codec {
        // 1000:1 and 255:1. What one piece holds is repeated as members or blocks.
        Compression::Gzip => {
            let member = compression::compress(codec, vec![0; 16 << 20]).unwrap();
            member.repeat((1 << 20) / member.len()).into()
        }
        Compression::Lz4 => compression::compress(codec, vec![0; 255 << 20]).unwrap().into(),
        Compression::Snappy => compression::compress(codec, vec![0; 21 << 20]).unwrap().into(),
        // 30,000:1.
        Compression::Zstd => {
            let frame = compression::compress(codec, vec![0; 64 << 20]).unwrap();
            frame.repeat((1 << 20) / frame.len()).into()
        }
        Compression::None => unreachable!("nothing expands"),
    }
}

// One test, because the allocator counts for the whole process.
#[test]
fn bombs_and_lies_are_refused_in_bounded_memory() {
    for codec in [Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd] {
        let bomb = bomb(codec);
        assert!(bomb.len() > 1 << 19, "{}: {} bytes", codec.name(), bomb.len());
        let (refused, used) = peak_bytes(|| compression::decompress(codec, &bomb, MAX_BYTES));
        let error = refused.unwrap_err();
        assert!(matches!(error, compression::Error::TooLarge { max_bytes: MAX_BYTES, .. }));
        // The output while it moves to its next size, and the decoder's window (zstd's is
        // allocated by C and not counted here).
        assert!(used <= 2 * MAX_BYTES + (1 << 20), "{}: {used} bytes", codec.name());
    }

    let claims_4_gib = Bytes::from_static(&[0xff, 0xff, 0xff, 0xff, 0x0f, 0x00, 0x61]);
    let (refused, used) =
        peak_bytes(|| compression::decompress(Compression::Snappy, &claims_4_gib, usize::MAX));
    let error = refused.unwrap_err();
    assert!(matches!(error, compression::Error::Malformed { .. }), "{error}");
    assert!(used < 1 << 20, "{used} bytes");
}
