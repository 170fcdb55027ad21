//! What a history says about values, transactions and the end, gathered once and looked up by all
//! checks.

mod logs;
mod transactions;
mod values;

pub(crate) use logs::{Found, Log, Logs};
pub(crate) use transactions::Transactions;
pub(crate) use values::{Fate, Values};

use crate::{History, Partition, Seen};

/// A history with what follows from it.
pub(crate) struct Facts<'a> {
    pub(crate) history: &'a History,
    pub(crate) values: Values,
    pub(crate) transactions: Transactions,
    /// What there is in the end.
    pub(crate) end: Option<Logs>,
    /// What `read_committed` readers get in the end.
    pub(crate) committed: Option<Logs>,
}

impl<'a> Facts<'a> {
    pub(crate) fn gather(history: &'a History) -> Self {
        let edges = history.end.as_ref().map_or(&[][..], |end| &end.partitions);
        let logs = |read: &Vec<Seen>| Logs::new(edges, read);
        let end = history.end.as_ref().map(|end| logs(&end.read));
        let committed = history.end.as_ref().and_then(|end| end.read_committed.as_ref()).map(logs);
        let mut values = Values::gather(history);
        if let Some(end) = &history.end {
            values.count(&end.read);
        }
        let mut transactions = Transactions::gather(history);
        if let (Some(end), Some(committed)) = (&end, &committed) {
            transactions.look(&values, end, committed);
        }
        Self { history, values, transactions, end, committed }
    }

    /// The edges of a partition in the end; those of an empty log if the end does not list it.
    pub(crate) fn edges(&self, partition: i32) -> Option<Partition> {
        self.end.as_ref().map(|end| end.edges(partition))
    }

    /// What the end says about a record.
    pub(crate) fn find(&self, seen: Seen) -> Found {
        self.end.as_ref().map_or(Found::Unknown, |end| end.find(seen.place))
    }
}
