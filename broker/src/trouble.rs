//! What keeps a broker from taking writes for now, if anything does.
//!
//! The log and the checkpoints may each be in trouble, e.g. for lack of space. Meanwhile appends are
//! refused with a storage error instead of waiting for room that will not come; what was accepted
//! before stays first in line, and everything goes on by itself when the trouble is over.

use std::sync::Arc;

use weir_runtime::watch;

/// Who is in trouble.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Source {
    Log,
    Checkpoints,
}

/// The trouble of one broker. Clones share it.
#[derive(Clone)]
pub(crate) struct Trouble {
    state: Arc<watch::Sender<[Option<String>; 2]>>,
}

impl Trouble {
    pub(crate) fn new() -> Self {
        Self { state: Arc::new(watch::Sender::new([None, None])) }
    }

    /// Says what the trouble is, or that it is over. Returns what there is now of either kind, if
    /// that has changed.
    pub(crate) fn set(&self, source: Source, what: Option<String>) -> Option<Option<String>> {
        let before = self.current();
        self.state.send_if_modified(|state| {
            let place = &mut state[source as usize];
            let changed = *place != what;
            *place = what;
            changed
        });
        let now = self.current();
        (now != before).then_some(now)
    }

    /// What there is now.
    pub(crate) fn current(&self) -> Option<String> {
        self.state.borrow().iter().flatten().next().cloned()
    }

    /// Waits until there is some.
    pub(crate) async fn arises(&self) -> String {
        let mut state = self.state.subscribe();
        loop {
            if let Some(what) = self.current() {
                return what;
            }
            // Its sender lives as long as this.
            let _ = state.changed().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn either_kind_counts_until_both_are_over() {
        let trouble = Trouble::new();
        assert!(trouble.arises().now_or_never().is_none());
        let full = || Some("full".to_owned());
        assert_eq!(trouble.set(Source::Checkpoints, full()), Some(full()));
        assert_eq!(trouble.set(Source::Checkpoints, full()), None);
        assert_eq!(trouble.arises().await, "full");
        trouble.set(Source::Log, Some("fuller".to_owned()));
        trouble.set(Source::Checkpoints, None);
        assert_eq!(trouble.current().as_deref(), Some("fuller"));
        assert_eq!(trouble.set(Source::Log, None), Some(None));
    }
}
