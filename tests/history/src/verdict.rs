//! What a check came to, as much of it as a person can use.

use std::fmt;

use crate::Violation;

/// Violations that a verdict keeps; one planted bug can break every record's promise.
pub const KEPT_MAX: usize = 1_000;
/// Violations that are shown.
const SHOWN: usize = 20;

/// What a check came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    violations: Vec<Violation>,
    count: usize,
}

impl Verdict {
    /// Whether no promise was broken.
    pub fn is_clean(&self) -> bool {
        self.count == 0
    }

    /// How many violations there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The first [`KEPT_MAX`] violations.
    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }

    pub(crate) fn add(&mut self, violation: Violation) {
        self.count += 1;
        if self.violations.len() < KEPT_MAX {
            self.violations.push(violation);
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for violation in self.violations.iter().take(SHOWN) {
            writeln!(f, "  {violation}")?;
        }
        if self.count > SHOWN {
            writeln!(f, "  and {} more", self.count - SHOWN)?;
        }
        write!(f, "{} violations", self.count)
    }
}
