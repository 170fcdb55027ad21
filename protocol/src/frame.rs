//! Frames: a size, a header, a message.
//!
//! The header's version follows from the API and version, so a server reads it in one go with the
//! decision whether it serves the request at all. What a server does with each refusal is in
//! [`RequestError`]; that it is never an allocation or a panic is decided by the codec.

use bytes::Bytes;
use bytestring::ByteString;

use crate::codec::{DecodeError, Decoder, EncodeError, Encoder, Parts, Versions, Wire};
use crate::messages::{RequestHeader, ResponseHeader};
use crate::{ApiKey, Message, Request, RequestBody, Response};

/// Bytes of the size in front of a frame.
pub const FRAME_PREFIX_BYTES: usize = size_of::<i32>();

/// A frame size that is not believed. The connection is to be closed: where the next frame begins
/// is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a frame of {size} bytes is refused: at most {max_bytes} are taken")]
pub struct FrameSizeError {
    /// The size that the peer claims.
    pub size: i32,
    /// The largest that is taken.
    pub max_bytes: usize,
}

/// The size of the frame that `prefix` announces, checked before anything is allocated for it.
pub fn frame_size(
    prefix: [u8; FRAME_PREFIX_BYTES],
    max_bytes: usize,
) -> Result<usize, FrameSizeError> {
    let size = i32::from_be_bytes(prefix);
    match usize::try_from(size) {
        Ok(bytes) if bytes <= max_bytes => Ok(bytes),
        _ => Err(FrameSizeError { size, max_bytes }),
    }
}

/// A request whose header has been read and whose API and version are served.
#[derive(Debug)]
pub struct RequestFrame {
    /// The API.
    pub api: ApiKey,
    /// The version of the request and of its response.
    pub version: i16,
    /// What the response repeats.
    pub correlation_id: i32,
    /// How the client calls itself. A slice of the frame.
    pub client_id: Option<ByteString>,
    body: Decoder,
}

/// A frame that is no request to be served.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum RequestError {
    /// ApiVersions in an unknown version: answer in version 0 with `UNSUPPORTED_VERSION` and the
    /// advertised versions, and go on (KIP-511).
    #[error("ApiVersions in the unknown version {version}")]
    ApiVersions {
        /// The version that was asked for.
        version: i16,
        /// What the response repeats.
        correlation_id: i32,
    },
    /// An API that is not spoken here: close the connection.
    #[error("API key {key} (version {version}) is not served")]
    UnknownApi {
        /// The key.
        key: i16,
        /// The version that was asked for.
        version: i16,
    },
    /// A version that is not served: close the connection.
    #[error("{api} version {version} is not served: {advertised} are")]
    UnsupportedVersion {
        /// The API.
        api: ApiKey,
        /// The version that was asked for.
        version: i16,
        /// What is offered.
        advertised: Versions,
    },
    /// The header can't be read: close the connection.
    #[error(transparent)]
    Malformed(#[from] DecodeError),
}

impl RequestFrame {
    /// Reads the header of a request. `frame` comes without its size.
    pub fn parse(frame: Bytes) -> Result<RequestFrame, RequestError> {
        let mut peek = Decoder::new(frame.slice(..));
        let (key, version) = (i16::read(&mut peek)?, i16::read(&mut peek)?);
        let correlation_id = i32::read(&mut peek)?;
        let Some(api) = ApiKey::from_key(key) else {
            return Err(RequestError::UnknownApi { key, version });
        };
        if !api.accepts(version) {
            return Err(match api {
                // Nothing else of it is read: its header may be of a version to come.
                ApiKey::ApiVersions => RequestError::ApiVersions { version, correlation_id },
                _ => {
                    let advertised = api.advertised();
                    RequestError::UnsupportedVersion { api, version, advertised }
                }
            });
        }
        let mut body = Decoder::new(frame);
        let header = RequestHeader::decode(&mut body, api.request_header_version(version))?;
        Ok(RequestFrame { api, version, correlation_id, client_id: header.client_id, body })
    }

    /// Reads the body as a request of type `R`, which must be of this frame's API.
    pub fn decode<R: Request>(mut self) -> Result<R, DecodeError> {
        debug_assert_eq!(R::API, self.api, "decoded as another API");
        R::decode(&mut self.body, self.version)
    }

    /// Reads the body, whatever API it is of.
    pub fn into_body(mut self) -> Result<RequestBody, DecodeError> {
        RequestBody::decode(self.api, &mut self.body, self.version)
    }
}

/// A request with header and size, for the wire.
pub fn encode_request<R: Request>(
    version: i16,
    correlation_id: i32,
    client_id: Option<ByteString>,
    body: &R,
) -> Result<Parts, EncodeError> {
    let header = RequestHeader {
        request_api_key: R::API as i16,
        request_api_version: version,
        correlation_id,
        client_id,
    };
    Encoder::frame(|e| {
        header.encode(e, R::API.request_header_version(version))?;
        body.encode(e, version)
    })
}

/// A response with header and size, for the wire. What `version` has no field for is left out.
pub fn encode_response<R: Response>(
    version: i16,
    correlation_id: i32,
    body: &R,
) -> Result<Parts, EncodeError> {
    Encoder::frame(|e| {
        e.leave_out_absent();
        let header = ResponseHeader { correlation_id };
        header.encode(e, R::API.response_header_version(version))?;
        body.encode(e, version)
    })
}

/// Reads a response of type `R` with its header: the correlation id and the body. `frame` comes
/// without its size.
pub fn decode_response<R: Response>(frame: Bytes, version: i16) -> Result<(i32, R), DecodeError> {
    let mut d = Decoder::new(frame);
    let header = ResponseHeader::decode(&mut d, R::API.response_header_version(version))?;
    Ok((header.correlation_id, R::decode(&mut d, version)?))
}
