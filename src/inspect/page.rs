//! What is printed, and why printing stops.

use std::{
    fmt::{self, Display},
    io::{self, BufWriter, Write},
};

/// Why printing stops before the end of a file. Positions are counted from the file's first byte.
pub(super) enum Stop {
    /// A bad piece, and where it begins.
    Bad { at: u64, what: String },
    /// A newer Weir wrote it.
    Newer { at: u64, version: u32 },
    /// Nobody takes the output.
    Output(io::Error),
}

impl Stop {
    pub(super) fn bad(at: u64, what: impl Into<String>) -> Self {
        Self::Bad { at, what: what.into() }
    }
}

/// So many things of a kind.
pub(super) struct Count(pub(super) u64, pub(super) &'static str, pub(super) &'static str);

impl Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(count, one, many) = self;
        write!(f, "{count} {}", if *count == 1 { one } else { many })
    }
}

/// Lines of text.
pub(super) struct Page<'a> {
    out: BufWriter<&'a mut dyn Write>,
    /// Whether each record batch gets a line.
    pub(super) batches: bool,
}

impl<'a> Page<'a> {
    pub(super) fn new(out: &'a mut dyn Write, batches: bool) -> Self {
        Self { out: BufWriter::new(out), batches }
    }

    /// Prints a line, `depth` steps from the left.
    pub(super) fn line(&mut self, depth: usize, text: impl Display) -> Result<(), Stop> {
        let indent = 2 * depth;
        writeln!(self.out, "{:indent$}{text}", "").map_err(Stop::Output)
    }

    /// Prints a field of a header.
    pub(super) fn field(&mut self, name: &str, value: impl Display) -> Result<(), Stop> {
        self.line(1, format_args!("{name:<16} {value}"))
    }

    /// Hands out what is still here: it comes before the error, if there is one.
    pub(super) fn finish(mut self, printed: Result<(), Stop>) -> Result<(), Stop> {
        let flushed = self.out.flush().map_err(Stop::Output);
        printed.and(flushed)
    }
}
