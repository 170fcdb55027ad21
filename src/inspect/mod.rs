//! Printing stored files for a person.

use std::{io::Write, path::Path};

/// Why a file is not printed to its end.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct InspectError(String);

/// Prints `path`.
pub(crate) fn inspect(
    path: &Path,
    _batches: bool,
    _out: &mut dyn Write,
) -> Result<(), InspectError> {
    Err(InspectError(format!("{}: not a file of weir", path.display())))
}
