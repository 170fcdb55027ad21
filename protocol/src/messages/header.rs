//! What stands in front of every request and response.

use bytestring::ByteString;
use weir_protocol_derive::Message;

/// Which API, which version, which request. Version 2 goes with flexible requests.
#[derive(Message, Clone, Debug, PartialEq)]
#[kafka(header, versions = "1-2", flexible = "2+")]
pub struct RequestHeader {
    /// The API.
    pub request_api_key: i16,
    /// The version of request and response.
    pub request_api_version: i16,
    /// What the response repeats.
    pub correlation_id: i32,
    /// How the client calls itself. Never in the compact form, so that every server can read it.
    #[kafka(versions = "1+", nullable = "1+", flexible = "none")]
    pub client_id: Option<ByteString>,
}

/// Which request this answers. Version 1 goes with flexible responses but ApiVersions'.
#[derive(Message, Clone, Debug, PartialEq)]
#[kafka(header, versions = "0-1", flexible = "1+")]
pub struct ResponseHeader {
    /// What the response repeats.
    pub correlation_id: i32,
}
