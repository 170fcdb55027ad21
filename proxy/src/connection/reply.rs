//! What a request comes to.

use futures::future::BoxFuture;
use weir_protocol::codec::Parts;

use crate::budget::Reservation;

/// An answer that is not there yet. It may do nothing until it is first polled, which happens when
/// all earlier requests of its connection have their answers.
pub(crate) type PendingReply = BoxFuture<'static, Reply>;

/// What a request comes to.
#[derive(Debug)]
pub(crate) enum Reply {
    /// A response.
    Send(Response),
    /// None: the request asked not to be answered.
    Silence,
    /// None, and the connection ends here: the client breaks the protocol, or must notice an error
    /// of a request that it wants no answer to.
    Close(String),
}

/// A framed response, ready to be written.
#[derive(Debug)]
pub(crate) struct Response {
    /// Its bytes, the frame's size included.
    pub(crate) parts: Parts,
    /// What holds its memory in the budget of all responses.
    pub(crate) memory: Reservation,
}

impl From<Parts> for Response {
    /// A response too small to count.
    fn from(parts: Parts) -> Self {
        Self { parts, memory: Reservation::none() }
    }
}
