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
use weir_test_support::wait::{self, Stopwatch};
use weir_test_support::{Admin, Server};

use crate::chance::Chance;
use crate::history::{Commit, History, Place, Seen, Violation};
use crate::load::{Reader, Writer, WriterSettings};
use crate::wal::{Frames, Tear};

const TOPIC: &str = "kill9";
const GROUP: &str = "kill9-group";
const PARTITIONS: i32 = 4;
/// The longest that load runs before a kill.
const LOAD_MS: u64 = 900;
/// How long a writer may take to get on after a restart.
const RECOVERED: Duration = Duration::from_secs(120);
/// Violations that a report shows.
const SHOWN: usize = 20;

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
    violations: Vec<Violation>,
}

impl Report {
    /// # Errors
    /// When a promise was broken, or too little happened to tell.
    pub fn check(&self) -> Result<()> {
        if !self.violations.is_empty() {
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
        for violation in self.violations.iter().take(SHOWN) {
            writeln!(f, "  {violation}")?;
        }
        let more = self.violations.len().saturating_sub(SHOWN);
        if more > 0 {
            writeln!(f, "  and {more} more")?;
        }
        write!(f, "{} violations", self.violations.len())
    }
}

/// What all threads of a run share.
struct Shared {
    stop: AtomicBool,
    /// Which writer's turn it is.
    turn: AtomicUsize,
    /// What was polled at the end of the log.
    polled: Mutex<Vec<Seen>>,
    commits: Mutex<Vec<Commit>>,
}

impl Kill9 {
    /// Runs against `server`, which lives afterwards.
    ///
    /// # Errors
    /// When something fails that is no broken promise, such as a restart.
    pub fn run(&self, server: &mut Server) -> Result<Report> {
        Admin::connect(server.address())?.create_topic(TOPIC, PARTITIONS)?;
        let writers = [true, false].map(|idempotent| {
            let settings = WriterSettings::new(u8::from(!idempotent), idempotent);
            Writer::new(&server.bootstrap(), TOPIC, PARTITIONS, settings)
        });
        let [idempotent, plain] = writers;
        let writers = [Mutex::new(idempotent?), Mutex::new(plain?)];
        let shared = Shared {
            stop: AtomicBool::new(false),
            turn: AtomicUsize::new(0),
            polled: Mutex::new(Vec::new()),
            commits: Mutex::new(Vec::new()),
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
            wait::until("a writer gets on after a restart", RECOVERED, || {
                let stopped = shared.stop.load(Ordering::Relaxed);
                (stopped || lock(&writers[turn]).acknowledged() > before + 100).then_some(())
            })
            .with_context(|| server.process().tail())?;
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
        let mut history = History::default();
        for writer in writers {
            writer.flush()?;
            let (writer, acknowledged) = writer.into_history();
            history.writers.push(writer);
            history.acknowledged.extend(acknowledged);
        }
        let mut admin = Admin::connect(server.address())?;
        history.log_start = admin.start_offsets(TOPIC, PARTITIONS)?;
        let ends = admin.end_offsets(TOPIC, PARTITIONS)?;
        history.read = Reader::new(&server.bootstrap(), TOPIC, PARTITIONS)?.read_to(&ends)?;
        history.polls = vec![shared.polled.into_inner()?];
        history.commits = shared.commits.into_inner()?;
        let report = Report {
            cycles: self.cycles,
            acknowledged: history.acknowledged.len(),
            read: history.read.len(),
            polled: history.polls[0].len(),
            commits: history.commits.len(),
            ready,
            violations: history.check(),
        };
        Ok(report)
    }
}

/// Runs `work` and makes the other threads stop when it ends, well or not.
fn stop_after<T>(shared: &Shared, work: impl FnOnce() -> T) -> T {
    let done = work();
    shared.stop.store(true, Ordering::Relaxed);
    done
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
    while !shared.stop.load(Ordering::Relaxed) {
        if let Some(seen) = reader.poll(Duration::from_millis(50))? {
            lock(&shared.polled).push(seen);
        }
    }
    Ok(())
}

/// Commits ever higher offsets, and reads them back whenever the server has gone and come.
fn commit(shared: &Shared, address: std::net::SocketAddr) -> Result<()> {
    let mut admin = Admin::connect(address)?;
    let mut next = 0;
    let note = |read_back, offsets: &[(i32, i64)]| {
        let commits = offsets.iter().map(|(partition, offset)| Commit {
            place: Place { partition: *partition, offset: *offset },
            read_back,
        });
        lock(&shared.commits).extend(commits);
    };
    while !shared.stop.load(Ordering::Relaxed) {
        next += 1;
        let offsets: Vec<(i32, i64)> = (0..PARTITIONS).map(|partition| (partition, next)).collect();
        if admin.commit(GROUP, TOPIC, &offsets).is_ok() {
            note(false, &offsets);
            continue;
        }
        // The server went away, or its coordinator is not back yet.
        if admin.reconnect().is_ok()
            && let Ok(committed) = admin.committed(GROUP, TOPIC, PARTITIONS)
        {
            note(true, &(0..).zip(committed).collect::<Vec<_>>());
        }
    }
    Ok(())
}
