//! What became of each transaction: as its writer was told, and as the end shows.

use std::collections::HashSet;

use super::{Logs, Values};
use crate::{Event, History, Source, Transaction, Unseen};

/// What is known of a transaction.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Outcome {
    /// Who first asked to commit it.
    pub(crate) asked: Option<Source>,
    /// Who was told that it is committed.
    pub(crate) committed: Option<Source>,
    /// Who was told that it is aborted.
    pub(crate) aborted: Option<Source>,
    /// Whether the end shows a record of it to `read_committed` readers; none if it has none that could
    /// show.
    shows: Option<bool>,
}

impl Outcome {
    /// Whether its writer knows how it ended.
    pub(crate) fn is_known(&self) -> bool {
        self.committed.is_some() || self.aborted.is_some()
    }

    /// Whether `read_committed` readers may see its records in the end; none if either is right.
    pub(crate) fn is_visible(&self) -> Option<bool> {
        match self.unseen() {
            Some(_) => Some(false),
            None if self.committed.is_some() => Some(true),
            None => self.shows,
        }
    }

    /// Why it must never be seen.
    pub(crate) fn unseen(&self) -> Option<Unseen> {
        match (self.committed, self.aborted) {
            (Some(_), _) => None,
            (None, Some(aborted)) => Some(Unseen::Aborted(aborted)),
            (None, None) if self.asked.is_none() => Some(Unseen::NeverCommitted),
            (None, None) => (self.shows == Some(false)).then_some(Unseen::HiddenInTheEnd),
        }
    }
}

/// All transactions of a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Transactions {
    /// By number.
    outcomes: Vec<Outcome>,
    /// Partitions that transactions wrote to, so that control records may lie there.
    touched: HashSet<i32>,
}

impl Transactions {
    /// Walks the log.
    pub(crate) fn gather(history: &History) -> Self {
        let mut all = Self::default();
        for (source, event) in history.events() {
            match event {
                Event::Sent { partition, transaction: Some(transaction), .. } => {
                    all.touched.insert(partition);
                    all.grow(transaction);
                }
                Event::Committing(transaction) => {
                    all.grow(transaction).asked.get_or_insert(source);
                }
                Event::Committed(transaction) => {
                    all.grow(transaction).committed.get_or_insert(source);
                }
                Event::Aborted(transaction) => {
                    all.grow(transaction).aborted.get_or_insert(source);
                }
                _ => {}
            }
        }
        all
    }

    /// Looks which transactions show in the end.
    pub(crate) fn look(&mut self, values: &Values, end: &Logs, committed: &Logs) {
        for (logs, shows) in [(end, false), (committed, true)] {
            for (_, log) in logs.iter() {
                let records = log.from(log.edges.log_start).iter();
                for (_, value) in records.take_while(|(at, _)| *at < log.edges.stable) {
                    let transaction = values.get(*value).and_then(|fate| fate.transaction);
                    if let Some(outcome) =
                        transaction.and_then(|it| self.outcomes.get_mut(it.0 as usize))
                    {
                        outcome.shows = Some(shows);
                    }
                }
            }
        }
    }

    pub(crate) fn outcome(&self, transaction: Transaction) -> Outcome {
        self.outcomes.get(transaction.0 as usize).copied().unwrap_or_default()
    }

    pub(crate) fn is_touched(&self, partition: i32) -> bool {
        self.touched.contains(&partition)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Transaction, Outcome)> {
        (0..).map(Transaction).zip(self.outcomes.iter().copied())
    }

    fn grow(&mut self, transaction: Transaction) -> &mut Outcome {
        let number = transaction.0 as usize;
        if self.outcomes.len() <= number {
            self.outcomes.resize(number + 1, Outcome::default());
        }
        &mut self.outcomes[number]
    }
}
