//! The trace: a line for everything that happens between processes, with the simulated time.
//!
//! Its digest is part of a run's result, so that two runs of a seed can be told to be the same without
//! keeping either.

use std::{
    collections::BTreeMap,
    fmt::{self, Write as _},
    io::Write,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::time::Instant;
use weir_protocol::records::Crc32c;

/// What a trace comes to: equal digests, equal traces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Digest {
    /// Over all bytes of it.
    pub crc: u32,
    /// How many lines.
    pub lines: u64,
    /// How many bytes.
    pub bytes: u64,
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}/{}", self.crc, self.lines)
    }
}

/// The trace of one run. Clones write to the same.
#[derive(Clone)]
pub(crate) struct Trace(Arc<Mutex<Inner>>);

struct Inner {
    began: Instant,
    crc: Crc32c,
    digest: Digest,
    line: String,
    /// How often each kind of fault has fired.
    fired: BTreeMap<&'static str, u64>,
    out: Option<Box<dyn Write + Send>>,
}

impl Trace {
    /// An empty trace, which is also written to `out`.
    pub(crate) fn new(out: Option<Box<dyn Write + Send>>) -> Self {
        let (crc, digest, line) = (Crc32c::new(), Digest::default(), String::new());
        let (began, fired) = (Instant::now(), BTreeMap::new());
        Self(Arc::new(Mutex::new(Inner { began, crc, digest, line, fired, out })))
    }

    /// One more line.
    pub(crate) fn line(&self, what: fmt::Arguments<'_>) {
        let mut inner = self.lock();
        let Inner { began, crc, digest, line, out, .. } = &mut *inner;
        line.clear();
        let at = began.elapsed();
        // Writing to a string does not fail.
        let _ = writeln!(line, "{:3}.{:03} {what}", at.as_secs(), at.subsec_millis());
        crc.update(line.as_bytes());
        digest.lines += 1;
        digest.bytes += line.len() as u64;
        if let Some(out) = out {
            // A trace that can't be written is the reader's loss alone.
            let _ = out.write_all(line.as_bytes());
        }
    }

    /// A fault that has just fired, with a line of its own.
    pub(crate) fn fired(&self, kind: &'static str, what: fmt::Arguments<'_>) {
        *self.lock().fired.entry(kind).or_default() += 1;
        self.line(format_args!("! {kind}: {what}"));
    }

    /// How often each kind of fault has fired.
    pub(crate) fn counts(&self) -> BTreeMap<&'static str, u64> {
        self.lock().fired.clone()
    }

    /// What it comes to by now.
    pub(crate) fn digest(&self) -> Digest {
        let mut inner = self.lock();
        if let Some(out) = &mut inner.out {
            let _ = out.flush();
        }
        Digest { crc: inner.crc.finish(), ..inner.digest }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
