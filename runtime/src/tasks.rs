//! One lifecycle for all background work.

use std::{
    fmt::Display,
    future::Future,
    sync::{Arc, Mutex, PoisonError},
};

use futures::FutureExt;
use tokio_util::task::TaskTracker;

use crate::{
    spawn::Spawn,
    stop::{Stop, Switch},
};

/// A group of background tasks with one owner. Clones share the group; [`Tasks::child`] makes a part
/// of it that can end earlier. An error in any part stops the whole.
#[derive(Clone)]
pub struct Tasks {
    tracker: TaskTracker,
    /// Those of the groups that this is a part of: they wait for its tasks too.
    above: Vec<TaskTracker>,
    stop: Switch,
    whole: Switch,
    first_error: Arc<Mutex<Option<TaskError>>>,
    /// Who runs the tasks; `None`: tokio, without a detour.
    spawn: Option<Arc<dyn Spawn>>,
}

/// The first error that ended a task of a group.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{task}: {message}")]
pub struct TaskError {
    /// The task's name.
    pub task: String,
    /// What it said.
    pub message: String,
}

impl Default for Tasks {
    fn default() -> Self {
        Self::new()
    }
}

impl Tasks {
    /// An empty group, whose tasks tokio runs.
    pub fn new() -> Self {
        Self::spawning(None)
    }

    /// An empty group, whose tasks `spawn` runs.
    pub fn with(spawn: Arc<dyn Spawn>) -> Self {
        Self::spawning(Some(spawn))
    }

    fn spawning(spawn: Option<Arc<dyn Spawn>>) -> Self {
        let stop = Switch::default();
        let (tracker, first_error) = (TaskTracker::new(), Arc::default());
        Self { tracker, above: Vec::new(), whole: stop.clone(), stop, first_error, spawn }
    }

    /// A part that stops when this group is asked to, or earlier by itself. Its errors are the
    /// whole group's.
    #[must_use]
    pub fn child(&self) -> Self {
        let mut above = self.above.clone();
        above.push(self.tracker.clone());
        Self {
            tracker: TaskTracker::new(),
            above,
            stop: self.stop.child(),
            whole: self.whole.clone(),
            first_error: Arc::clone(&self.first_error),
            spawn: self.spawn.clone(),
        }
    }

    /// Starts a task that can't fail.
    pub fn spawn<F>(&self, name: &'static str, task: impl FnOnce(Stop) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let tracked: Vec<_> = self.above.iter().map(TaskTracker::token).collect();
        // An async block that awaits what it holds has room for it twice.
        let task = self.tracker.track_future(task(self.stop())).map(move |()| drop(tracked));
        match &self.spawn {
            Some(spawn) => spawn.spawn(name, Box::pin(task)),
            None => {
                #[expect(clippy::disallowed_methods, reason = "the one place that is allowed to")]
                tokio::spawn(task);
            }
        }
    }

    /// Starts a task whose error stops the whole group, of which this may be a part, and is kept for [`Tasks::shutdown`].
    pub fn spawn_fallible<F, E>(&self, name: &'static str, task: impl FnOnce(Stop) -> F)
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Display + Send + 'static,
    {
        let running = task(self.stop());
        let (whole, first_error) = (self.whole.clone(), Arc::clone(&self.first_error));
        self.spawn(name, move |_| async move {
            if let Err(error) = running.await {
                let error = TaskError { task: name.to_owned(), message: error.to_string() };
                first_error.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                whole.request();
            }
        });
    }

    /// The group's own view of [`Stop`].
    pub fn stop(&self) -> Stop {
        self.stop.to_stop()
    }

    /// Asks every task to finish.
    pub fn request_stop(&self) {
        self.stop.request();
    }

    /// Asks every task to finish and waits for all of them. An error of the group is left to who shuts it down.
    pub async fn finish(&self) {
        self.request_stop();
        self.tracker.close();
        self.tracker.wait().await;
    }

    /// Asks every task to finish, waits for all of them, and reports the first error, once.
    ///
    /// # Errors
    /// The first error that a task of the whole group ended with, if nobody has been told before.
    pub async fn shutdown(&self) -> Result<(), TaskError> {
        self.finish().await;
        match self.first_error.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn first_error_stops_the_group_and_is_reported() {
        let tasks = Tasks::new();
        tasks.spawn("waits", |stop| async move { stop.requested().await });
        tasks.spawn_fallible("fails", |_| async { Err("disk on fire") });
        tasks.stop().requested().await;
        let error = tasks.shutdown().await.expect_err("a task failed");
        assert_eq!(error.to_string(), "fails: disk on fire");
    }

    /// Keeps tasks instead of running them.
    #[derive(Default)]
    struct Kept(Mutex<Vec<(&'static str, futures::future::BoxFuture<'static, ()>)>>);

    impl Spawn for Kept {
        fn spawn(&self, name: &'static str, task: futures::future::BoxFuture<'static, ()>) {
            self.0.lock().unwrap().push((name, task));
        }
    }

    #[tokio::test]
    async fn whoever_is_handed_in_runs_the_tasks_of_all_parts() {
        let kept = Arc::new(Kept::default());
        let tasks = Tasks::with(Arc::clone(&kept) as Arc<dyn Spawn>);
        tasks.child().child().spawn("deep", |stop| async move { stop.requested().await });
        let mut ending = Box::pin(tasks.shutdown());
        assert!(futures::poll!(&mut ending).is_pending(), "nobody runs it");
        let (name, task) = kept.0.lock().unwrap().pop().unwrap();
        assert_eq!(name, "deep");
        task.await;
        ending.await.expect("no task failed");
    }

    #[tokio::test]
    async fn the_whole_waits_for_its_parts() {
        let whole = Tasks::new();
        let (let_go, held) = tokio::sync::oneshot::channel::<()>();
        whole.child().child().spawn("slow", |_| async move { drop(held.await) });
        let mut ending = Box::pin(whole.shutdown());
        assert!(futures::poll!(&mut ending).is_pending());
        drop(let_go);
        ending.await.expect("no task failed");
    }

    #[tokio::test]
    async fn an_error_in_a_part_stops_the_whole_and_its_other_parts() {
        let whole = Tasks::new();
        let (part, other) = (whole.child(), whole.child());
        part.spawn_fallible("fails", |_| async { Err("no more") });
        other.stop().requested().await;
        other.finish().await;
        assert!(whole.shutdown().await.is_err(), "nobody has been told before");
    }

    #[tokio::test]
    async fn child_stops_with_its_parent_but_not_the_other_way_round() {
        let parent = Tasks::new();
        let (first, second) = (parent.child(), parent.child());
        first.shutdown().await.expect("no task failed");
        assert!(!parent.stop().is_requested());
        parent.request_stop();
        second.stop().requested().await;
    }
}
