//! A process: one life of a node.
//!
//! Everything that a node runs is spawned through its process and polled only while that runs. So it
//! can be paused, as by SIGSTOP: time goes on meanwhile, timers fire, answers arrive, and nobody looks.
//! And it can be killed, as by SIGKILL: all its futures are dropped at once, wherever they are. Neither
//! needs any co-operation of the code.

use std::{
    collections::BTreeMap,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use futures::future::BoxFuture;
use tokio::time::Instant;
use weir_ids::NodeId;
use weir_runtime::Spawn;

/// How a process is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Condition {
    Running,
    Paused,
    Dead,
}

/// One life of a node.
pub(crate) struct Process {
    /// Whose.
    pub(crate) node: NodeId,
    /// Which of its lives, from 1.
    pub(crate) life: u32,
    state: Mutex<State>,
}

struct State {
    condition: Condition,
    next: u64,
    tasks: BTreeMap<u64, Arc<Mutex<Cell>>>,
}

/// A task of a process: taken out of its cell while it is polled.
struct Cell {
    name: &'static str,
    task: Option<BoxFuture<'static, ()>>,
    waker: Option<Waker>,
    /// How often it was polled since time last went on.
    polled: (Instant, u32),
}

/// A task that is polled more often than this while time stands still will go on so for ever.
const POLLS_MAX: u32 = 20_000;

impl Process {
    /// A process that runs and has no tasks yet.
    pub(crate) fn new(node: NodeId, life: u32) -> Arc<Self> {
        let state = State { condition: Condition::Running, next: 0, tasks: BTreeMap::new() };
        Arc::new(Self { node, life, state: Mutex::new(state) })
    }

    /// How it is.
    pub(crate) fn condition(&self) -> Condition {
        self.lock().condition
    }

    /// Stops polling its tasks; `false` if it did not run.
    pub(crate) fn pause(&self) -> bool {
        let mut state = self.lock();
        let runs = state.condition == Condition::Running;
        if runs {
            state.condition = Condition::Paused;
        }
        runs
    }

    /// Polls its tasks again.
    pub(crate) fn resume(&self) {
        let cells: Vec<_> = {
            let mut state = self.lock();
            if state.condition != Condition::Paused {
                return;
            }
            state.condition = Condition::Running;
            state.tasks.values().cloned().collect()
        };
        cells.iter().for_each(wake);
    }

    /// Drops all its tasks. Not to be called by one of them.
    pub(crate) fn kill(&self) {
        let cells = {
            let mut state = self.lock();
            state.condition = Condition::Dead;
            std::mem::take(&mut state.tasks)
        };
        for cell in cells.values() {
            let task = lock(cell).task.take();
            drop(task);
            wake(cell);
        }
    }

    /// Runs `task` as long as this lives.
    pub(crate) fn run(self: &Arc<Self>, task: BoxFuture<'static, ()>) {
        self.run_named("simulated", task);
    }

    fn run_named(self: &Arc<Self>, name: &'static str, task: BoxFuture<'static, ()>) {
        let polled = (Instant::now(), 0);
        let cell = Arc::new(Mutex::new(Cell { name, task: Some(task), waker: None, polled }));
        let id = {
            let mut state = self.lock();
            if state.condition == Condition::Dead {
                return;
            }
            state.next += 1;
            let id = state.next;
            state.tasks.insert(id, Arc::clone(&cell));
            id
        };
        crate::free(Gated { process: Arc::clone(self), id, cell });
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cell {
    /// Counts a poll; whether there were too many.
    fn spins(&mut self) -> bool {
        let now = Instant::now();
        if self.polled.0 != now {
            self.polled = (now, 0);
        }
        self.polled.1 += 1;
        self.polled.1 > POLLS_MAX
    }
}

fn lock(cell: &Mutex<Cell>) -> MutexGuard<'_, Cell> {
    cell.lock().unwrap_or_else(PoisonError::into_inner)
}

fn wake(cell: &Arc<Mutex<Cell>>) {
    let waker = lock(cell).waker.take();
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// What roles spawn through.
pub(crate) struct Spawner(pub(crate) Arc<Process>);

impl Spawn for Spawner {
    fn spawn(&self, name: &'static str, task: BoxFuture<'static, ()>) {
        self.0.run_named(name, task);
    }
}

/// What the runtime polls in place of a task.
struct Gated {
    process: Arc<Process>,
    id: u64,
    cell: Arc<Mutex<Cell>>,
}

impl Future for Gated {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let condition = self.process.condition();
        let mut cell = lock(&self.cell);
        match condition {
            Condition::Dead => return Poll::Ready(()),
            Condition::Paused => {
                cell.waker = Some(cx.waker().clone());
                return Poll::Pending;
            }
            Condition::Running => {}
        }
        let Some(mut task) = cell.task.take() else { return Poll::Ready(()) };
        cell.waker = None;
        let spins = cell.spins();
        let name = cell.name;
        drop(cell);
        if spins {
            drop(task);
            panic!("task {name:?} of node {} never lets time go on", self.process.node);
        }
        if task.as_mut().poll(cx).is_ready() {
            drop(task);
            self.process.lock().tasks.remove(&self.id);
            return Poll::Ready(());
        }
        let mut cell = lock(&self.cell);
        cell.task = Some(task);
        cell.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}
