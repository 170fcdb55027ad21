//! Keeping a shard's log about as long as its state.
//!
//! A log that only grew would make every load slower. Deciding by record what may go, as a
//! compacted topic's owner does, needs an index of keys; the shard has one already: its image. So
//! when the log has outgrown the state, the shard appends its whole state again, in pieces between
//! other writes, and then moves the log start to where that began. Loading costs O(state), whatever
//! was written before. Each key is still found in the topic, so tools see nothing unusual.
//!
//! It is safe because the pieces are taken from the durable state when no append is in flight, and
//! what changes afterwards is appended behind them. If the process dies in between, the log start
//! has not moved, and records are there twice with the same values.
//!
//! A log that holds records of protocols not known here is left alone: they are not in the image.

use weir_ids::Offset;

use crate::{
    image::{Cursor, Image},
    records::Change,
};

/// A log shorter than this is not worth it.
const LOG_BYTES_MIN: usize = 4 << 20;

/// A log is rewritten when it is longer than the state this many times.
const LOG_PER_LIVE: usize = 2;

/// What is rewritten with one append. Small, so that others' writes wait little.
const PIECE_BYTES: usize = 256 << 10;

/// How far a shard is with keeping its log short.
#[derive(Debug)]
pub(super) struct Compaction {
    /// What the log holds.
    log_bytes: usize,
    /// What the last rewriting came to: what the state really takes.
    state_bytes: usize,
    phase: Phase,
    allowed: bool,
}

#[derive(Debug)]
enum Phase {
    Idle,
    /// Rewriting since `began`, `bytes` ago.
    Rewriting {
        began: Offset,
        bytes: usize,
        cursor: Cursor,
    },
    /// All is rewritten: what lies before `began` can go.
    Trimming {
        began: Offset,
        bytes: usize,
    },
}

impl Compaction {
    /// Of a log that holds `log_bytes`.
    pub(super) fn new(log_bytes: usize, allowed: bool) -> Self {
        Self { log_bytes, state_bytes: 0, phase: Phase::Idle, allowed }
    }

    /// The next piece to rewrite, empty if there is nothing to do. To be called when nothing is in
    /// flight; the piece must go into the append that begins at `next`, in front.
    pub(super) fn piece(&mut self, image: &Image, next: Offset) -> Vec<Change> {
        if matches!(self.phase, Phase::Idle) && self.is_due(image) {
            self.phase = Phase::Rewriting { began: next, bytes: 0, cursor: Cursor::default() };
        }
        let Phase::Rewriting { began, bytes, cursor } = &mut self.phase else { return Vec::new() };
        let piece = image.page(cursor, PIECE_BYTES);
        if piece.is_empty() {
            let (began, bytes) = (*began, *bytes);
            self.state_bytes = bytes;
            self.phase = Phase::Trimming { began, bytes };
        }
        piece
    }

    fn is_due(&self, image: &Image) -> bool {
        let state = image.live_bytes().max(self.state_bytes);
        let enough = state.saturating_mul(LOG_PER_LIVE).max(LOG_BYTES_MIN);
        self.allowed && self.log_bytes > enough
    }

    /// An append of so many bytes is durable.
    pub(super) fn appended(&mut self, appended: usize) {
        self.log_bytes += appended;
        match &mut self.phase {
            Phase::Rewriting { bytes, .. } | Phase::Trimming { bytes, .. } => *bytes += appended,
            Phase::Idle => {}
        }
    }

    /// Where the log is to start, if all of its state is behind that.
    pub(super) fn trim(&self) -> Option<Offset> {
        match self.phase {
            Phase::Trimming { began, .. } => Some(began),
            Phase::Idle | Phase::Rewriting { .. } => None,
        }
    }

    /// It starts there.
    pub(super) fn trimmed(&mut self) {
        if let Phase::Trimming { bytes, .. } = self.phase {
            self.log_bytes = bytes;
            self.phase = Phase::Idle;
        }
    }
}
