//! Checks a history of a million events and says how long that took:
//! `cargo run -p weir-history --example million`, with a number of events if it should be another.

use std::time::{Duration, Instant};

use weir_history::{
    Delivery, End, Event, History, Isolation, Partition, Place, Recorder, Seen, Transaction, Value,
    Writer,
};

const PARTITIONS: i32 = 16;
/// Records of a transaction; every third one is aborted.
const RECORDS: u32 = 10;

fn main() {
    let events = std::env::args().nth(1).map(|it| it.parse().expect("a number of events"));
    let (history, recorded) = timed(|| history(events.unwrap_or(1_000_000)));
    let (verdict, checked) = timed(|| history.check());
    let count = history.log.len();
    println!("{count} events: recorded in {recorded:.1?}, checked in {checked:.1?}, {verdict}");
}

#[expect(clippy::disallowed_methods, reason = "measures this very program")]
fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let done = work();
    (done, start.elapsed())
}

/// Transactions over all partitions, each record sent, acknowledged, and polled if it was committed.
fn history(events: usize) -> History {
    let recorder = Recorder::new();
    let writer = recorder.client(Isolation::ReadUncommitted);
    let reader = recorder.client(Isolation::ReadCommitted);
    let mut read: Vec<Vec<Seen>> = vec![Vec::new(); PARTITIONS as usize];
    let mut shown = read.clone();
    let mut ends = vec![0; PARTITIONS as usize];
    let mut number = 0;
    while (writer.now().0 as usize) < events {
        let transaction = Transaction(number / RECORDS);
        let partition = transaction.0 as usize % ends.len();
        let commits = !transaction.0.is_multiple_of(3);
        let mut seen = Vec::new();
        for _ in 0..RECORDS {
            let (value, to) = (Value { writer: 0, number }, partition as i32);
            let place = Place { partition: to, offset: ends[partition] };
            writer.note(Event::Sent { value, partition: to, transaction: Some(transaction) });
            writer.note(Event::Acked(Seen { place, value }));
            seen.push(Seen { place, value });
            (number, ends[partition]) = (number + 1, ends[partition] + 1);
        }
        ends[partition] += 1; // The control record.
        read[partition].extend(&seen);
        if commits {
            writer.note_all([Event::Committing(transaction), Event::Committed(transaction)]);
            shown[partition].extend(&seen);
            reader.note_all(seen.into_iter().map(Event::Polled));
        } else {
            writer.note(Event::Aborted(transaction));
        }
    }
    let end = End {
        partitions: ends.iter().map(|end| Partition::new(0, *end)).collect(),
        read: read.concat(),
        read_committed: Some(shown.concat()),
        ..End::default()
    };
    let writers = vec![Writer { delivery: Delivery::ExactlyOnce, sent: 0 }];
    History { writers, end: Some(end), ..recorder.history() }
}
