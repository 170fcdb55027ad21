use std::time::Duration;

use futures::FutureExt;
use tokio::sync::mpsc;
use uuid::Uuid;
use weir_broker::client::{TailEvent, TailSink, tail};
use weir_ids::{LeaderEpoch, PartitionIndex, TopicId};

use super::*;

/// A tail with a broker's end to play with.
struct Script {
    tail: Arc<Tail>,
    sink: TailSink,
    interests: mpsc::Receiver<(TopicPartition, bool)>,
    tasks: Tasks,
}

impl Script {
    fn start(idle_max: usize) -> Self {
        let (sink, interests, source) = tail();
        let partitions = Mutex::new(Partitions::new(idle_max));
        let tail = Arc::new(Tail { partitions, asked: Notify::new() });
        let tasks = Tasks::new();
        let running = Arc::clone(&tail);
        tasks.spawn("tail", |stop| async move { running.run(source, stop).await });
        Self { tail, sink, interests, tasks }
    }

    fn wait(&self, bytes: u64, seen: &[Seen]) -> Wait {
        let mut wait = Wait::for_bytes(bytes);
        wait.on(&self.tail, seen.iter().copied());
        wait
    }

    fn known(&self, partition: u32) -> Option<Offsets> {
        self.tail.known().offsets(at(partition))
    }

    /// Sends news and lets it arrive.
    async fn tell(&self, partition: TopicPartition, event: TailEvent) {
        self.sink.push(partition, event);
        settle().await;
    }
}

async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

fn at(partition: u32) -> TopicPartition {
    TopicPartition::new(TopicId(Uuid::from_u128(1)), PartitionIndex(partition))
}

fn seen(partition: u32, visible: i64) -> Seen {
    let isolation = Isolation::ReadUncommitted;
    Seen { partition: at(partition), visible: Offset(visible), isolation }
}

fn advanced(epoch: i32, durable: i64, bytes: u64) -> TailEvent {
    let durable = Offset(durable);
    let epoch = LeaderEpoch(epoch);
    let offsets = Offsets { epoch, log_start: Offset::ZERO, stable: durable, durable };
    TailEvent::Advanced { offsets, bytes }
}

fn is_reached(wait: &Wait) -> bool {
    wait.reached().now_or_never().is_some()
}

#[tokio::test]
async fn wakes_when_enough_bytes_have_become_visible() {
    let mut script = Script::start(10);
    let wait = script.wait(100, &[seen(0, 5), seen(1, 7)]);
    assert_eq!(script.interests.recv().await, Some((at(0), true)));
    assert_eq!(script.interests.recv().await, Some((at(1), true)));
    script.tell(at(0), advanced(1, 5, 1000)).await;
    script.tell(at(1), advanced(1, 7, 50)).await;
    assert!(!is_reached(&wait), "what was there before does not count");
    script.tell(at(0), advanced(1, 6, 1060)).await;
    assert!(!is_reached(&wait));
    script.tell(at(1), advanced(1, 8, 90)).await;
    assert!(is_reached(&wait), "60 and 40 bytes");
}

#[tokio::test]
async fn what_happened_between_the_read_and_the_wait_wakes_at_once() {
    let script = Script::start(10);
    let wait = script.wait(100, &[seen(0, 5)]);
    script.tell(at(0), advanced(1, 6, 1000)).await;
    assert!(is_reached(&wait), "seen at the first news");
    let wait = script.wait(100, &[seen(0, 5)]);
    assert!(is_reached(&wait), "seen at what is known");
    let wait = script.wait(100, &[seen(0, 6)]);
    assert!(!is_reached(&wait));
}

#[tokio::test]
async fn an_epoch_a_loss_and_an_end_wake_too_but_old_news_does_not() {
    let script = Script::start(10);
    let wait = script.wait(100, &[seen(0, 5)]);
    script.tell(at(0), advanced(3, 5, 0)).await;
    script.tell(at(0), advanced(2, 9, 500)).await;
    assert!(!is_reached(&wait), "an owner of the past");
    assert_eq!(script.known(0).unwrap().durable, Offset(5));
    script.tell(at(0), advanced(4, 5, 0)).await;
    assert!(is_reached(&wait));

    let wait = script.wait(100, &[seen(0, 5)]);
    script.tell(at(0), TailEvent::Lost).await;
    assert!(is_reached(&wait));
    assert_eq!(script.known(0), None);

    let wait = script.wait(100, &[seen(0, 5)]);
    drop(script.interests);
    settle().await;
    assert!(is_reached(&wait));
    drop(wait);
    let mut late = Wait::for_bytes(1);
    late.on(&script.tail, std::iter::once(seen(0, 5)));
    assert!(is_reached(&late), "nobody waits on a broker that is gone");
    script.tasks.shutdown().await.unwrap();
}

#[tokio::test]
async fn uncommitted_records_do_not_wake_who_reads_committed() {
    let script = Script::start(10);
    let committed = Seen { isolation: Isolation::ReadCommitted, ..seen(0, 5) };
    let wait = script.wait(1, &[committed]);
    let offsets = |durable, stable| Offsets {
        epoch: LeaderEpoch(1),
        log_start: Offset::ZERO,
        stable: Offset(stable),
        durable: Offset(durable),
    };
    script.tell(at(0), TailEvent::Advanced { offsets: offsets(5, 5), bytes: 0 }).await;
    script.tell(at(0), TailEvent::Advanced { offsets: offsets(8, 5), bytes: 70 }).await;
    assert!(!is_reached(&wait));
    script.tell(at(0), TailEvent::Advanced { offsets: offsets(9, 9), bytes: 90 }).await;
    assert!(is_reached(&wait));
}

#[tokio::test(start_paused = true)]
async fn a_partition_stays_subscribed_for_a_while_after_its_last_waiter() {
    let mut script = Script::start(10);
    let wait = script.wait(1, &[seen(0, 5)]);
    script.tell(at(0), advanced(1, 5, 0)).await;
    assert_eq!(script.interests.try_recv(), Ok((at(0), true)));
    drop(wait);
    tokio::time::advance(Duration::from_secs(29)).await;
    script.tell(at(0), advanced(1, 6, 10)).await;
    assert_eq!(script.known(0).unwrap().durable, Offset(6));
    assert!(script.interests.try_recv().is_err());
    tokio::time::advance(Duration::from_secs(1)).await;
    script.tell(at(0), advanced(1, 7, 20)).await;
    assert_eq!(script.interests.try_recv(), Ok((at(0), false)));
    assert_eq!(script.known(0), None);
}

#[tokio::test]
async fn only_so_many_stay_subscribed_without_a_waiter() {
    let mut script = Script::start(1);
    let waits: Vec<_> = (0..3).map(|p| script.wait(1, &[seen(p, 0)])).collect();
    settle().await;
    drop(waits);
    settle().await;
    let mut asked = Vec::new();
    while let Ok(ask) = script.interests.try_recv() {
        asked.push(ask);
    }
    let wanted = [(at(0), true), (at(1), true), (at(2), true)];
    assert_eq!(asked[..3], wanted);
    assert_eq!(asked[3..], [(at(1), false), (at(2), false)]);
    let wait = script.wait(1, &[seen(0, 0)]);
    script.tell(at(0), advanced(1, 1, 10)).await;
    assert!(is_reached(&wait), "still subscribed");
}

#[tokio::test]
async fn a_wait_that_is_given_up_leaves_nothing_behind() {
    let script = Script::start(0);
    for _ in 0..100 {
        drop(script.wait(1, &[seen(0, 0), seen(0, 0), seen(1, 0)]));
    }
    settle().await;
    assert!(!script.tail.lock().has_asks());
    assert_eq!((script.known(0), script.known(1)), (None, None));
}
