//! The Kafka wire: frames, messages, record batches. Does no I/O and knows no broker.
//!
//! - [`codec`]: how values stand on the wire, bounded whatever arrives, without copies;
//! - [`messages`]: the requests and responses, as tables;
//! - [`ApiKey`]: which of their versions can be decoded, which are offered;
//! - [`RequestFrame`], [`encode_response`] and their like: whole frames, for servers and clients;
//! - [`records`]: what is inside of a partition's records.

// The derives name this crate by its name, here too.
extern crate self as weir_protocol;

mod api;
pub mod codec;
mod error_code;
mod frame;
mod message;
pub mod messages;
pub mod records;

pub use api::{ApiKey, RequestBody, ResponseBody};
pub use error_code::ErrorCode;
pub use frame::{
    FRAME_PREFIX_BYTES, FrameSizeError, RequestError, RequestFrame, decode_response,
    encode_request, encode_response, frame_size,
};
pub use message::{Message, Request, Response};
