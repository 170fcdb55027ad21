//! How the parts of one session tell that it is over.
//!
//! A session is over when somebody else has ended its log, or may do so at any moment. What it holds is
//! then worth nothing: whoever finds out first says so, and the role opens another session.

use std::{fmt::Display, sync::Arc};

use weir_runtime::watch;

/// Whether a session is over, and why. Clones share it.
#[derive(Clone)]
pub(crate) struct Ending(Arc<watch::Sender<Option<String>>>);

impl Default for Ending {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(None)))
    }
}

impl Ending {
    /// Says that the session is over. The first reason stays.
    pub(crate) fn tell(&self, why: &impl Display) {
        self.0.send_if_modified(|told| {
            let first = told.is_none();
            told.get_or_insert_with(|| why.to_string());
            first
        });
    }

    /// Waits until the session is over; says why.
    pub(crate) async fn told(&self) -> String {
        let mut told = self.0.subscribe();
        loop {
            if let Some(why) = &*told.borrow_and_update() {
                return why.clone();
            }
            // Its sender lives as long as this.
            let _ = told.changed().await;
        }
    }
}
