//! Running tasks.

use futures::future::BoxFuture;

/// Runs the tasks of a group that was made with [`Tasks::with`](crate::Tasks::with): a simulation runs
/// them for as long as the process lives that they belong to.
pub trait Spawn: Send + Sync {
    /// Runs `task` to its end, or drops it.
    fn spawn(&self, name: &'static str, task: BoxFuture<'static, ()>);
}
