//! Panics of simulated tasks: an assertion that fails in one of them fails the run.

use std::{cell::RefCell, sync::Once};

thread_local! {
    static PANICS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Takes note of panics of this thread from now on, and forgets those until now.
pub(super) fn watch() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let noted = PANICS.try_with(|panics| panics.borrow_mut().push(info.to_string()));
            if noted.is_err() {
                before(info);
            }
        }));
    });
    drop(taken());
}

/// The panics since.
pub(super) fn taken() -> Vec<String> {
    PANICS.with(|panics| std::mem::take(&mut *panics.borrow_mut()))
}
