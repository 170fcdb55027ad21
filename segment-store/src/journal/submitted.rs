//! A slot on its way into a file.

use tokio::sync::oneshot;
use weir_ids::{SessionId, Slot};
use weir_protocol::records::Crc32c;

use super::{
    Error, Written,
    frame::{ALIGN, FRAME_HEADER_BYTES, FrameHeader, FrameKind, Position},
};
use crate::{ObjectName, object::Body};

static ZEROS: [u8; ALIGN as usize] = [0; ALIGN as usize];

/// The answer about a slot, when there is one.
pub(super) type Answer = oneshot::Receiver<Result<Written, Error>>;

/// A slot that waits to be durable.
pub(super) struct Submitted {
    pub(super) slot: Slot,
    pub(super) body: Body,
    answer: oneshot::Sender<Result<Written, Error>>,
}

impl Submitted {
    pub(super) fn new(slot: Slot, body: Body) -> (Self, Answer) {
        let (answer, answered) = oneshot::channel();
        (Self { slot, body, answer }, answered)
    }

    /// How much room its frame takes.
    pub(super) fn frame_bytes(&self) -> u64 {
        FRAME_HEADER_BYTES as u64 + self.body.len.next_multiple_of(ALIGN)
    }

    /// What its frame begins with when everything below `synced` is durable.
    pub(super) fn header(&self, synced: Position) -> FrameHeader {
        let mut sum = Crc32c::new();
        self.body.parts.iter().for_each(|part| part.sum_into(&mut sum));
        FrameHeader {
            kind: FrameKind::Slot,
            slot: self.slot,
            body_len: self.body.len,
            synced,
            body_crc: sum.finish(),
        }
    }

    /// It is durable in `file`, in which its body begins at `origin`.
    pub(super) fn succeeds(self, session: SessionId, file: u32, origin: u64) {
        let object = ObjectName::WalFile { session, file };
        let Self { slot, body, answer } = self;
        let _ = answer.send(Ok(Written { slot, object, origin, chunks: body.chunks }));
    }

    /// It is not, and this writer will not make it so.
    pub(super) fn fails(self, error: Error) {
        let _ = self.answer.send(Err(error));
    }
}

/// The zeros behind a body of `len` bytes, up to where the next frame may begin.
pub(super) fn padding(len: u64) -> &'static [u8] {
    &ZEROS[..(len.next_multiple_of(ALIGN) - len) as usize]
}
