//! SaslAuthenticate (key 36): the tokens of a SASL exchange.

use bytes::Bytes;
use bytestring::ByteString;
use weir_protocol_derive::Message;

use crate::ErrorCode;

/// A token from the client.
#[derive(Message, Clone, PartialEq)]
#[kafka(request, key = 36, versions = "0-2", flexible = "2+")]
pub struct SaslAuthenticateRequest {
    /// The token, in the form of the mechanism.
    pub auth_bytes: Bytes,
}

/// A token from the server.
#[derive(Message, Clone, PartialEq)]
#[kafka(response, key = 36, versions = "0-2", flexible = "2+")]
pub struct SaslAuthenticateResponse {
    /// What went wrong.
    pub error_code: ErrorCode,
    /// What went wrong, in words.
    #[kafka(nullable = "0+")]
    pub error_message: Option<ByteString>,
    /// The token, in the form of the mechanism.
    pub auth_bytes: Bytes,
    /// How long the authentication lasts; 0: as long as the connection.
    #[kafka(versions = "1+", ignorable)]
    pub session_lifetime_ms: i64,
}

// Tokens are passwords and the like: they are never printed, not even when a request is logged.

impl std::fmt::Debug for SaslAuthenticateRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SaslAuthenticateRequest({} secret bytes)", self.auth_bytes.len())
    }
}

impl std::fmt::Debug for SaslAuthenticateResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SaslAuthenticateResponse")
            .field("error_code", &self.error_code)
            .field("error_message", &self.error_message)
            .field("session_lifetime_ms", &self.session_lifetime_ms)
            .finish_non_exhaustive()
    }
}
