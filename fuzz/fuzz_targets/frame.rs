//! Any bytes as a request frame, without its size.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use weir_protocol::codec::{Decoder, Encoder};
use weir_protocol::{ApiKey, RequestBody, RequestFrame};

fuzz_target!(|data: &[u8]| {
    let Some((api, version, body)) = decode(Bytes::copy_from_slice(data)) else { return };
    let once = encode(&body, version);
    // With unknown tagged fields gone and numbers in their shortest form, nothing changes any more. A
    // budget by the size of the shorter frame could be too small for what the longer one held.
    let mut decoder = Decoder::with_budget(once.clone(), usize::MAX);
    let again = RequestBody::decode(api, &mut decoder, version).expect("what was encoded decodes");
    assert_eq!(encode(&again, version), once);
});

fn decode(frame: Bytes) -> Option<(ApiKey, i16, RequestBody)> {
    let frame = RequestFrame::parse(frame).ok()?;
    let (api, version) = (frame.api, frame.version);
    Some((api, version, frame.into_body().ok()?))
}

fn encode(body: &RequestBody, version: i16) -> Bytes {
    let mut encoder = Encoder::new();
    body.encode(&mut encoder, version).expect("what was decoded encodes");
    encoder.finish().into_bytes()
}
