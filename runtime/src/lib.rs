//! Time, chance and tasks, handed in.
//!
//! Nothing in Weir takes the wall clock, random numbers, tasks or threads from the air: it is given
//! a [`Runtime`]. With [`Runtime::system`] that is the machine's; a simulation gives one seed and a
//! clock of its own, and on tokio's paused time the same seed then runs the same way, byte by byte.
//! Timers and monotonic time come from `tokio::time`, which the simulation pauses.
//!
//! [`Tasks`] is the one lifecycle of background work: spawned with a name, asked to stop, awaited,
//! and the first error reported to whoever owns the group.

mod clock;
pub mod planted;
mod random;
mod spawn;
mod stop;
mod tasks;
pub mod watch;

use std::sync::Arc;

pub use clock::{Clock, SystemClock};
pub use random::{Random, Seeded, SystemRandom};
pub use spawn::Spawn;
pub use stop::Stop;
pub use tasks::{TaskError, Tasks};
use weir_ids::Timestamp;

/// Where a component gets the time of day and random numbers from. Cheap to clone.
#[derive(Clone)]
pub struct Runtime {
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    in_turn: bool,
}

impl Runtime {
    /// The machine's clock and its random numbers.
    pub fn system() -> Self {
        Self::new(SystemClock, SystemRandom::default())
    }

    /// A runtime on the given clock and source of chance.
    pub fn new(clock: impl Clock + 'static, random: impl Random + 'static) -> Self {
        Self { clock: Arc::new(clock), random: Arc::new(random), in_turn: false }
    }

    /// The same for a simulation: when a thread beside it gets through is not up to the seed, so there is none.
    pub fn in_turn(self) -> Self {
        Self { in_turn: true, ..self }
    }

    /// Runs work that keeps a processor busy for long beside the async threads ([`blocking`]).
    ///
    /// # Panics
    /// As [`blocking`].
    pub async fn compute<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        if self.in_turn { work() } else { blocking(work).await }
    }

    /// The time of day.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A random number.
    pub fn random_u64(&self) -> u64 {
        self.random.next_u64()
    }

    /// A random (version 4) UUID.
    pub fn uuid(&self) -> uuid::Uuid {
        let bytes = (u128::from(self.random_u64()) << 64) | u128::from(self.random_u64());
        uuid::Builder::from_random_bytes(bytes.to_be_bytes()).into_uuid()
    }
}

/// Runs blocking work (file reads, decompression of unknown size) off the async threads.
///
/// # Panics
/// Resumes the panic of `work`, or panics when the runtime is shutting down.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    #[expect(clippy::disallowed_methods, reason = "the one place that is allowed to")]
    let joined = tokio::task::spawn_blocking(work).await;
    match joined {
        Ok(value) => value,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// Starts a named operating-system thread.
///
/// # Errors
/// What the operating system says when it can't start one.
pub fn thread<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> std::io::Result<std::thread::JoinHandle<T>> {
    std::thread::Builder::new().name(name.to_owned()).spawn(work)
}
