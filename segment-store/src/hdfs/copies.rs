//! How many copies a new file of a write-ahead log is written with.
//!
//! A DataNode that died or hangs is taken for live for minutes and put into pipelines: where there are just as many
//! nodes as copies, into every one. So after a file has failed, files are begun with one copy less, until one with
//! all copies works again.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// Never with fewer than this.
const COPIES_MIN: u32 = 2;
/// Copies if nobody says how many, where there are to be fewer.
const COPIES: u32 = 3;
/// How long files are begun with fewer copies before all are tried again.
const FEWER_FOR: Duration = Duration::from_secs(30);

/// See the module.
#[derive(Debug)]
pub(super) struct Copies {
    wanted: Option<u32>,
    /// When fewer began, and whether all were tried since.
    fewer_since: Mutex<Option<Instant>>,
}

/// The copies of one file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Chosen {
    /// With how many it is begun; none: as the NameNode says.
    pub(super) at_first: Option<u32>,
    /// How many it is to have in the end, if those are more.
    pub(super) later: Option<u32>,
}

impl Copies {
    pub(super) fn new(wanted: Option<u32>) -> Self {
        Self { wanted, fewer_since: Mutex::new(None) }
    }

    fn fewer_since(&self) -> MutexGuard<'_, Option<Instant>> {
        self.fewer_since.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For a file that is begun now.
    pub(super) fn choose(&self) -> Chosen {
        let all = self.wanted.unwrap_or(COPIES);
        let fewer = all.saturating_sub(1).max(COPIES_MIN);
        let is_time_for_fewer = self.fewer_since().is_some_and(|since| since.elapsed() < FEWER_FOR);
        match is_time_for_fewer && fewer < all {
            true => Chosen { at_first: Some(fewer), later: Some(all) },
            false => Chosen { at_first: self.wanted, later: None },
        }
    }

    /// A file with these copies works.
    pub(super) fn works(&self, chosen: Chosen) {
        if chosen.later.is_none() {
            *self.fewer_since() = None;
        }
    }

    /// A file with these copies failed.
    pub(super) fn fails(&self, chosen: Chosen) {
        if chosen.later.is_none() {
            *self.fewer_since() = Some(Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn after_a_failure_there_are_fewer_until_all_work_again() {
        let copies = Copies::new(None);
        let all = Chosen { at_first: None, later: None };
        let fewer = Chosen { at_first: Some(2), later: Some(3) };
        assert_eq!(copies.choose(), all);
        copies.fails(all);
        assert_eq!(copies.choose(), fewer);
        copies.works(fewer);
        copies.fails(fewer);
        advance(FEWER_FOR / 2).await;
        assert_eq!(copies.choose(), fewer);
        advance(FEWER_FOR / 2).await;
        assert_eq!(copies.choose(), all, "perhaps it is over");
        copies.fails(all);
        assert_eq!(copies.choose(), fewer);
        advance(FEWER_FOR).await;
        copies.works(copies.choose());
        assert_eq!(copies.choose(), all);
    }

    #[test]
    fn two_copies_are_the_least() {
        for wanted in [1, 2] {
            let copies = Copies::new(Some(wanted));
            let all = copies.choose();
            copies.fails(all);
            assert_eq!(copies.choose(), Chosen { at_first: Some(wanted), later: None });
        }
    }
}
