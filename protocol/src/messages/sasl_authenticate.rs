//! SaslAuthenticate (key 36): the tokens of a SASL exchange.

use bytes::Bytes;
use bytestring::ByteString;
use weir_protocol_derive::Message;

use crate::ErrorCode;

/// A token from the client.
#[derive(Message, Clone, Debug, PartialEq)]
#[kafka(request, key = 36, versions = "0-2", flexible = "2+")]
pub struct SaslAuthenticateRequest {
    /// The token, in the form of the mechanism.
    pub auth_bytes: Bytes,
}

/// A token from the server.
#[derive(Message, Clone, Debug, PartialEq)]
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
