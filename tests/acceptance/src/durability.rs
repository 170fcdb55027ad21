//! Kill -9 under load, again and again, and judge what is read back in the end.
//!
//! Two writers live through the whole run and take turns, one idempotent and one not; a consumer
//! follows the log's end and a tool commits ever higher offsets for a group, all of them through every
//! kill. Optionally the write-ahead log is torn by hand while the server is down.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use weir_history::{End, Event, Group, History, Isolation, Place, Recorder, Verdict};
use weir_test_support::wait::{self, Stopwatch};
use weir_test_support::{Admin, Server};

use crate::chance::Chance;
use crate::load::{Reader, Writer, WriterSettings};
use crate::wal::{Frames, Tear};

const TOPIC: &str = "kill9";
const GROUP: &str = "kill9-group";
const PARTITIONS: i32 = 4;
/// The longest that load runs before a kill.
const LOAD_MS: u64 = 900;
/// How long a writer may take to get on, also after a restart.
const RECOVERED: Duration = Duration::from_secs(120);
/// Records that a writer gets acknowledged before the next kill.
const GOT_ON: usize = 100;

/// A run.
#[derive(Clone, Copy, Debug)]
pub struct Kill9 {
    /// How often the server is killed.
    pub cycles: u32,
    /// Decides when, and what is torn.
    pub seed: u64,
    /// Whether the write-ahead log's tail is torn while the server is down. Weir only.
    pub tear: bool,
}

/// What a run came to.
#[derive(Debug)]
pub struct Report {
    cycles: u32,
    acknowledged: usize,
    read: usize,
    polled: usize,
    commits: usize,
    ready: Vec<Duration>,
    verdict: Verdict,
}

impl Report {
    /// # Errors
    /// When a promise was broken, or too little happened to tell.
    pub fn check(&self) -> Result<()> {
        if !self.verdict.is_clean() {
            bail!("promises were broken\n{self}");
        }
        let busy = self.acknowledged >= self.cycles as usize && self.commits > 0;
        anyhow::ensure!(busy && self.polled > 0, "too little happened\n{self}");
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let longest = self.ready.iter().max().copied().unwrap_or_default();
        writeln!(
            f,
            "{} kills: {} values acknowledged, {} records read back, {} followed at the end, {} \
             commits; slowest restart {longest:.0?}",
            self.cycles, self.acknowledged, self.read, self.polled, self.commits
        )?;
        write!(f, "{}", self.verdict)
    }
}

/// What all threads of a run share.
struct Shared {
    stop: AtomicBool,
    /// Which writer's turn it is.
    turn: AtomicUsize,
    recorder: Recorder,
    /// What was polled at the end of the log.
    polled: AtomicUsize,
    /// What was seen of committed offsets.
    commits: AtomicUsize,
}

impl Kill9 {
    /// Runs against `server`, which lives afterwards.
    ///
    /// # Errors
    /// When something fails that is no broken promise, such as a restart.
    pub fn run(&self, server: &mut Server) -> Result<Report> {
        Admin::connect(server.address())?.create_topic(TOPIC, PARTITIONS)?;
        let writers = [true, false].map(|idempotent| {
            let settings = WriterSettings::new(u16::from(!idempotent), idempotent);
            Writer::new(&server.bootstrap(), TOPIC, PARTITIONS, settings)
        });
        let [idempotent, plain] = writers;
        let writers = [Mutex::new(idempotent?), Mutex::new(plain?)];
        let shared = Shared {
            stop: AtomicBool::new(false),
            turn: AtomicUsize::new(0),
            recorder: Recorder::new(),
            polled: AtomicUsize::new(0),
            commits: AtomicUsize::new(0),
        };
        let address = server.address();
        let ready = std::thread::scope(|scope| {
            let load = scope.spawn(|| stop_after(&shared, || write(&shared, &writers)));
            let follow =
                scope.spawn(|| stop_after(&shared, || follow(&shared, &address.to_string())));
            let commit = scope.spawn(|| stop_after(&shared, || commit(&shared, address)));
            let killed =
                stop_after(&shared, || self.kill_again_and_again(server, &shared, &writers));
            for (what, thread) in [("writing", load), ("following", follow), ("commits", commit)] {
                thread.join().expect("no thread panics").context(what)?;
            }
            killed
        })?;
        let writers = writers.map(|writer| writer.into_inner().expect("no thread panics"));
        self.judge(server, shared, writers, ready)
    }

    /// Kills and restarts; gives how long each restart took.
    fn kill_again_and_again(
        &self,
        server: &mut Server,
        shared: &Shared,
        writers: &[Mutex<Writer>; 2],
    ) -> Result<Vec<Duration>> {
        let mut chance = Chance::new(self.seed);
        let mut ready = Vec::new();
        // Before that the log may have no frame yet that could be torn.
        gets_on(server, shared, &writers[0], 0)?;
        for cycle in 0..self.cycles {
            let turn = cycle as usize % 2;
            shared.turn.store(turn, Ordering::Relaxed);
            wait::let_pass(Duration::from_millis(chance.below(LOAD_MS)));
            server.kill9()?;
            if self.tear {
                let how = if cycle % 4 < 2 { Tear::Garbage } else { Tear::HalfFrame };
                Frames::newest(server.data_dir())?.tear(how, &mut chance)?;
            }
            let before = lock(&writers[turn]).acknowledged();
            let watch = Stopwatch::start();
            server.restart().with_context(|| format!("restart after kill {cycle}"))?;
            ready.push(server.ready_after());
            gets_on(server, shared, &writers[turn], before)?;
            if shared.stop.load(Ordering::Relaxed) {
                break; // Another thread failed; its error tells.
            }
            eprintln!(
                "kill {cycle}: ready after {:.0?}, writing after {:.0?}",
                server.ready_after(),
                watch.elapsed()
            );
        }
        Ok(ready)
    }

    fn judge(
        &self,
        server: &Server,
        shared: Shared,
        writers: [Writer; 2],
        ready: Vec<Duration>,
    ) -> Result<Report> {
        let mut known = Vec::new();
        let mut acknowledged = 0;
        for writer in writers {
            writer.flush()?;
            let (writer, acked) = writer.into_history();
            known.push(writer);
            acknowledged += acked.len();
            let notes = shared.recorder.client(Isolation::ReadUncommitted);
            notes.note_all(acked.into_iter().map(Event::Acked));
        }
        let mut admin = Admin::connect(server.address())?;
        let starts = admin.start_offsets(TOPIC, PARTITIONS)?;
        let ends = admin.end_offsets(TOPIC, PARTITIONS)?;
        let records = Reader::new(&server.bootstrap(), TOPIC, PARTITIONS)?.read_to(&ends)?;
        let read = records.len();
        let end = Some(End::new(&starts, &ends, records));
        let history = History { writers: known, end, ..shared.recorder.history() };
        Ok(Report {
            cycles: self.cycles,
            acknowledged,
            read,
            polled: shared.polled.into_inner(),
            commits: shared.commits.into_inner(),
            ready,
            verdict: history.check(),
        })
    }
}

/// Runs `work` and makes the other threads stop when it ends, well or not.
fn stop_after<T>(shared: &Shared, work: impl FnOnce() -> T) -> T {
    let done = work();
    shared.stop.store(true, Ordering::Relaxed);
    done
}

/// Waits until a writer that had so many acknowledged has some more, or another thread has failed.
fn gets_on(
    server: &mut Server,
    shared: &Shared,
    writer: &Mutex<Writer>,
    before: usize,
) -> Result<()> {
    wait::until("a writer gets on", RECOVERED, || {
        let stopped = shared.stop.load(Ordering::Relaxed);
        (stopped || lock(writer).acknowledged() > before + GOT_ON).then_some(())
    })
    .with_context(|| server.process().tail())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no thread panics with the lock")
}

/// Writes with the writer whose turn it is.
fn write(shared: &Shared, writers: &[Mutex<Writer>; 2]) -> Result<()> {
    while !shared.stop.load(Ordering::Relaxed) {
        let mut writer = lock(&writers[shared.turn.load(Ordering::Relaxed)]);
        // Never waits with the lock: the killing thread looks at the writer too.
        if writer.is_full() {
            drop(writer);
            wait::let_pass(Duration::from_millis(1)); // Leaves the machine to the server.
        } else {
            writer.send()?;
        }
    }
    Ok(())
}

/// Polls the end of the log.
fn follow(shared: &Shared, bootstrap: &str) -> Result<()> {
    let reader = Reader::new(bootstrap, TOPIC, PARTITIONS)?;
    let notes = shared.recorder.client(Isolation::ReadUncommitted);
    notes.note_all((0..PARTITIONS).map(|partition| Event::Sought(Place { partition, offset: 0 })));
    while !shared.stop.load(Ordering::Relaxed) {
        if let Some(seen) = reader.poll(Duration::from_millis(50))? {
            notes.note(Event::Polled(seen));
            shared.polled.fetch_add(1, Ordering::Relaxed);
        }
    }
    Ok(())
}

/// Commits ever higher offsets, and reads them back whenever the server has gone and come.
fn commit(shared: &Shared, address: std::net::SocketAddr) -> Result<()> {
    let mut admin = Admin::connect(address)?;
    let notes = shared.recorder.client(Isolation::ReadUncommitted);
    let group = Group(0);
    let note = |event: &dyn Fn(Place) -> Event, offsets: &[(i32, i64)]| {
        let places = offsets
            .iter()
            .map(|(partition, offset)| Place { partition: *partition, offset: *offset });
        notes.note_all(places.map(event));
    };
    let mut next = 0;
    while !shared.stop.load(Ordering::Relaxed) {
        next += 1;
        let offsets: Vec<(i32, i64)> = (0..PARTITIONS).map(|partition| (partition, next)).collect();
        note(&|place| Event::OffsetSent { group, place, transaction: None }, &offsets);
        if admin.commit(GROUP, TOPIC, &offsets).is_ok() {
            note(&|place| Event::OffsetAcked { group, place }, &offsets);
            shared.commits.fetch_add(offsets.len(), Ordering::Relaxed);
            continue;
        }
        // The server went away, or its coordinator is not back yet.
        let asked = notes.now();
        if admin.reconnect().is_ok()
            && let Ok(committed) = admin.committed(GROUP, TOPIC, PARTITIONS)
        {
            let committed: Vec<(i32, i64)> = (0..).zip(committed).collect();
            note(&|place| Event::OffsetRead { group, place, asked }, &committed);
            shared.commits.fetch_add(committed.len(), Ordering::Relaxed);
        }
    }
    Ok(())
}
