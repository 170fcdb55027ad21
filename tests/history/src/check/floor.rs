//! What an answer must not lie below, by when it was asked for.

use crate::{Order, Source};

/// A bound that moves as events come, mostly up. It remembers how it moved: an answer is bound by what
/// held when it was asked for, and by whatever was lower since.
#[derive(Clone, Debug, Default)]
pub(super) struct Floor(Vec<Step>);

#[derive(Clone, Copy, Debug)]
struct Step {
    value: i64,
    known: Source,
}

impl Step {
    fn is_before(&self, asked: Order) -> bool {
        matches!(self.known, Source::Run { at, .. } if at < asked)
    }
}

impl Floor {
    /// Where it is now.
    pub(super) fn now(&self) -> Option<(i64, Source)> {
        self.0.last().map(|step| (step.value, step.known))
    }

    /// Moves it to a value; events come in order.
    pub(super) fn set(&mut self, value: i64, known: Source) {
        if self.now().is_none_or(|(now, _)| now != value) {
            self.0.push(Step { value, known });
        }
    }

    /// Moves it up to a value.
    pub(super) fn raise(&mut self, value: i64, known: Source) {
        if self.now().is_none_or(|(now, _)| now < value) {
            self.set(value, known);
        }
    }

    /// What binds an answer that was asked for then and comes now; nothing if nothing was known.
    pub(super) fn since(&self, asked: Order) -> Option<(i64, Source)> {
        let before = self.0.partition_point(|step| step.is_before(asked));
        let binding = &self.0[before.checked_sub(1)?..];
        binding.iter().min_by_key(|step| step.value).map(|step| (step.value, step.known))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Client;

    #[test]
    fn an_answer_is_bound_by_what_was_known_when_it_was_asked_for() {
        let known = |at| Source::Run { client: Client(0), at: Order(at) };
        let mut floor = Floor::default();
        assert_eq!(floor.since(Order(9)), None);
        floor.raise(10, known(3));
        floor.raise(20, known(5));
        floor.raise(15, known(6));
        assert_eq!(floor.since(Order(3)), None);
        assert_eq!(floor.since(Order(4)), Some((10, known(3))));
        assert_eq!(floor.since(Order(5)), Some((10, known(3))));
        assert_eq!(floor.since(Order(6)), Some((20, known(5))));
        floor.set(7, known(8));
        assert_eq!(floor.since(Order(6)), Some((7, known(8))));
    }
}
