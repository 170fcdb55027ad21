//! SaslHandshake (key 17): which mechanism a client authenticates with.

use bytestring::ByteString;
use weir_protocol_derive::Message;

use crate::ErrorCode;

/// The mechanism that the client would like.
#[derive(Message, Clone, Debug, PartialEq)]
#[kafka(request, key = 17, versions = "0-1", flexible = "none")]
pub struct SaslHandshakeRequest {
    /// The mechanism.
    pub mechanism: ByteString,
}

/// Whether it may have it.
#[derive(Message, Clone, Debug, PartialEq)]
#[kafka(response, key = 17, versions = "0-1", flexible = "none")]
pub struct SaslHandshakeResponse {
    /// What went wrong.
    pub error_code: ErrorCode,
    /// The mechanisms on offer.
    pub mechanisms: Vec<ByteString>,
}
