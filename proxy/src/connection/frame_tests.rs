//! Frames that arrive whole, in pieces, too slowly, too large.

use futures::FutureExt;
use tokio::io::{AsyncWriteExt, DuplexStream, duplex};

use super::*;

const SECOND: Duration = Duration::from_secs(1);

struct Fixture {
    memory: FrameMemory,
    settings: Settings,
    unanswered: AtomicUsize,
}

impl Fixture {
    fn new() -> Self {
        let settings = Settings {
            request_max_bytes: 4 << 20,
            control_request_max_bytes: 1 << 20,
            request_memory_bytes: 8 << 20,
            ..Settings::default()
        };
        let memory = FrameMemory::new(&settings);
        Self { memory, settings, unanswered: AtomicUsize::new(0) }
    }

    fn connect(&self) -> (DuplexStream, FrameReader<'_, DuplexStream>) {
        let (client, server) = duplex(16 << 20);
        let reader = FrameReader::new(server, &self.memory, &self.settings, &self.unanswered);
        (client, reader)
    }
}

/// A frame of `size` bytes that claims to be a request with this key.
fn frame(key: i16, size: usize) -> Vec<u8> {
    let mut frame = (size as i32).to_be_bytes().to_vec();
    frame.extend(key.to_be_bytes());
    frame.resize(4 + size, 7);
    frame
}

#[tokio::test]
async fn frames_come_out_as_they_went_in_and_hold_their_memory() {
    let fixture = Fixture::new();
    let (mut client, mut reader) = fixture.connect();
    let all = fixture.memory.free_bytes();
    for size in [8, 9, FIRST_PART_BYTES, FIRST_PART_BYTES + 1, 3 << 20] {
        let sent = frame(0, size);
        client.write_all(&sent).await.unwrap();
        let read = reader.next().await.unwrap();
        assert_eq!(read.bytes, sent[4..]);
        assert_eq!(fixture.memory.free_bytes(), all - size);
    }
    assert_eq!(fixture.memory.free_bytes(), all);
    drop(client);
    assert!(matches!(reader.next().await, Err(Error::Closed)));
}

#[tokio::test]
async fn frames_that_come_together_or_in_bits_are_told_apart() {
    let fixture = Fixture::new();
    let sizes = [8, 300, 9, 5000, 8, 1020, 1021, 2043, 8];
    let sent: Vec<_> = sizes.iter().map(|size| frame(0, *size)).collect();
    for chunk in [1, 3, 4, 1024, usize::MAX] {
        let (mut client, mut reader) = fixture.connect();
        let bytes = sent.concat();
        let sending = async {
            for chunk in bytes.chunks(chunk.min(bytes.len())) {
                client.write_all(chunk).await.unwrap();
                tokio::task::yield_now().await;
            }
        };
        let reading = async {
            for sent in &sent {
                assert_eq!(reader.next().await.unwrap().bytes, sent[4..], "in bits of {chunk}");
            }
        };
        tokio::join!(sending, reading);
        assert!(reader.ahead.capacity() <= AHEAD_BYTES_KEPT, "an idle connection holds little");
    }
}

#[tokio::test]
async fn sizes_that_lie_are_refused_before_anything_is_read() {
    let fixture = Fixture::new();
    for claimed in [-1, i32::MIN, 0, 7] {
        let (mut client, mut reader) = fixture.connect();
        client.write_all(&i32::to_be_bytes(claimed)).await.unwrap();
        assert!(matches!(reader.next().await, Err(Error::Size(size)) if size == claimed));
    }
    for claimed in [i32::MAX, (4 << 20) + 1] {
        let (mut client, mut reader) = fixture.connect();
        client.write_all(&i32::to_be_bytes(claimed)).await.unwrap();
        assert!(matches!(reader.next().await, Err(Error::TooLong { .. })));
    }
}

#[tokio::test]
async fn only_produce_may_be_long() {
    let fixture = Fixture::new();
    let (mut client, mut reader) = fixture.connect();
    client.write_all(&frame(3, 2 << 20)).await.unwrap();
    let error = reader.next().await.unwrap_err();
    assert!(matches!(error, Error::TooLong { size: 0x20_0000, max: 0x10_0000 }), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_is_not_kept_holds_little_and_not_for_long() {
    let fixture = Fixture::new();
    let (mut client, mut reader) = fixture.connect();
    client.write_all(&frame(0, 8)).await.unwrap();
    reader.next().await.unwrap();
    client.write_all(&frame(0, 4 << 20)[..1000]).await.unwrap();

    let began = Instant::now();
    let mut waiting = Box::pin(reader.next());
    assert!(waiting.as_mut().now_or_never().is_none());
    assert_eq!(fixture.memory.free_bytes(), (8 << 20) - FIRST_PART_BYTES);
    assert!(matches!(waiting.await, Err(Error::Slow { arrived: 996, .. })));
    assert_eq!(began.elapsed().as_secs(), 10);
    assert_eq!(fixture.memory.free_bytes(), 8 << 20);
}

#[tokio::test(start_paused = true)]
async fn one_byte_now_and_then_is_too_slow_but_a_slow_line_is_not() {
    let fixture = Fixture::new();
    for (bytes_a_second, ok) in [(1, false), (32 << 10, true)] {
        let (mut client, mut reader) = fixture.connect();
        reader.first_due = None;
        let sent = frame(0, 1 << 20);
        let sending = async {
            for chunk in sent.chunks(bytes_a_second) {
                client.write_all(chunk).await.unwrap();
                tokio::time::sleep(SECOND).await;
            }
            std::future::pending::<()>().await;
        };
        let read = tokio::select! { read = reader.next() => read, () = sending => unreachable!() };
        assert_eq!(read.is_ok(), ok, "{bytes_a_second} bytes a second: {read:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn silence_after_connecting_and_idleness_end_a_connection() {
    let fixture = Fixture::new();
    let began = Instant::now();
    let (mut client, mut reader) = fixture.connect();
    assert!(matches!(reader.next().await, Err(Error::NoFirstRequest(_))));
    assert_eq!(began.elapsed().as_secs(), 30);

    let (mut again, mut reader) = fixture.connect();
    for _ in 0..3 {
        again.write_all(&frame(0, 8)).await.unwrap();
        reader.next().await.unwrap();
        tokio::time::advance(SECOND * 500).await;
    }
    let began = Instant::now();
    assert!(matches!(reader.next().await, Err(Error::Idle(_))));
    assert_eq!(began.elapsed().as_secs(), 600);
    client.shutdown().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_waits_for_an_answer_is_not_idle() {
    let fixture = Fixture::new();
    let (mut client, mut reader) = fixture.connect();
    client.write_all(&frame(0, 8)).await.unwrap();
    reader.next().await.unwrap();
    fixture.unanswered.store(1, Ordering::Relaxed);
    let patience = tokio::time::timeout(SECOND * 5000, reader.next()).await;
    assert!(patience.is_err(), "closed although an answer was due");
}

#[tokio::test(start_paused = true)]
async fn waiting_for_memory_is_not_held_against_the_client() {
    let fixture = Fixture::new();
    let (mut client, mut reader) = fixture.connect();
    let taken = fixture.memory.first_parts.reserve(4 << 20).await;
    let sent = frame(0, 100);
    client.write_all(&sent[..50]).await.unwrap();
    let mut waiting = Box::pin(reader.next());
    assert!(waiting.as_mut().now_or_never().is_none());
    tokio::time::advance(SECOND * 100).await;
    assert!(waiting.as_mut().now_or_never().is_none());
    drop(taken);
    assert!(waiting.as_mut().now_or_never().is_none());
    tokio::time::advance(SECOND * 5).await;
    client.write_all(&sent[50..]).await.unwrap();
    assert_eq!(waiting.await.unwrap().bytes, sent[4..]);
}

#[tokio::test]
async fn a_frame_that_stops_in_the_middle_is_cut() {
    let fixture = Fixture::new();
    for sent in [&frame(0, 100)[..2], &frame(0, 100)[..50]] {
        let (mut client, mut reader) = fixture.connect();
        client.write_all(sent).await.unwrap();
        drop(client);
        assert!(matches!(reader.next().await, Err(Error::Cut { .. })));
    }
    assert_eq!(fixture.memory.free_bytes(), 8 << 20);
}
