//! The checks, a file for each group of promises. Each walks the log or the end once.

mod edges;
mod end;
mod floor;
mod offsets;
mod places;
mod reads;
mod transactions;
mod writes;

use crate::Verdict;
use crate::facts::Facts;

/// Runs all checks; those of the log's own shape first, for others follow from these.
pub(crate) fn all(facts: &Facts<'_>, verdict: &mut Verdict) {
    if let Some(end) = &facts.history.end {
        end::check(facts, end, verdict);
        writes::check(facts, end, verdict);
    }
    places::check(facts, verdict);
    reads::check(facts, verdict);
    transactions::check(facts, verdict);
    offsets::check(facts, verdict);
    edges::check(facts, verdict);
}
