//! How long what nobody names still stays. No I/O.
//!
//! Nothing is swept in the round that first finds it unnamed. That is not only for readers who were told
//! where to look: a reference can pass a single round unseen (`docs/proof.md`, 9.), but not two.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;
use weir_segment_store::ObjectName;

use super::candidates::Unnamed;

/// What earlier rounds have found unnamed, since when.
#[derive(Default)]
pub(super) struct Grace {
    since: BTreeMap<ObjectName, Instant>,
}

impl Grace {
    /// A round has ended at `now` and found these. Returns those whose grace is over. What is named
    /// again, or gone, is forgotten.
    pub(super) fn found(
        &mut self,
        unnamed: &Unnamed,
        now: Instant,
        grace: Duration,
    ) -> Vec<ObjectName> {
        self.since.retain(|name, _| unnamed.contains_key(name));
        let waited = |since: &Instant| now.duration_since(*since) >= grace;
        let due = self.since.iter().filter(|(_, since)| waited(since)).map(|(name, _)| *name);
        let due = due.collect();
        for name in unnamed.keys() {
            self.since.entry(*name).or_insert(now);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use weir_ids::SessionId;

    use super::*;

    const GRACE: Duration = Duration::from_secs(600);

    fn object(number: u64) -> ObjectName {
        ObjectName::Checkpoint { session: SessionId(1), number }
    }

    fn unnamed(numbers: &[u64]) -> Unnamed {
        numbers.iter().map(|number| (object(*number), 1)).collect()
    }

    #[test]
    fn what_stays_unnamed_goes_after_its_grace() {
        let (mut grace, begin) = (Grace::default(), Instant::now());
        assert_eq!(grace.found(&unnamed(&[1]), begin, GRACE), []);
        assert_eq!(grace.found(&unnamed(&[1, 2]), begin + GRACE / 2, GRACE), []);
        assert_eq!(grace.found(&unnamed(&[1, 2]), begin + GRACE, GRACE), [object(1)]);
        assert_eq!(grace.found(&unnamed(&[2]), begin + GRACE * 2, GRACE), [object(2)]);
    }

    #[test]
    fn what_is_named_again_begins_anew() {
        let (mut grace, begin) = (Grace::default(), Instant::now());
        grace.found(&unnamed(&[1]), begin, GRACE);
        grace.found(&unnamed(&[]), begin + GRACE, GRACE);
        assert_eq!(grace.found(&unnamed(&[1]), begin + GRACE * 2, GRACE), []);
        assert_eq!(grace.found(&unnamed(&[1]), begin + GRACE * 3, GRACE), [object(1)]);
    }

    #[test]
    fn even_without_grace_a_second_round_must_agree() {
        let (mut grace, now) = (Grace::default(), Instant::now());
        assert_eq!(grace.found(&unnamed(&[1]), now, Duration::ZERO), []);
        assert_eq!(grace.found(&unnamed(&[1]), now, Duration::ZERO), [object(1)]);
    }
}
