//! Many seeds, on as many threads as there are jobs: each run stays in one.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use anyhow::Result;
use weir_simulation::{Options, Outcome, run};

/// Which seeds, and how many at a time.
#[derive(Clone, Copy)]
pub(crate) struct Seeds {
    pub(crate) from: u64,
    pub(crate) count: u64,
    pub(crate) jobs: usize,
}

impl Seeds {
    /// Runs them all; `each` is told what they came to, in the order in which they end.
    pub(crate) fn run(
        self,
        options: impl Fn(u64) -> Options + Sync,
        each: impl FnMut(Outcome) + Send,
    ) -> Result<()> {
        let Self { from, count, jobs } = self;
        let (next, each) = (AtomicU64::new(from), Mutex::new(each));
        let work = || -> Result<()> {
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= from + count {
                    return Ok(());
                }
                let outcome = run(seed, &options(seed))?;
                (each.lock().unwrap_or_else(PoisonError::into_inner))(outcome);
            }
        };
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..jobs).map(|_| scope.spawn(work)).collect();
            workers.into_iter().try_for_each(|worker| match worker.join() {
                Ok(done) => done,
                Err(panic) => std::panic::resume_unwind(panic),
            })
        })
    }
}
