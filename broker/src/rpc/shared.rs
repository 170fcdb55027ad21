//! What several ask another process's broker at about the same time is asked once.
//!
//! A hundred consumers of one partition hear of a record at the same moment, and all ask for it. The first question goes to
//! the broker; who asks the same while it is under way waits for its answer, and who comes a moment later gets it too.
//! Records do not change, so an answer that holds some is right for ever; one that holds none is nobody else's, for
//! somebody may have heard of more since. Offsets never go back: with an older answer go the newest that were told.
//!
//! Bounded by the bytes that are kept, and by time.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::{FutureExt, future::Shared};
use tokio::{sync::oneshot, time::Instant};
use weir_ids::{LeaderEpoch, Offset, TopicPartition};

use crate::client::{Entries, Isolation, Offsets, Read, ReadError, ReadOutcome};

/// How long an answer is given to others.
const KEPT: Duration = Duration::from_secs(1);
/// What all answers may hold, of one broker.
const KEPT_BYTES: usize = 32 << 20;

type Answer = Result<ReadOutcome, ReadError>;

/// The questions to one broker.
#[derive(Default)]
pub(super) struct SharedReads(Mutex<Questions>);

#[derive(Default)]
struct Questions {
    known: HashMap<Question, Known>,
    /// Those that are answered, oldest first, with their bytes.
    answered: VecDeque<(Instant, Question, usize)>,
    bytes: usize,
    /// The newest offsets of the partitions that are asked about.
    newest: HashMap<TopicPartition, Offsets>,
}

/// What is asked.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Question {
    partition: TopicPartition,
    epoch: Option<LeaderEpoch>,
    offset: Offset,
    max_bytes: u32,
    committed: bool,
}

#[derive(Clone)]
enum Known {
    /// Somebody is asking; ends when there is an answer, or will be none.
    Asked(Shared<oneshot::Receiver<()>>),
    Answered(ReadOutcome),
}

/// What to do about one read.
enum Way {
    Told(Box<ReadOutcome>),
    Ask,
    Wait(Shared<oneshot::Receiver<()>>),
}

/// Questions that are being asked. When this goes, nobody waits for them any more.
struct Asking<'a> {
    shared: &'a SharedReads,
    questions: Vec<(Question, oneshot::Sender<()>)>,
}

impl From<&Read> for Question {
    fn from(read: &Read) -> Self {
        let &Read { partition, epoch, offset, max_bytes, isolation } = read;
        let committed = isolation == Isolation::ReadCommitted;
        Self { partition, epoch, offset, max_bytes, committed }
    }
}

impl SharedReads {
    fn lock(&self) -> MutexGuard<'_, Questions> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers `reads`, in their order; what nobody has asked, or is asking, with `ask`.
    pub(super) async fn read<F: Future<Output = Vec<Answer>>>(
        &self,
        reads: Vec<Read>,
        ask: impl Fn(Vec<Read>) -> F,
    ) -> Vec<Answer> {
        let (mut answers, asking) = self.begin(&reads);
        let mine = answers.iter().zip(&reads).filter(|(way, _)| matches!(way, Way::Ask));
        let mine: Vec<Read> = mine.map(|(_, read)| *read).collect();
        let mut told = match mine.is_empty() {
            true => Vec::new(),
            false => ask(mine.clone()).await,
        };
        self.lock().note(&mine, &told, Instant::now());
        drop(asking);
        // What others have asked, and what came of it was of no use to this one.
        let mut again = Vec::new();
        for (way, read) in answers.iter_mut().zip(&reads) {
            if let Way::Wait(answered) = way {
                let _ = answered.clone().await;
                *way = self.lock().find(read).unwrap_or(Way::Ask);
                if let Way::Ask | Way::Wait(_) = way {
                    *way = Way::Wait(answered_now());
                    again.push(*read);
                }
            }
        }
        let mut second = if again.is_empty() { Vec::new() } else { ask(again.clone()).await };
        self.lock().note(&again, &second, Instant::now());
        let (mut told, mut second) = (told.drain(..), second.drain(..));
        let answer = |(way, read): (Way, &Read)| match way {
            Way::Told(outcome) => Ok(*outcome),
            Way::Ask => told.next().unwrap_or(Err(ReadError::NotOwner(read.partition))),
            Way::Wait(_) => second.next().unwrap_or(Err(ReadError::NotOwner(read.partition))),
        };
        answers.into_iter().zip(&reads).map(answer).collect()
    }

    fn begin(&self, reads: &[Read]) -> (Vec<Way>, Asking<'_>) {
        let (mut questions, now) = (self.lock(), Instant::now());
        questions.forget(now);
        let mut asking = Asking { shared: self, questions: Vec::new() };
        let way = |read: &Read| {
            if let Some(way) = questions.find(read) {
                return way;
            }
            let (answered, waits) = oneshot::channel();
            let question = Question::from(read);
            questions.known.insert(question, Known::Asked(waits.shared()));
            asking.questions.push((question, answered));
            Way::Ask
        };
        (reads.iter().map(way).collect(), asking)
    }
}

fn answered_now() -> Shared<oneshot::Receiver<()>> {
    oneshot::channel().1.shared()
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        let mut questions = self.shared.lock();
        for (question, _) in &self.questions {
            if let Some(Known::Asked(_)) = questions.known.get(question) {
                questions.known.remove(question);
            }
        }
    }
}

impl Questions {
    /// What is known of a question; `None`: it is to be asked.
    fn find(&self, read: &Read) -> Option<Way> {
        match self.known.get(&Question::from(read))? {
            Known::Asked(answered) => Some(Way::Wait(answered.clone())),
            Known::Answered(outcome) => {
                let newest = self.newest.get(&read.partition)?;
                let same = newest.epoch == outcome.offsets.epoch;
                same.then(|| {
                    let entries = outcome.entries.clone();
                    Way::Told(Box::new(ReadOutcome { offsets: *newest, entries }))
                })
            }
        }
    }

    /// Takes note of answers.
    fn note(&mut self, reads: &[Read], answers: &[Answer], now: Instant) {
        for (read, answer) in reads.iter().zip(answers) {
            let Ok(outcome) = answer else { continue };
            let newest = self.newest.entry(read.partition).or_insert(outcome.offsets);
            if key(&outcome.offsets) >= key(newest) {
                *newest = outcome.offsets;
            }
            let bytes = bytes_of(outcome);
            if bytes == 0 || bytes > KEPT_BYTES {
                continue;
            }
            let question = Question::from(read);
            self.known.insert(question, Known::Answered(outcome.clone()));
            self.answered.push_back((now, question, bytes));
            self.bytes += bytes;
        }
        self.forget(now);
    }

    /// Forgets what is old or too much.
    fn forget(&mut self, now: Instant) {
        while let Some((since, question, bytes)) = self.answered.front().copied() {
            if self.bytes <= KEPT_BYTES && now.duration_since(since) < KEPT {
                break;
            }
            self.answered.pop_front();
            self.bytes -= bytes;
            if let Some(Known::Answered(_)) = self.known.get(&question) {
                self.known.remove(&question);
            }
        }
        if self.answered.is_empty() {
            self.newest.clear();
        }
    }
}

fn key(offsets: &Offsets) -> (LeaderEpoch, Offset, Offset) {
    (offsets.epoch, offsets.durable, offsets.stable)
}

/// Bytes of records from the tail.
fn bytes_of(outcome: &ReadOutcome) -> usize {
    match &outcome.entries {
        Entries::Tail(pieces) => pieces.iter().map(|piece| piece.len()).sum(),
        Entries::None | Entries::Stored(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use bytes::Bytes;
    use futures::future::join_all;
    use weir_ids::{PartitionIndex, TopicId};

    use super::*;

    fn read(offset: i64, max_bytes: u32) -> Read {
        let partition = TopicPartition::new(TopicId(uuid::Uuid::from_u128(1)), PartitionIndex(0));
        let isolation = Isolation::ReadUncommitted;
        Read { partition, epoch: None, offset: Offset(offset), max_bytes, isolation }
    }

    fn told(durable: i64, records: &'static [u8]) -> ReadOutcome {
        let durable = Offset(durable);
        let epoch = LeaderEpoch(1);
        let offsets = Offsets { epoch, log_start: Offset(0), stable: durable, durable };
        let entries = match records {
            [] => Entries::None,
            records => Entries::Tail(vec![Bytes::from_static(records)]),
        };
        ReadOutcome { offsets, entries }
    }

    /// Asks for each offset in turn what `answer` says; returns how often the broker was asked, and the answers.
    async fn ask_all(
        shared: &SharedReads,
        reads: &[Read],
        answer: impl Fn(&Read) -> ReadOutcome,
    ) -> (usize, Vec<ReadOutcome>) {
        let (asked, answer) = (AtomicUsize::new(0), &answer);
        let asked = &asked;
        let ask = |reads: Vec<Read>| async move {
            asked.fetch_add(reads.len(), Ordering::Relaxed);
            tokio::task::yield_now().await;
            reads.iter().map(|read| Ok(answer(read))).collect()
        };
        let answers = reads.iter().map(|read| shared.read(vec![*read], &ask));
        let answers = join_all(answers).await.into_iter().flatten().map(Result::unwrap).collect();
        (asked.load(Ordering::Relaxed), answers)
    }

    #[tokio::test(start_paused = true)]
    async fn a_hundred_who_want_the_same_ask_once() {
        let shared = SharedReads::default();
        let reads = vec![read(7, 1_000); 100];
        let (asked, answers) = ask_all(&shared, &reads, |_| told(9, b"records")).await;
        assert_eq!(asked, 1);
        assert!(answers.iter().all(|it| bytes_of(it) == 7 && it.offsets.durable == Offset(9)));
        let (asked, _) = ask_all(&shared, &[read(7, 1_000)], |_| told(9, b"records")).await;
        assert_eq!(asked, 0, "it is known still");
        let (asked, _) = ask_all(&shared, &[read(7, 3)], |_| told(9, b"rec")).await;
        assert_eq!(asked, 1, "who wants less asks");
        tokio::time::advance(KEPT).await;
        let (asked, _) = ask_all(&shared, &[read(7, 1_000)], |_| told(9, b"records")).await;
        assert_eq!(asked, 1, "it has been forgotten");
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_told_to_one_alone() {
        let shared = SharedReads::default();
        let (asked, _) = ask_all(&shared, &[read(9, 1_000); 3], |_| told(9, b"")).await;
        assert_eq!(asked, 3);
    }

    #[tokio::test(start_paused = true)]
    async fn offsets_never_go_back() {
        let shared = SharedReads::default();
        ask_all(&shared, &[read(0, 1_000)], |_| told(5, b"old")).await;
        ask_all(&shared, &[read(5, 1_000)], |_| told(8, b"new")).await;
        let (asked, answers) = ask_all(&shared, &[read(0, 1_000)], |_| told(5, b"old")).await;
        assert_eq!((asked, answers[0].offsets.durable), (0, Offset(8)));
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_one_that_goes_away_asks_itself() {
        let shared = SharedReads::default();
        let never = |_: Vec<Read>| std::future::pending::<Vec<Answer>>();
        let mut gone = Box::pin(shared.read(vec![read(0, 9)], never));
        assert!((&mut gone).now_or_never().is_none());
        let reads = [read(0, 9)];
        let waits = ask_all(&shared, &reads, |_| told(3, b"abc"));
        let (asked, _) = tokio::join!(waits, async { drop(gone) }).0;
        assert_eq!(asked, 1);
    }
}
