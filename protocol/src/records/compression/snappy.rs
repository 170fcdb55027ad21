//! Snappy in the framing of xerial's Java library, which is what Kafka means by snappy.
//!
//! ```text
//! 82 "SNAPPY" 00 · version u32 · compatible with u32 · chunk*
//! chunk: length u32 · bare snappy block
//! ```
//!
//! Streams may follow each other: a chunk length that is the start of the magic begins another
//! header. Input without the magic is one bare block, which some clients send.

use std::io;

use super::Stop;

const MAGIC: [u8; 8] = *b"\x82SNAPPY\0";
const VERSION: u32 = 1;
const HEADER_BYTES: usize = 16;
/// How much the Java library puts in a chunk.
const CHUNK_BYTES: usize = 32 * 1024;
/// A copy element of three bytes yields at most 64: no honest block expands more than this.
const MAX_EXPANSION: usize = 22;

pub(super) fn decompress(input: &[u8], max_bytes: usize) -> Result<Vec<u8>, Stop> {
    let mut output = Vec::new();
    let Some(mut rest) = skip_header(input) else {
        block(input, &mut output, max_bytes)?;
        return Ok(output);
    };
    while !rest.is_empty() {
        if let Some(next) = skip_header(rest) {
            rest = next;
            continue;
        }
        let (length, body) =
            rest.split_first_chunk().ok_or_else(|| malformed("chunk length is cut"))?;
        let (chunk, next) = body
            .split_at_checked(u32::from_be_bytes(*length) as usize)
            .ok_or_else(|| malformed("chunk is cut"))?;
        block(chunk, &mut output, max_bytes)?;
        rest = next;
    }
    Ok(output)
}

pub(super) fn compress(input: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = snap::raw::Encoder::new();
    let mut output = Vec::with_capacity(HEADER_BYTES + input.len() / 2);
    output.extend_from_slice(&MAGIC);
    output.extend_from_slice(&VERSION.to_be_bytes());
    output.extend_from_slice(&VERSION.to_be_bytes());
    for chunk in input.chunks(CHUNK_BYTES) {
        let block = encoder.compress_vec(chunk)?;
        // A block of 32 KiB is never near 4 GiB.
        output.extend_from_slice(&(block.len() as u32).to_be_bytes());
        output.extend_from_slice(&block);
    }
    Ok(output)
}

fn skip_header(input: &[u8]) -> Option<&[u8]> {
    input.strip_prefix(&MAGIC)?.get(HEADER_BYTES - MAGIC.len()..)
}

/// Appends a bare block. The length that it claims is believed only as far as the codec could
/// possibly expand it, since the output is zeroed before it is filled.
fn block(block: &[u8], output: &mut Vec<u8>, max_bytes: usize) -> Result<(), Stop> {
    let claimed = snap::raw::decompress_len(block).map_err(malformed)?;
    if claimed > block.len().saturating_mul(MAX_EXPANSION) {
        return Err(malformed(format_args!("block claims to hold {claimed} bytes")));
    }
    if claimed > max_bytes - output.len() {
        return Err(Stop::Cap);
    }
    let start = output.len();
    output.resize(start + claimed, 0);
    snap::raw::Decoder::new().decompress(block, &mut output[start..]).map_err(malformed)?;
    Ok(())
}

fn malformed(reason: impl std::fmt::Display) -> Stop {
    Stop::Malformed(reason.to_string())
}
