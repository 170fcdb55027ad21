//! What a run came to.

use std::fmt;

use anyhow::{Result, ensure};

/// Violations that are shown.
const SHOWN: usize = 20;

/// Figures, and what was wrong.
#[derive(Clone, Debug, Default)]
pub struct Report {
    figures: Vec<String>,
    violations: Vec<String>,
}

impl Report {
    /// Adds a line of figures, and shows it at once.
    pub(super) fn say(&mut self, figures: String) {
        eprintln!("{figures}");
        self.figures.push(figures);
    }

    /// Adds what was wrong.
    pub(super) fn judge(&mut self, violations: impl IntoIterator<Item = String>) {
        self.violations.extend(violations);
    }

    /// # Errors
    /// When something was wrong.
    pub fn check(&self) -> Result<()> {
        ensure!(self.violations.is_empty(), "promises were broken\n{self}");
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.figures.iter().try_for_each(|line| writeln!(f, "{line}"))?;
        for violation in self.violations.iter().take(SHOWN) {
            writeln!(f, "  {violation}")?;
        }
        write!(f, "{} violations", self.violations.len())
    }
}
